"""What the loop tells a recorder: everything a tick saw and did, enough to judge it again bit for bit.

A recorder never makes the loop wait: what it cannot take at once it drops, counts and reports.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from robot_bridge.devices import Frame, GripperState
from robot_bridge.safety import Memory, RobotState, SafetyLimits, Target, Verdict
from robot_contract.messages import (
    ActionChunk,
    Observation,
    OperatorEvent,
    RecordingStatus,
    TrialSetup,
    VerdictKind,
)
from robot_contract.policy_contract import PolicyContract


@dataclass(frozen=True, kw_only=True, eq=False)
class TrialBegins:
    at: float  # [s], bridge clock
    wall_time: float  # [s] since 1970, for people only
    setup: TrialSetup
    instruction: str
    contract: PolicyContract
    rig: str
    rig_digest: str
    limits: SafetyLimits
    limits_digest: str
    calibration_digests: Mapping[str, str]  # by camera
    scene: str  # canonical JSON; empty on hardware


@dataclass(frozen=True, kw_only=True, eq=False)
class TrialEnds:
    at: float  # [s]
    why: str
    verdict_counts: Mapping[VerdictKind, int]
    success: bool | None = None  # as a simulated scene knows it
    stage: str = ""  # the furthest that the scene got to


@dataclass(frozen=True, kw_only=True, eq=False)
class TickRecord:
    tick: int
    at: float  # [s], the `now` of everything in this tick
    lateness: float  # [s] after the tick's deadline
    missed_ticks: int  # since the bridge started
    trial_id: str
    mode: str  # the state's own name, finer than the mode
    why: str
    state: RobotState  # what the filter saw
    gripper: GripperState
    proposed: Target | None
    stopping: bool
    memory_before: Memory
    memory_after: Memory
    sent: Target
    was_tracked: bool  # did it go to the arm?
    verdict: Verdict
    gripper_opening: float  # commanded, 0..1
    session: str
    chunk_sequence: int  # of the chunk in force, -1 for none
    chunk_step: int  # of that chunk, -1 for none
    chunk_age: float  # [s] past the last valid target; infinite with none
    camera_ages: Mapping[str, float]  # [s]
    held: bool
    hold_age: float  # [s]
    limits_digest: str


@dataclass(frozen=True, kw_only=True, eq=False)
class EventRecord:
    at: float  # [s]
    event: OperatorEvent
    refusal: str  # empty when it was carried out
    mode_before: str
    mode_after: str


@dataclass(frozen=True, kw_only=True, eq=False)
class ChunkRecord:
    at: float  # [s] of arrival
    observation: Observation  # what was asked with
    chunk: ActionChunk | None
    refusal: str  # why it was not used; empty when it was


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameRecord:
    camera: str
    frame: Frame


Record = TrialBegins | TrialEnds | TickRecord | EventRecord | ChunkRecord | FrameRecord


class Recorder(Protocol):
    def write(self, record: Record) -> None:
        """Take it at once or drop it and count; never wait, never raise."""
        ...

    def refusal(self) -> str:
        """Why no trial can be recorded now; empty when one can."""
        ...

    def status(self) -> RecordingStatus: ...
    def close(self) -> None: ...


class NoRecorder:
    """Keeps nothing, and says so."""

    def write(self, record: Record) -> None:
        pass

    def refusal(self) -> str:
        return "this bridge runs without a recorder; prepare the trial with record: false"

    def status(self) -> RecordingStatus:
        return RecordingStatus(
            active=False, path="", dropped=0, free_bytes=0, problem="the bridge runs without a recorder"
        )

    def close(self) -> None:
        pass
