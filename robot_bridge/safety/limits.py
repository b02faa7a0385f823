"""The limits of the safety envelope: named profiles, the workspace, and the check against the maker's table.

One frozen value, checked once when it is made; every field is read by the filter and tested by its effect.
"""

from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from robot_bridge.safety.arm_tables import ArmTable
from robot_contract.errors import RigError, nearest_name
from robot_contract.pose import Vector, read_only

ProfileName = Literal["reduced", "normal"]

TABLE_SHARE = 0.9  # of the maker's limits: the most that a profile may ask of the arm
NOMINAL_POSTURE = read_only([0.0, -np.pi / 4, 0.0, -3 * np.pi / 4, 0.0, np.pi / 2, np.pi / 4])


@dataclass(frozen=True, kw_only=True)
class Profile:
    """How fast the arm may move: the speed at every tool point and the elbow, the rest at the TCP."""

    name: ProfileName
    speed: float  # [m/s]
    acceleration: float  # [m/s^2]
    jerk: float  # [m/s^3]
    angular_speed: float  # [rad/s]
    angular_acceleration: float  # [rad/s^2]
    angular_jerk: float  # [rad/s^3]


PROFILES: dict[ProfileName, Profile] = {
    "reduced": Profile(
        name="reduced",
        speed=0.25,
        acceleration=2.0,
        jerk=40.0,
        angular_speed=0.5,
        angular_acceleration=4.0,
        angular_jerk=80.0,
    ),
    "normal": Profile(
        name="normal",
        speed=0.5,
        acceleration=4.0,
        jerk=80.0,
        angular_speed=1.0,
        angular_acceleration=8.0,
        angular_jerk=160.0,
    ),
}


def profile(name: str) -> Profile:
    for known in PROFILES.values():
        if known.name == name:
            return known
    raise RigError(f"safety profile: found {name!r}; {nearest_name(name, PROFILES)}")


def is_stricter(asked: Profile, than: Profile) -> bool:
    """True where `asked` allows nothing that `than` does not."""
    return all(
        getattr(asked, each.name) <= getattr(than, each.name)
        for each in fields(Profile)
        if each.name != "name"
    )


def stricter(asked: Profile, than: Profile) -> Profile:
    """Return `asked`, or raise where it would loosen `than` (the rig's own)."""
    if not is_stricter(asked, than):
        raise RigError(
            f"safety profile {asked.name!r} is looser than the rig's {than.name!r}: "
            "a launch argument may only make it stricter"
        )
    return asked


@dataclass(frozen=True, kw_only=True, eq=False)
class ToolPoint:
    """A ball fixed to the flange that must keep to the speed, the workspace, the table and the keep-outs."""

    name: str
    position: Vector  # (3,) [m], flange frame
    radius: float = 0.0  # [m]

    def __post_init__(self) -> None:
        object.__setattr__(self, "position", read_only(self.position))


@dataclass(frozen=True, kw_only=True, eq=False)
class Box:
    """An axis-aligned box in the base frame."""

    name: str
    low: Vector  # (3,) [m]
    high: Vector  # (3,) [m]

    def __post_init__(self) -> None:
        object.__setattr__(self, "low", read_only(self.low))
        object.__setattr__(self, "high", read_only(self.high))


def _hand_points() -> tuple[ToolPoint, ...]:
    """Franka hand: turned by -pi/4 about the flange's z; its fingers open along its y, 0.04 m each."""
    sideways = np.array([np.sqrt(0.5), np.sqrt(0.5), 0.0])  # the hand's y in the flange frame
    return (
        ToolPoint(name="flange", position=np.zeros(3)),
        ToolPoint(name="hand_left", position=0.10 * sideways + [0, 0, 0.033]),
        ToolPoint(name="hand_right", position=-0.10 * sideways + [0, 0, 0.033]),
        ToolPoint(name="finger_left", position=0.05 * sideways + [0, 0, 0.1124]),
        ToolPoint(name="finger_right", position=-0.05 * sideways + [0, 0, 0.1124]),
    )


FRANKA_HAND_POINTS = _hand_points()


@dataclass(frozen=True, kw_only=True, eq=False)
class SafetyLimits:
    """Everything that `filter_action` enforces."""

    profile: Profile
    arm: ArmTable
    workspace: Box  # every tool point stays in it
    table_height: float  # [m], base frame: every tool point stays above
    keep_out: tuple[Box, ...] = ()  # no tool point enters one
    tool_points: tuple[ToolPoint, ...] = FRANKA_HAND_POINTS
    step_distance: float = 0.06  # [m] the farthest that a target may lead the one sent before
    step_angle: float = 0.3  # [rad]
    gross_distance: float = 0.25  # [m] farther from the sent target is a fault of the policy
    gross_angle: float = 1.2  # [rad]
    leash_distance: float = 0.04  # [m] the farthest that the sent target may lead the measured pose
    leash_angle: float = 0.3  # [rad]
    arm_age: float = 0.05  # [s] older states of the arm are not believed
    late_period: float = 0.05  # [s] after a longer pause between two ticks the motion starts from rest
    joint_margin: float = 0.05  # [rad] kept from each end of the maker's range
    joint_speed_share: float = 0.8  # of the maker's (position-dependent) joint speed
    singularity_slow: float = 17.0  # condition number of the Jacobian where the arm begins to slow down
    singularity_halt: float = 30.0  # and where it goes no farther
    nominal_posture: Vector = field(
        default_factory=lambda: NOMINAL_POSTURE
    )  # (7,) [rad] that the null space tends to

    def __post_init__(self) -> None:
        object.__setattr__(self, "nominal_posture", read_only(self.nominal_posture))
        _validate(self)

    @cached_property
    def joint_low(self) -> Vector:
        return read_only(self.arm.joint_low + self.joint_margin)

    @cached_property
    def joint_high(self) -> Vector:
        return read_only(self.arm.joint_high - self.joint_margin)

    @cached_property
    def point_positions(self) -> Vector:
        """(n, 3) [m], flange frame."""
        return read_only([point.position for point in self.tool_points])

    @cached_property
    def point_radii(self) -> Vector:
        """(n,) [m]."""
        return read_only([point.radius for point in self.tool_points])

    def with_profile(self, asked: Profile) -> "SafetyLimits":
        """These limits with a stricter profile; a looser one raises."""
        return replace(self, profile=stricter(asked, self.profile))


_POSITIVE = (
    "step_distance",
    "step_angle",
    "gross_distance",
    "gross_angle",
    "leash_distance",
    "leash_angle",
    "arm_age",
    "late_period",
)
_CEILINGS = {  # no rig may loosen these beyond what was tested
    "leash_distance": 0.1,
    "leash_angle": 0.6,
    "arm_age": 0.1,
    "late_period": 0.1,
    "gross_distance": 0.5,
    "gross_angle": 1.6,
    "joint_speed_share": TABLE_SHARE,
    "singularity_halt": 60.0,
}


def _validate(limits: SafetyLimits) -> None:
    for name in (each.name for each in fields(Profile) if each.name != "name"):
        value, ceiling = getattr(limits.profile, name), TABLE_SHARE * getattr(limits.arm, name)
        if not 0 < value <= ceiling:
            raise RigError(
                f"limits.profile.{name}: found {value}, accepted is above 0 and up to {ceiling:g} "
                f"({TABLE_SHARE:.0%} of the maker's table for {limits.arm.name})"
            )
    for name in _POSITIVE:
        if not 0 < getattr(limits, name) < np.inf:
            raise RigError(f"limits.{name}: expected a positive number, found {getattr(limits, name)}")
    for name, ceiling in _CEILINGS.items():
        if not 0 < getattr(limits, name) <= ceiling:
            raise RigError(
                f"limits.{name}: found {getattr(limits, name)}, accepted is above 0 and up to {ceiling}"
            )
    if not limits.gross_distance > limits.step_distance or not limits.gross_angle > limits.step_angle:
        raise RigError("limits.gross_distance and gross_angle: expected more than step_distance, step_angle")
    if not 1 < limits.singularity_slow < limits.singularity_halt:
        raise RigError("limits.singularity_slow: expected more than 1 and less than singularity_halt")
    if not 0.02 <= limits.joint_margin <= 0.5:
        raise RigError(f"limits.joint_margin: found {limits.joint_margin}, accepted is 0.02 to 0.5 rad")
    if not np.isfinite(limits.table_height):
        raise RigError(f"limits.table_height: expected a finite height, found {limits.table_height}")
    for box in (limits.workspace, *limits.keep_out):
        if not (_is_vector(box.low, 3) and _is_vector(box.high, 3) and bool(np.all(box.low < box.high))):
            raise RigError(f"limits box {box.name!r}: expected low < high, found {box.low} and {box.high}")
    if not limits.workspace.high[2] > limits.table_height:
        raise RigError("limits.workspace: lies below limits.table_height; nothing of it can be reached")
    if not limits.tool_points:
        raise RigError("limits.tool_points: expected at least one point of the tool, found none")
    for point in limits.tool_points:
        if not (_is_vector(point.position, 3) and float(np.abs(point.position).max()) <= 1.0):
            raise RigError(
                f"limits tool point {point.name!r}: expected 3 coordinates within 1 m of the flange"
            )
        if not 0 <= point.radius <= 0.5:
            raise RigError(f"limits tool point {point.name!r}: radius {point.radius}, accepted is 0 to 0.5 m")
    nominal = limits.nominal_posture
    inside = _is_vector(nominal, 7) and bool(
        np.all((limits.joint_low < nominal) & (nominal < limits.joint_high))
    )
    if not inside:
        raise RigError(f"limits.nominal_posture: expected 7 angles inside the joint range, found {nominal}")


def _is_vector(values: npt.NDArray[np.float64], size: int) -> bool:
    return values.shape == (size,) and bool(np.isfinite(values).all())
