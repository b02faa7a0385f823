from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RefusalReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REFUSAL_REASON_UNSPECIFIED: _ClassVar[RefusalReason]
    REFUSAL_REASON_SUPERSEDED: _ClassVar[RefusalReason]
    REFUSAL_REASON_DEADLINE: _ClassVar[RefusalReason]
    REFUSAL_REASON_OVERLOADED: _ClassVar[RefusalReason]
    REFUSAL_REASON_INVALID: _ClassVar[RefusalReason]
    REFUSAL_REASON_UNKNOWN_POLICY: _ClassVar[RefusalReason]
    REFUSAL_REASON_UNAUTHORISED: _ClassVar[RefusalReason]
    REFUSAL_REASON_DRAINING: _ClassVar[RefusalReason]
    REFUSAL_REASON_INTERNAL: _ClassVar[RefusalReason]

class Reference(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REFERENCE_UNSPECIFIED: _ClassVar[Reference]
    REFERENCE_COMMANDED_CHAIN: _ClassVar[Reference]
    REFERENCE_MEASURED_EACH_STEP: _ClassVar[Reference]

class DeltaFrame(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DELTA_FRAME_UNSPECIFIED: _ClassVar[DeltaFrame]
    DELTA_FRAME_BASE: _ClassVar[DeltaFrame]
    DELTA_FRAME_TOOL: _ClassVar[DeltaFrame]

class Execution(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EXECUTION_UNSPECIFIED: _ClassVar[Execution]
    EXECUTION_SYNCHRONOUS: _ClassVar[Execution]
    EXECUTION_OVERLAPPED: _ClassVar[Execution]

class Mount(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MOUNT_UNSPECIFIED: _ClassVar[Mount]
    MOUNT_EXTERNAL: _ClassVar[Mount]
    MOUNT_WRIST: _ClassVar[Mount]

class Normalisation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NORMALISATION_UNSPECIFIED: _ClassVar[Normalisation]
    NORMALISATION_BOUNDS_Q99: _ClassVar[Normalisation]
    NORMALISATION_BOUNDS: _ClassVar[Normalisation]

class ProprioceptionField(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROPRIOCEPTION_FIELD_UNSPECIFIED: _ClassVar[ProprioceptionField]
    PROPRIOCEPTION_FIELD_POSITION: _ClassVar[ProprioceptionField]
    PROPRIOCEPTION_FIELD_ROTATION_VECTOR: _ClassVar[ProprioceptionField]
    PROPRIOCEPTION_FIELD_QUATERNION: _ClassVar[ProprioceptionField]
    PROPRIOCEPTION_FIELD_OPENING: _ClassVar[ProprioceptionField]
    PROPRIOCEPTION_FIELD_FINGER_POSITIONS: _ClassVar[ProprioceptionField]
    PROPRIOCEPTION_FIELD_GRIPPER_COMMAND: _ClassVar[ProprioceptionField]
    PROPRIOCEPTION_FIELD_JOINT_POSITION: _ClassVar[ProprioceptionField]

class PolicyState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    POLICY_STATE_UNSPECIFIED: _ClassVar[PolicyState]
    POLICY_STATE_LOADING: _ClassVar[PolicyState]
    POLICY_STATE_WARMING: _ClassVar[PolicyState]
    POLICY_STATE_SERVING: _ClassVar[PolicyState]
    POLICY_STATE_DRAINING: _ClassVar[PolicyState]
    POLICY_STATE_FAILED: _ClassVar[PolicyState]

class OperatorAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OPERATOR_ACTION_UNSPECIFIED: _ClassVar[OperatorAction]
    OPERATOR_ACTION_ARM: _ClassVar[OperatorAction]
    OPERATOR_ACTION_DISARM: _ClassVar[OperatorAction]
    OPERATOR_ACTION_START: _ClassVar[OperatorAction]
    OPERATOR_ACTION_PAUSE: _ClassVar[OperatorAction]
    OPERATOR_ACTION_STOP: _ClassVar[OperatorAction]
    OPERATOR_ACTION_CLEAR: _ClassVar[OperatorAction]

class Mode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODE_UNSPECIFIED: _ClassVar[Mode]
    MODE_IDLE: _ClassVar[Mode]
    MODE_ARMED: _ClassVar[Mode]
    MODE_RUNNING: _ClassVar[Mode]
    MODE_HOLDING: _ClassVar[Mode]
    MODE_FAULT: _ClassVar[Mode]

class VerdictKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERDICT_KIND_UNSPECIFIED: _ClassVar[VerdictKind]
    VERDICT_KIND_PASS: _ClassVar[VerdictKind]
    VERDICT_KIND_CLAMP: _ClassVar[VerdictKind]
    VERDICT_KIND_HOLD: _ClassVar[VerdictKind]
    VERDICT_KIND_STOP: _ClassVar[VerdictKind]

class ExportFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EXPORT_FORMAT_UNSPECIFIED: _ClassVar[ExportFormat]
    EXPORT_FORMAT_LEROBOT: _ClassVar[ExportFormat]
    EXPORT_FORMAT_RLDS: _ClassVar[ExportFormat]
REFUSAL_REASON_UNSPECIFIED: RefusalReason
REFUSAL_REASON_SUPERSEDED: RefusalReason
REFUSAL_REASON_DEADLINE: RefusalReason
REFUSAL_REASON_OVERLOADED: RefusalReason
REFUSAL_REASON_INVALID: RefusalReason
REFUSAL_REASON_UNKNOWN_POLICY: RefusalReason
REFUSAL_REASON_UNAUTHORISED: RefusalReason
REFUSAL_REASON_DRAINING: RefusalReason
REFUSAL_REASON_INTERNAL: RefusalReason
REFERENCE_UNSPECIFIED: Reference
REFERENCE_COMMANDED_CHAIN: Reference
REFERENCE_MEASURED_EACH_STEP: Reference
DELTA_FRAME_UNSPECIFIED: DeltaFrame
DELTA_FRAME_BASE: DeltaFrame
DELTA_FRAME_TOOL: DeltaFrame
EXECUTION_UNSPECIFIED: Execution
EXECUTION_SYNCHRONOUS: Execution
EXECUTION_OVERLAPPED: Execution
MOUNT_UNSPECIFIED: Mount
MOUNT_EXTERNAL: Mount
MOUNT_WRIST: Mount
NORMALISATION_UNSPECIFIED: Normalisation
NORMALISATION_BOUNDS_Q99: Normalisation
NORMALISATION_BOUNDS: Normalisation
PROPRIOCEPTION_FIELD_UNSPECIFIED: ProprioceptionField
PROPRIOCEPTION_FIELD_POSITION: ProprioceptionField
PROPRIOCEPTION_FIELD_ROTATION_VECTOR: ProprioceptionField
PROPRIOCEPTION_FIELD_QUATERNION: ProprioceptionField
PROPRIOCEPTION_FIELD_OPENING: ProprioceptionField
PROPRIOCEPTION_FIELD_FINGER_POSITIONS: ProprioceptionField
PROPRIOCEPTION_FIELD_GRIPPER_COMMAND: ProprioceptionField
PROPRIOCEPTION_FIELD_JOINT_POSITION: ProprioceptionField
POLICY_STATE_UNSPECIFIED: PolicyState
POLICY_STATE_LOADING: PolicyState
POLICY_STATE_WARMING: PolicyState
POLICY_STATE_SERVING: PolicyState
POLICY_STATE_DRAINING: PolicyState
POLICY_STATE_FAILED: PolicyState
OPERATOR_ACTION_UNSPECIFIED: OperatorAction
OPERATOR_ACTION_ARM: OperatorAction
OPERATOR_ACTION_DISARM: OperatorAction
OPERATOR_ACTION_START: OperatorAction
OPERATOR_ACTION_PAUSE: OperatorAction
OPERATOR_ACTION_STOP: OperatorAction
OPERATOR_ACTION_CLEAR: OperatorAction
MODE_UNSPECIFIED: Mode
MODE_IDLE: Mode
MODE_ARMED: Mode
MODE_RUNNING: Mode
MODE_HOLDING: Mode
MODE_FAULT: Mode
VERDICT_KIND_UNSPECIFIED: VerdictKind
VERDICT_KIND_PASS: VerdictKind
VERDICT_KIND_CLAMP: VerdictKind
VERDICT_KIND_HOLD: VerdictKind
VERDICT_KIND_STOP: VerdictKind
EXPORT_FORMAT_UNSPECIFIED: ExportFormat
EXPORT_FORMAT_LEROBOT: ExportFormat
EXPORT_FORMAT_RLDS: ExportFormat

class Pose(_message.Message):
    __slots__ = ("position", "quaternion")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    QUATERNION_FIELD_NUMBER: _ClassVar[int]
    position: _containers.RepeatedScalarFieldContainer[float]
    quaternion: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, position: _Optional[_Iterable[float]] = ..., quaternion: _Optional[_Iterable[float]] = ...) -> None: ...

class CameraImage(_message.Message):
    __slots__ = ("jpeg", "width", "height", "exposed_at")
    JPEG_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    EXPOSED_AT_FIELD_NUMBER: _ClassVar[int]
    jpeg: bytes
    width: int
    height: int
    exposed_at: float
    def __init__(self, jpeg: _Optional[bytes] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., exposed_at: _Optional[float] = ...) -> None: ...

class Observation(_message.Message):
    __slots__ = ("policy", "session", "sequence", "observed_at", "images", "tcp_pose", "joint_position", "gripper_width", "gripper_command", "instruction", "deadline")
    class ImagesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: CameraImage
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[CameraImage, _Mapping]] = ...) -> None: ...
    POLICY_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_AT_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    TCP_POSE_FIELD_NUMBER: _ClassVar[int]
    JOINT_POSITION_FIELD_NUMBER: _ClassVar[int]
    GRIPPER_WIDTH_FIELD_NUMBER: _ClassVar[int]
    GRIPPER_COMMAND_FIELD_NUMBER: _ClassVar[int]
    INSTRUCTION_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_FIELD_NUMBER: _ClassVar[int]
    policy: str
    session: str
    sequence: int
    observed_at: float
    images: _containers.MessageMap[str, CameraImage]
    tcp_pose: Pose
    joint_position: _containers.RepeatedScalarFieldContainer[float]
    gripper_width: float
    gripper_command: float
    instruction: str
    deadline: float
    def __init__(self, policy: _Optional[str] = ..., session: _Optional[str] = ..., sequence: _Optional[int] = ..., observed_at: _Optional[float] = ..., images: _Optional[_Mapping[str, CameraImage]] = ..., tcp_pose: _Optional[_Union[Pose, _Mapping]] = ..., joint_position: _Optional[_Iterable[float]] = ..., gripper_width: _Optional[float] = ..., gripper_command: _Optional[float] = ..., instruction: _Optional[str] = ..., deadline: _Optional[float] = ...) -> None: ...

class Timings(_message.Message):
    __slots__ = ("queue", "preprocess", "model", "total", "batch_size")
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    PREPROCESS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    queue: float
    preprocess: float
    model: float
    total: float
    batch_size: int
    def __init__(self, queue: _Optional[float] = ..., preprocess: _Optional[float] = ..., model: _Optional[float] = ..., total: _Optional[float] = ..., batch_size: _Optional[int] = ...) -> None: ...

class ActionChunk(_message.Message):
    __slots__ = ("session", "sequence", "observed_at", "steps", "actions", "interface_digest", "policy_digest", "timings")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_AT_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    INTERFACE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    POLICY_DIGEST_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    session: str
    sequence: int
    observed_at: float
    steps: int
    actions: _containers.RepeatedScalarFieldContainer[float]
    interface_digest: str
    policy_digest: str
    timings: Timings
    def __init__(self, session: _Optional[str] = ..., sequence: _Optional[int] = ..., observed_at: _Optional[float] = ..., steps: _Optional[int] = ..., actions: _Optional[_Iterable[float]] = ..., interface_digest: _Optional[str] = ..., policy_digest: _Optional[str] = ..., timings: _Optional[_Union[Timings, _Mapping]] = ...) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("session", "sequence", "reason", "sentence")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SENTENCE_FIELD_NUMBER: _ClassVar[int]
    session: str
    sequence: int
    reason: RefusalReason
    sentence: str
    def __init__(self, session: _Optional[str] = ..., sequence: _Optional[int] = ..., reason: _Optional[_Union[RefusalReason, str]] = ..., sentence: _Optional[str] = ...) -> None: ...

class StreamReply(_message.Message):
    __slots__ = ("chunk", "refusal")
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    chunk: ActionChunk
    refusal: Refusal
    def __init__(self, chunk: _Optional[_Union[ActionChunk, _Mapping]] = ..., refusal: _Optional[_Union[Refusal, _Mapping]] = ...) -> None: ...

class GetContractRequest(_message.Message):
    __slots__ = ("policy",)
    POLICY_FIELD_NUMBER: _ClassVar[int]
    policy: str
    def __init__(self, policy: _Optional[str] = ...) -> None: ...

class GripperContract(_message.Message):
    __slots__ = ("max_width", "close_below", "open_above")
    MAX_WIDTH_FIELD_NUMBER: _ClassVar[int]
    CLOSE_BELOW_FIELD_NUMBER: _ClassVar[int]
    OPEN_ABOVE_FIELD_NUMBER: _ClassVar[int]
    max_width: float
    close_below: float
    open_above: float
    def __init__(self, max_width: _Optional[float] = ..., close_below: _Optional[float] = ..., open_above: _Optional[float] = ...) -> None: ...

class CameraContract(_message.Message):
    __slots__ = ("name", "mount", "vertical_field_of_view", "crop_width", "crop_height", "width", "height")
    NAME_FIELD_NUMBER: _ClassVar[int]
    MOUNT_FIELD_NUMBER: _ClassVar[int]
    VERTICAL_FIELD_OF_VIEW_FIELD_NUMBER: _ClassVar[int]
    CROP_WIDTH_FIELD_NUMBER: _ClassVar[int]
    CROP_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    name: str
    mount: Mount
    vertical_field_of_view: float
    crop_width: float
    crop_height: float
    width: int
    height: int
    def __init__(self, name: _Optional[str] = ..., mount: _Optional[_Union[Mount, str]] = ..., vertical_field_of_view: _Optional[float] = ..., crop_width: _Optional[float] = ..., crop_height: _Optional[float] = ..., width: _Optional[int] = ..., height: _Optional[int] = ...) -> None: ...

class Statistics(_message.Message):
    __slots__ = ("action_low", "action_high", "action_mask", "proprioception_low", "proprioception_high")
    ACTION_LOW_FIELD_NUMBER: _ClassVar[int]
    ACTION_HIGH_FIELD_NUMBER: _ClassVar[int]
    ACTION_MASK_FIELD_NUMBER: _ClassVar[int]
    PROPRIOCEPTION_LOW_FIELD_NUMBER: _ClassVar[int]
    PROPRIOCEPTION_HIGH_FIELD_NUMBER: _ClassVar[int]
    action_low: _containers.RepeatedScalarFieldContainer[float]
    action_high: _containers.RepeatedScalarFieldContainer[float]
    action_mask: _containers.RepeatedScalarFieldContainer[bool]
    proprioception_low: _containers.RepeatedScalarFieldContainer[float]
    proprioception_high: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, action_low: _Optional[_Iterable[float]] = ..., action_high: _Optional[_Iterable[float]] = ..., action_mask: _Optional[_Iterable[bool]] = ..., proprioception_low: _Optional[_Iterable[float]] = ..., proprioception_high: _Optional[_Iterable[float]] = ...) -> None: ...

class Provenance(_message.Message):
    __slots__ = ("key", "value")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    key: str
    value: str
    def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class PolicyContract(_message.Message):
    __slots__ = ("name", "schema_version", "reference", "frame", "execution", "step_period", "chunk_length", "execute_steps", "trained_delay_steps", "time_stretch", "max_translation_per_step", "max_rotation_per_step", "flange_from_tcp", "gripper", "cameras", "max_camera_skew", "proprioception", "proprioception_origin", "prompt_template", "normalisation", "statistics", "weights_digest", "provenance", "interface_digest", "policy_digest")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_VERSION_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    STEP_PERIOD_FIELD_NUMBER: _ClassVar[int]
    CHUNK_LENGTH_FIELD_NUMBER: _ClassVar[int]
    EXECUTE_STEPS_FIELD_NUMBER: _ClassVar[int]
    TRAINED_DELAY_STEPS_FIELD_NUMBER: _ClassVar[int]
    TIME_STRETCH_FIELD_NUMBER: _ClassVar[int]
    MAX_TRANSLATION_PER_STEP_FIELD_NUMBER: _ClassVar[int]
    MAX_ROTATION_PER_STEP_FIELD_NUMBER: _ClassVar[int]
    FLANGE_FROM_TCP_FIELD_NUMBER: _ClassVar[int]
    GRIPPER_FIELD_NUMBER: _ClassVar[int]
    CAMERAS_FIELD_NUMBER: _ClassVar[int]
    MAX_CAMERA_SKEW_FIELD_NUMBER: _ClassVar[int]
    PROPRIOCEPTION_FIELD_NUMBER: _ClassVar[int]
    PROPRIOCEPTION_ORIGIN_FIELD_NUMBER: _ClassVar[int]
    PROMPT_TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    NORMALISATION_FIELD_NUMBER: _ClassVar[int]
    STATISTICS_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    INTERFACE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    POLICY_DIGEST_FIELD_NUMBER: _ClassVar[int]
    name: str
    schema_version: int
    reference: Reference
    frame: DeltaFrame
    execution: Execution
    step_period: float
    chunk_length: int
    execute_steps: int
    trained_delay_steps: int
    time_stretch: float
    max_translation_per_step: float
    max_rotation_per_step: float
    flange_from_tcp: Pose
    gripper: GripperContract
    cameras: _containers.RepeatedCompositeFieldContainer[CameraContract]
    max_camera_skew: float
    proprioception: _containers.RepeatedScalarFieldContainer[ProprioceptionField]
    proprioception_origin: Pose
    prompt_template: str
    normalisation: Normalisation
    statistics: Statistics
    weights_digest: str
    provenance: _containers.RepeatedCompositeFieldContainer[Provenance]
    interface_digest: str
    policy_digest: str
    def __init__(self, name: _Optional[str] = ..., schema_version: _Optional[int] = ..., reference: _Optional[_Union[Reference, str]] = ..., frame: _Optional[_Union[DeltaFrame, str]] = ..., execution: _Optional[_Union[Execution, str]] = ..., step_period: _Optional[float] = ..., chunk_length: _Optional[int] = ..., execute_steps: _Optional[int] = ..., trained_delay_steps: _Optional[int] = ..., time_stretch: _Optional[float] = ..., max_translation_per_step: _Optional[float] = ..., max_rotation_per_step: _Optional[float] = ..., flange_from_tcp: _Optional[_Union[Pose, _Mapping]] = ..., gripper: _Optional[_Union[GripperContract, _Mapping]] = ..., cameras: _Optional[_Iterable[_Union[CameraContract, _Mapping]]] = ..., max_camera_skew: _Optional[float] = ..., proprioception: _Optional[_Iterable[_Union[ProprioceptionField, str]]] = ..., proprioception_origin: _Optional[_Union[Pose, _Mapping]] = ..., prompt_template: _Optional[str] = ..., normalisation: _Optional[_Union[Normalisation, str]] = ..., statistics: _Optional[_Union[Statistics, _Mapping]] = ..., weights_digest: _Optional[str] = ..., provenance: _Optional[_Iterable[_Union[Provenance, _Mapping]]] = ..., interface_digest: _Optional[str] = ..., policy_digest: _Optional[str] = ...) -> None: ...

class ReloadRequest(_message.Message):
    __slots__ = ("policy", "path")
    POLICY_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    policy: str
    path: str
    def __init__(self, policy: _Optional[str] = ..., path: _Optional[str] = ...) -> None: ...

class ListPoliciesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PolicyStatus(_message.Message):
    __slots__ = ("name", "state", "interface_digest", "policy_digest", "sessions", "served", "refused")
    class RefusedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    INTERFACE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    POLICY_DIGEST_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    SERVED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    name: str
    state: PolicyState
    interface_digest: str
    policy_digest: str
    sessions: int
    served: int
    refused: _containers.ScalarMap[str, int]
    def __init__(self, name: _Optional[str] = ..., state: _Optional[_Union[PolicyState, str]] = ..., interface_digest: _Optional[str] = ..., policy_digest: _Optional[str] = ..., sessions: _Optional[int] = ..., served: _Optional[int] = ..., refused: _Optional[_Mapping[str, int]] = ...) -> None: ...

class ServerStatus(_message.Message):
    __slots__ = ("version", "uptime", "device", "policies", "queue_length", "batch_seconds_fixed", "batch_seconds_per_sample")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    UPTIME_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    QUEUE_LENGTH_FIELD_NUMBER: _ClassVar[int]
    BATCH_SECONDS_FIXED_FIELD_NUMBER: _ClassVar[int]
    BATCH_SECONDS_PER_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    version: str
    uptime: float
    device: str
    policies: _containers.RepeatedCompositeFieldContainer[PolicyStatus]
    queue_length: int
    batch_seconds_fixed: float
    batch_seconds_per_sample: float
    def __init__(self, version: _Optional[str] = ..., uptime: _Optional[float] = ..., device: _Optional[str] = ..., policies: _Optional[_Iterable[_Union[PolicyStatus, _Mapping]]] = ..., queue_length: _Optional[int] = ..., batch_seconds_fixed: _Optional[float] = ..., batch_seconds_per_sample: _Optional[float] = ...) -> None: ...

class SceneSetup(_message.Message):
    __slots__ = ("split", "seed", "document")
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    split: str
    seed: int
    document: str
    def __init__(self, split: _Optional[str] = ..., seed: _Optional[int] = ..., document: _Optional[str] = ...) -> None: ...

class TrialSetup(_message.Message):
    __slots__ = ("trial_id", "policy", "instruction", "start_pose", "time_limit", "record", "scene")
    TRIAL_ID_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    INSTRUCTION_FIELD_NUMBER: _ClassVar[int]
    START_POSE_FIELD_NUMBER: _ClassVar[int]
    TIME_LIMIT_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    SCENE_FIELD_NUMBER: _ClassVar[int]
    trial_id: str
    policy: str
    instruction: str
    start_pose: str
    time_limit: float
    record: bool
    scene: SceneSetup
    def __init__(self, trial_id: _Optional[str] = ..., policy: _Optional[str] = ..., instruction: _Optional[str] = ..., start_pose: _Optional[str] = ..., time_limit: _Optional[float] = ..., record: _Optional[bool] = ..., scene: _Optional[_Union[SceneSetup, _Mapping]] = ...) -> None: ...

class OperatorEvent(_message.Message):
    __slots__ = ("action", "operator", "note")
    ACTION_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    action: OperatorAction
    operator: str
    note: str
    def __init__(self, action: _Optional[_Union[OperatorAction, str]] = ..., operator: _Optional[str] = ..., note: _Optional[str] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("nonce", "press", "held")
    NONCE_FIELD_NUMBER: _ClassVar[int]
    PRESS_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    nonce: int
    press: int
    held: bool
    def __init__(self, nonce: _Optional[int] = ..., press: _Optional[int] = ..., held: _Optional[bool] = ...) -> None: ...

class HoldState(_message.Message):
    __slots__ = ("nonce", "held", "age", "press")
    NONCE_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    AGE_FIELD_NUMBER: _ClassVar[int]
    PRESS_FIELD_NUMBER: _ClassVar[int]
    nonce: int
    held: bool
    age: float
    press: int
    def __init__(self, nonce: _Optional[int] = ..., held: _Optional[bool] = ..., age: _Optional[float] = ..., press: _Optional[int] = ...) -> None: ...

class JointGoal(_message.Message):
    __slots__ = ("name", "joint_position")
    NAME_FIELD_NUMBER: _ClassVar[int]
    JOINT_POSITION_FIELD_NUMBER: _ClassVar[int]
    name: str
    joint_position: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, name: _Optional[str] = ..., joint_position: _Optional[_Iterable[float]] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("rate_hz",)
    RATE_HZ_FIELD_NUMBER: _ClassVar[int]
    rate_hz: float
    def __init__(self, rate_hz: _Optional[float] = ...) -> None: ...

class ImagesRequest(_message.Message):
    __slots__ = ("cameras", "rate_hz")
    CAMERAS_FIELD_NUMBER: _ClassVar[int]
    RATE_HZ_FIELD_NUMBER: _ClassVar[int]
    cameras: _containers.RepeatedScalarFieldContainer[str]
    rate_hz: float
    def __init__(self, cameras: _Optional[_Iterable[str]] = ..., rate_hz: _Optional[float] = ...) -> None: ...

class Verdict(_message.Message):
    __slots__ = ("kind", "reasons")
    KIND_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    kind: VerdictKind
    reasons: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, kind: _Optional[_Union[VerdictKind, str]] = ..., reasons: _Optional[_Iterable[str]] = ...) -> None: ...

class CameraStatus(_message.Message):
    __slots__ = ("name", "age", "age_limit", "rate")
    NAME_FIELD_NUMBER: _ClassVar[int]
    AGE_FIELD_NUMBER: _ClassVar[int]
    AGE_LIMIT_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    name: str
    age: float
    age_limit: float
    rate: float
    def __init__(self, name: _Optional[str] = ..., age: _Optional[float] = ..., age_limit: _Optional[float] = ..., rate: _Optional[float] = ...) -> None: ...

class RecordingStatus(_message.Message):
    __slots__ = ("active", "path", "dropped", "free_bytes", "problem")
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    active: bool
    path: str
    dropped: int
    free_bytes: int
    problem: str
    def __init__(self, active: _Optional[bool] = ..., path: _Optional[str] = ..., dropped: _Optional[int] = ..., free_bytes: _Optional[int] = ..., problem: _Optional[str] = ...) -> None: ...

class TruthStatus(_message.Message):
    __slots__ = ("instruction", "stage", "success")
    INSTRUCTION_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    instruction: str
    stage: str
    success: bool
    def __init__(self, instruction: _Optional[str] = ..., stage: _Optional[str] = ..., success: _Optional[bool] = ...) -> None: ...

class BridgeStatus(_message.Message):
    __slots__ = ("at", "rig", "driver", "mode", "why", "problems", "needs", "policy", "policy_digest", "trial_id", "instruction", "elapsed", "time_limit", "verdict", "verdict_counts", "tcp_pose", "joint_position", "tcp_speed", "gripper_width", "arm_age", "cameras", "server", "server_state", "chunk_age", "round_trip_p50", "round_trip_p99", "hold_required", "held", "hold_age", "lease_holder", "ticks", "missed_ticks", "late_chunks", "recording", "truth")
    class VerdictCountsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    AT_FIELD_NUMBER: _ClassVar[int]
    RIG_FIELD_NUMBER: _ClassVar[int]
    DRIVER_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    NEEDS_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    POLICY_DIGEST_FIELD_NUMBER: _ClassVar[int]
    TRIAL_ID_FIELD_NUMBER: _ClassVar[int]
    INSTRUCTION_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_FIELD_NUMBER: _ClassVar[int]
    TIME_LIMIT_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    VERDICT_COUNTS_FIELD_NUMBER: _ClassVar[int]
    TCP_POSE_FIELD_NUMBER: _ClassVar[int]
    JOINT_POSITION_FIELD_NUMBER: _ClassVar[int]
    TCP_SPEED_FIELD_NUMBER: _ClassVar[int]
    GRIPPER_WIDTH_FIELD_NUMBER: _ClassVar[int]
    ARM_AGE_FIELD_NUMBER: _ClassVar[int]
    CAMERAS_FIELD_NUMBER: _ClassVar[int]
    SERVER_FIELD_NUMBER: _ClassVar[int]
    SERVER_STATE_FIELD_NUMBER: _ClassVar[int]
    CHUNK_AGE_FIELD_NUMBER: _ClassVar[int]
    ROUND_TRIP_P50_FIELD_NUMBER: _ClassVar[int]
    ROUND_TRIP_P99_FIELD_NUMBER: _ClassVar[int]
    HOLD_REQUIRED_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    HOLD_AGE_FIELD_NUMBER: _ClassVar[int]
    LEASE_HOLDER_FIELD_NUMBER: _ClassVar[int]
    TICKS_FIELD_NUMBER: _ClassVar[int]
    MISSED_TICKS_FIELD_NUMBER: _ClassVar[int]
    LATE_CHUNKS_FIELD_NUMBER: _ClassVar[int]
    RECORDING_FIELD_NUMBER: _ClassVar[int]
    TRUTH_FIELD_NUMBER: _ClassVar[int]
    at: float
    rig: str
    driver: str
    mode: Mode
    why: str
    problems: _containers.RepeatedScalarFieldContainer[str]
    needs: str
    policy: str
    policy_digest: str
    trial_id: str
    instruction: str
    elapsed: float
    time_limit: float
    verdict: Verdict
    verdict_counts: _containers.ScalarMap[str, int]
    tcp_pose: Pose
    joint_position: _containers.RepeatedScalarFieldContainer[float]
    tcp_speed: float
    gripper_width: float
    arm_age: float
    cameras: _containers.RepeatedCompositeFieldContainer[CameraStatus]
    server: str
    server_state: str
    chunk_age: float
    round_trip_p50: float
    round_trip_p99: float
    hold_required: bool
    held: bool
    hold_age: float
    lease_holder: str
    ticks: int
    missed_ticks: int
    late_chunks: int
    recording: RecordingStatus
    truth: TruthStatus
    def __init__(self, at: _Optional[float] = ..., rig: _Optional[str] = ..., driver: _Optional[str] = ..., mode: _Optional[_Union[Mode, str]] = ..., why: _Optional[str] = ..., problems: _Optional[_Iterable[str]] = ..., needs: _Optional[str] = ..., policy: _Optional[str] = ..., policy_digest: _Optional[str] = ..., trial_id: _Optional[str] = ..., instruction: _Optional[str] = ..., elapsed: _Optional[float] = ..., time_limit: _Optional[float] = ..., verdict: _Optional[_Union[Verdict, _Mapping]] = ..., verdict_counts: _Optional[_Mapping[str, int]] = ..., tcp_pose: _Optional[_Union[Pose, _Mapping]] = ..., joint_position: _Optional[_Iterable[float]] = ..., tcp_speed: _Optional[float] = ..., gripper_width: _Optional[float] = ..., arm_age: _Optional[float] = ..., cameras: _Optional[_Iterable[_Union[CameraStatus, _Mapping]]] = ..., server: _Optional[str] = ..., server_state: _Optional[str] = ..., chunk_age: _Optional[float] = ..., round_trip_p50: _Optional[float] = ..., round_trip_p99: _Optional[float] = ..., hold_required: _Optional[bool] = ..., held: _Optional[bool] = ..., hold_age: _Optional[float] = ..., lease_holder: _Optional[str] = ..., ticks: _Optional[int] = ..., missed_ticks: _Optional[int] = ..., late_chunks: _Optional[int] = ..., recording: _Optional[_Union[RecordingStatus, _Mapping]] = ..., truth: _Optional[_Union[TruthStatus, _Mapping]] = ...) -> None: ...

class CameraFrame(_message.Message):
    __slots__ = ("camera", "image", "age")
    CAMERA_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    AGE_FIELD_NUMBER: _ClassVar[int]
    camera: str
    image: CameraImage
    age: float
    def __init__(self, camera: _Optional[str] = ..., image: _Optional[_Union[CameraImage, _Mapping]] = ..., age: _Optional[float] = ...) -> None: ...

class ExportRequest(_message.Message):
    __slots__ = ("trial_ids", "format", "destination")
    TRIAL_IDS_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    trial_ids: _containers.RepeatedScalarFieldContainer[str]
    format: ExportFormat
    destination: str
    def __init__(self, trial_ids: _Optional[_Iterable[str]] = ..., format: _Optional[_Union[ExportFormat, str]] = ..., destination: _Optional[str] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("done", "total", "sentence")
    DONE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    SENTENCE_FIELD_NUMBER: _ClassVar[int]
    done: int
    total: int
    sentence: str
    def __init__(self, done: _Optional[int] = ..., total: _Optional[int] = ..., sentence: _Optional[str] = ...) -> None: ...
