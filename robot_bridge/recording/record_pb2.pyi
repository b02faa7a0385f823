from robot_contract import wire_pb2 as _wire_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TrialBegins(_message.Message):
    __slots__ = ("at", "wall_time", "setup", "instruction", "contract", "rig", "rig_digest", "limits_json", "limits_digest", "calibration_digests", "scene", "software")
    class CalibrationDigestsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    AT_FIELD_NUMBER: _ClassVar[int]
    WALL_TIME_FIELD_NUMBER: _ClassVar[int]
    SETUP_FIELD_NUMBER: _ClassVar[int]
    INSTRUCTION_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_FIELD_NUMBER: _ClassVar[int]
    RIG_FIELD_NUMBER: _ClassVar[int]
    RIG_DIGEST_FIELD_NUMBER: _ClassVar[int]
    LIMITS_JSON_FIELD_NUMBER: _ClassVar[int]
    LIMITS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_DIGESTS_FIELD_NUMBER: _ClassVar[int]
    SCENE_FIELD_NUMBER: _ClassVar[int]
    SOFTWARE_FIELD_NUMBER: _ClassVar[int]
    at: float
    wall_time: float
    setup: _wire_pb2.TrialSetup
    instruction: str
    contract: _wire_pb2.PolicyContract
    rig: str
    rig_digest: str
    limits_json: str
    limits_digest: str
    calibration_digests: _containers.ScalarMap[str, str]
    scene: str
    software: str
    def __init__(self, at: _Optional[float] = ..., wall_time: _Optional[float] = ..., setup: _Optional[_Union[_wire_pb2.TrialSetup, _Mapping]] = ..., instruction: _Optional[str] = ..., contract: _Optional[_Union[_wire_pb2.PolicyContract, _Mapping]] = ..., rig: _Optional[str] = ..., rig_digest: _Optional[str] = ..., limits_json: _Optional[str] = ..., limits_digest: _Optional[str] = ..., calibration_digests: _Optional[_Mapping[str, str]] = ..., scene: _Optional[str] = ..., software: _Optional[str] = ...) -> None: ...

class TrialEnds(_message.Message):
    __slots__ = ("at", "why", "verdict_counts", "dropped", "success", "stage")
    class VerdictCountsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    AT_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    VERDICT_COUNTS_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    at: float
    why: str
    verdict_counts: _containers.ScalarMap[str, int]
    dropped: int
    success: bool
    stage: str
    def __init__(self, at: _Optional[float] = ..., why: _Optional[str] = ..., verdict_counts: _Optional[_Mapping[str, int]] = ..., dropped: _Optional[int] = ..., success: _Optional[bool] = ..., stage: _Optional[str] = ...) -> None: ...

class Target(_message.Message):
    __slots__ = ("flange_pose", "joint_posture")
    FLANGE_POSE_FIELD_NUMBER: _ClassVar[int]
    JOINT_POSTURE_FIELD_NUMBER: _ClassVar[int]
    flange_pose: _wire_pb2.Pose
    joint_posture: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, flange_pose: _Optional[_Union[_wire_pb2.Pose, _Mapping]] = ..., joint_posture: _Optional[_Iterable[float]] = ...) -> None: ...

class Reason(_message.Message):
    __slots__ = ("code", "sentence")
    CODE_FIELD_NUMBER: _ClassVar[int]
    SENTENCE_FIELD_NUMBER: _ClassVar[int]
    code: str
    sentence: str
    def __init__(self, code: _Optional[str] = ..., sentence: _Optional[str] = ...) -> None: ...

class ArmState(_message.Message):
    __slots__ = ("measured_at", "joint_position", "joint_velocity", "flange_pose", "commanded_flange_pose", "external_wrench", "fault")
    MEASURED_AT_FIELD_NUMBER: _ClassVar[int]
    JOINT_POSITION_FIELD_NUMBER: _ClassVar[int]
    JOINT_VELOCITY_FIELD_NUMBER: _ClassVar[int]
    FLANGE_POSE_FIELD_NUMBER: _ClassVar[int]
    COMMANDED_FLANGE_POSE_FIELD_NUMBER: _ClassVar[int]
    EXTERNAL_WRENCH_FIELD_NUMBER: _ClassVar[int]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    measured_at: float
    joint_position: _containers.RepeatedScalarFieldContainer[float]
    joint_velocity: _containers.RepeatedScalarFieldContainer[float]
    flange_pose: _wire_pb2.Pose
    commanded_flange_pose: _wire_pb2.Pose
    external_wrench: _containers.RepeatedScalarFieldContainer[float]
    fault: str
    def __init__(self, measured_at: _Optional[float] = ..., joint_position: _Optional[_Iterable[float]] = ..., joint_velocity: _Optional[_Iterable[float]] = ..., flange_pose: _Optional[_Union[_wire_pb2.Pose, _Mapping]] = ..., commanded_flange_pose: _Optional[_Union[_wire_pb2.Pose, _Mapping]] = ..., external_wrench: _Optional[_Iterable[float]] = ..., fault: _Optional[str] = ...) -> None: ...

class GripperState(_message.Message):
    __slots__ = ("measured_at", "width", "is_moving", "is_grasping", "fault")
    MEASURED_AT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    IS_MOVING_FIELD_NUMBER: _ClassVar[int]
    IS_GRASPING_FIELD_NUMBER: _ClassVar[int]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    measured_at: float
    width: float
    is_moving: bool
    is_grasping: bool
    fault: str
    def __init__(self, measured_at: _Optional[float] = ..., width: _Optional[float] = ..., is_moving: _Optional[bool] = ..., is_grasping: _Optional[bool] = ..., fault: _Optional[str] = ...) -> None: ...

class Tick(_message.Message):
    __slots__ = ("tick", "at", "lateness", "missed_ticks", "mode", "why", "arm", "flange_from_tcp", "gripper", "proposed", "stopping", "sent", "was_tracked", "verdict", "reasons", "gripper_opening", "session", "chunk_sequence", "chunk_step", "chunk_age", "camera_ages", "held", "hold_age", "memory_json", "memory_is_new")
    class CameraAgesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    TICK_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    LATENESS_FIELD_NUMBER: _ClassVar[int]
    MISSED_TICKS_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    ARM_FIELD_NUMBER: _ClassVar[int]
    FLANGE_FROM_TCP_FIELD_NUMBER: _ClassVar[int]
    GRIPPER_FIELD_NUMBER: _ClassVar[int]
    PROPOSED_FIELD_NUMBER: _ClassVar[int]
    STOPPING_FIELD_NUMBER: _ClassVar[int]
    SENT_FIELD_NUMBER: _ClassVar[int]
    WAS_TRACKED_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    GRIPPER_OPENING_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    CHUNK_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CHUNK_STEP_FIELD_NUMBER: _ClassVar[int]
    CHUNK_AGE_FIELD_NUMBER: _ClassVar[int]
    CAMERA_AGES_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    HOLD_AGE_FIELD_NUMBER: _ClassVar[int]
    MEMORY_JSON_FIELD_NUMBER: _ClassVar[int]
    MEMORY_IS_NEW_FIELD_NUMBER: _ClassVar[int]
    tick: int
    at: float
    lateness: float
    missed_ticks: int
    mode: str
    why: str
    arm: ArmState
    flange_from_tcp: _wire_pb2.Pose
    gripper: GripperState
    proposed: Target
    stopping: bool
    sent: Target
    was_tracked: bool
    verdict: _wire_pb2.VerdictKind
    reasons: _containers.RepeatedCompositeFieldContainer[Reason]
    gripper_opening: float
    session: str
    chunk_sequence: int
    chunk_step: int
    chunk_age: float
    camera_ages: _containers.ScalarMap[str, float]
    held: bool
    hold_age: float
    memory_json: str
    memory_is_new: bool
    def __init__(self, tick: _Optional[int] = ..., at: _Optional[float] = ..., lateness: _Optional[float] = ..., missed_ticks: _Optional[int] = ..., mode: _Optional[str] = ..., why: _Optional[str] = ..., arm: _Optional[_Union[ArmState, _Mapping]] = ..., flange_from_tcp: _Optional[_Union[_wire_pb2.Pose, _Mapping]] = ..., gripper: _Optional[_Union[GripperState, _Mapping]] = ..., proposed: _Optional[_Union[Target, _Mapping]] = ..., stopping: _Optional[bool] = ..., sent: _Optional[_Union[Target, _Mapping]] = ..., was_tracked: _Optional[bool] = ..., verdict: _Optional[_Union[_wire_pb2.VerdictKind, str]] = ..., reasons: _Optional[_Iterable[_Union[Reason, _Mapping]]] = ..., gripper_opening: _Optional[float] = ..., session: _Optional[str] = ..., chunk_sequence: _Optional[int] = ..., chunk_step: _Optional[int] = ..., chunk_age: _Optional[float] = ..., camera_ages: _Optional[_Mapping[str, float]] = ..., held: _Optional[bool] = ..., hold_age: _Optional[float] = ..., memory_json: _Optional[str] = ..., memory_is_new: _Optional[bool] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("at", "event", "refusal", "mode_before", "mode_after")
    AT_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    MODE_BEFORE_FIELD_NUMBER: _ClassVar[int]
    MODE_AFTER_FIELD_NUMBER: _ClassVar[int]
    at: float
    event: _wire_pb2.OperatorEvent
    refusal: str
    mode_before: str
    mode_after: str
    def __init__(self, at: _Optional[float] = ..., event: _Optional[_Union[_wire_pb2.OperatorEvent, _Mapping]] = ..., refusal: _Optional[str] = ..., mode_before: _Optional[str] = ..., mode_after: _Optional[str] = ...) -> None: ...

class Chunk(_message.Message):
    __slots__ = ("at", "observation", "chunk", "refusal")
    AT_FIELD_NUMBER: _ClassVar[int]
    OBSERVATION_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    at: float
    observation: _wire_pb2.Observation
    chunk: _wire_pb2.ActionChunk
    refusal: str
    def __init__(self, at: _Optional[float] = ..., observation: _Optional[_Union[_wire_pb2.Observation, _Mapping]] = ..., chunk: _Optional[_Union[_wire_pb2.ActionChunk, _Mapping]] = ..., refusal: _Optional[str] = ...) -> None: ...
