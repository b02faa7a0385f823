"""What the safety filter takes and gives: the arm's state, a target, and a verdict with its reasons."""

from dataclasses import dataclass

from robot_bridge.devices import ArmState
from robot_contract.messages import VerdictKind
from robot_contract.pose import Pose, Vector


@dataclass(frozen=True, kw_only=True, eq=False)
class Target:
    """What `Arm.track` gets."""

    flange_pose: Pose  # base frame
    joint_posture: Vector | None = None  # (7,) [rad] the inverse-kinematics solution that was judged


@dataclass(frozen=True, kw_only=True)
class Reason:
    code: str  # short machine name, such as `speed` or `joint_range`
    sentence: str  # for a person

    def __str__(self) -> str:
        return f"{self.code}: {self.sentence}"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """PASS: sent unchanged. CLAMP: sent within the limits. HOLD: no valid target. STOP: a fault, latched."""

    kind: VerdictKind
    reasons: tuple[Reason, ...] = ()

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(reason.code for reason in self.reasons)


@dataclass(frozen=True, kw_only=True, eq=False)
class RobotState:
    arm: ArmState
    flange_from_tcp: Pose

    def arm_age(self, now: float) -> float:
        """Age [s] of the arm's state."""
        return now - self.arm.measured_at
