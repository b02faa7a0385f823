"""The messages between server, bridge and console, as the programs see them.

Frozen, keyword-only, SI units; `robot_contract.wire` is the only place that turns them into protobuf and
back, and it validates on the way in, so that nobody checks again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from robot_contract.pose import Pose, Vector

Mode = Literal["IDLE", "ARMED", "RUNNING", "HOLDING", "FAULT"]
VerdictKind = Literal["PASS", "CLAMP", "HOLD", "STOP"]
OperatorAction = Literal["arm", "disarm", "start", "pause", "stop", "clear"]
RefusalReason = Literal[
    "superseded",
    "deadline",
    "overloaded",
    "invalid",
    "unknown_policy",
    "unauthorised",
    "draining",
    "internal",
]


@dataclass(frozen=True, kw_only=True)
class CameraImage:
    jpeg: bytes = field(repr=False)  # quality 95, 4:2:0, RGB
    width: int  # [px]
    height: int  # [px]
    exposed_at: float  # [s], bridge clock


@dataclass(frozen=True, kw_only=True, eq=False)
class Observation:
    policy: str
    session: str  # one robot's connection; a new one after every start
    sequence: int  # counts up within the session
    observed_at: float  # [s], bridge clock: the oldest image's exposure
    images: Mapping[str, CameraImage]
    tcp_pose: Pose  # measured, base frame, at observed_at
    joint_position: Vector  # (7,) [rad], at observed_at
    gripper_width: float  # [m], at observed_at
    gripper_command: float  # last commanded opening, 0..1
    instruction: str
    deadline: float  # [s] from now until the answer is worthless


@dataclass(frozen=True, kw_only=True)
class Timings:
    queue: float  # [s] waiting for a place in a batch
    preprocess: float  # [s] decoding and preparing images
    model: float  # [s] in the model, the whole batch
    total: float  # [s] from arrival to answer, server's clock
    batch_size: int


@dataclass(frozen=True, kw_only=True, eq=False)
class ActionChunk:
    session: str  # as in the observation
    sequence: int  # as in the observation
    observed_at: float  # as in the observation
    actions: Vector  # (K, 7): dx dy dz [m], rx ry rz [rad] rotation vector, gripper opening 0..1
    interface_digest: str
    policy_digest: str
    timings: Timings


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why an observation got no chunk."""

    session: str
    sequence: int
    reason: RefusalReason
    sentence: str


@dataclass(frozen=True, kw_only=True)
class PolicyStatus:
    name: str
    state: Literal["loading", "warming", "serving", "draining", "failed"]
    interface_digest: str
    policy_digest: str
    sessions: int
    served: int  # chunks since start
    refused: Mapping[str, int]  # by reason


@dataclass(frozen=True, kw_only=True)
class ServerStatus:
    version: str
    uptime: float  # [s]
    device: str
    policies: tuple[PolicyStatus, ...]
    queue_length: int
    batch_seconds: tuple[float, float]  # fitted t(B) = a + b B: (a, b) [s]


@dataclass(frozen=True, kw_only=True)
class SceneSetup:
    """Which scene a simulated robot builds; ignored by hardware, which refuses it."""

    split: str  # "train", "vision", ...; empty when `document` is given
    seed: int
    document: str = ""  # a whole scene as canonical JSON


@dataclass(frozen=True, kw_only=True)
class TrialSetup:
    trial_id: str  # letters, digits, '-', '_', '.'; names the recording
    policy: str
    instruction: str  # empty: the scene's own
    start_pose: str  # a named joint pose of the rig
    time_limit: float  # [s]
    record: bool
    scene: SceneSetup | None = None  # simulated robots only


@dataclass(frozen=True, kw_only=True)
class OperatorEvent:
    action: OperatorAction
    operator: str  # who pressed; recorded
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Heartbeat:
    """One per browser heartbeat while the key is held, never made by the console's server."""

    nonce: int  # the newest one that the bridge sent
    press: int  # new for each press of the key; a hold that was lost needs a new one
    held: bool


@dataclass(frozen=True, kw_only=True)
class HoldState:
    nonce: int  # to be echoed
    held: bool  # does the bridge count the key as held?
    age: float  # [s] since the echoed nonce left the bridge
    press: int  # the press that counts, 0 for none


@dataclass(frozen=True, kw_only=True)
class JointGoal:
    """Where `MoveTo` goes: a named pose of the rig, or seven joint angles."""

    name: str = ""
    joint_position: tuple[float, ...] = ()  # [rad]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    kind: VerdictKind
    reasons: tuple[str, ...] = ()  # sentences; empty for PASS


@dataclass(frozen=True, kw_only=True)
class CameraStatus:
    name: str
    age: float  # [s] since exposure; infinite before the first frame
    age_limit: float  # [s]
    rate: float  # [Hz] measured


@dataclass(frozen=True, kw_only=True)
class RecordingStatus:
    active: bool
    path: str
    dropped: int  # records that did not fit the queue
    free_bytes: int
    problem: str = ""  # why nothing is recorded although it should be


@dataclass(frozen=True, kw_only=True)
class TruthStatus:
    """What only a simulated robot knows."""

    instruction: str
    stage: str
    success: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class BridgeStatus:
    at: float  # [s], bridge clock
    rig: str
    driver: str
    mode: Mode
    why: str  # why the mode is what it is, one sentence
    problems: tuple[str, ...]  # what stands against arming, all of it
    needs: str  # what the operator can do next, one sentence
    policy: str
    policy_digest: str
    trial_id: str
    instruction: str
    elapsed: float  # [s] of the running trial
    time_limit: float  # [s]
    verdict: Verdict  # of the newest tick
    verdict_counts: Mapping[str, int]  # PASS, CLAMP, HOLD, STOP since the trial began
    tcp_pose: Pose
    joint_position: Vector  # (7,) [rad]
    tcp_speed: float  # [m/s] measured
    gripper_width: float  # [m]
    arm_age: float  # [s]
    cameras: tuple[CameraStatus, ...]
    server: str  # address
    server_state: str  # "connected" or a sentence
    chunk_age: float  # [s] past the last valid target; infinite with none
    round_trip_p50: float  # [s] observation to arrival
    round_trip_p99: float  # [s]
    hold_required: bool
    held: bool
    hold_age: float  # [s]
    lease_holder: str  # who has the hold-to-run stream
    ticks: int
    missed_ticks: int
    late_chunks: int
    recording: RecordingStatus
    truth: TruthStatus | None = None


@dataclass(frozen=True, kw_only=True)
class CameraFrame:
    camera: str
    image: CameraImage
    age: float  # [s] when it was sent


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    trial_ids: tuple[str, ...]  # empty: all
    format: Literal["lerobot", "rlds"]
    destination: str  # a folder name under the bridge's own export folder


@dataclass(frozen=True, kw_only=True)
class Progress:
    done: int
    total: int
    sentence: str
