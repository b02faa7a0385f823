"""The makers' limits of the arms, as published; the arm's own report chooses the table.

FR3 joint speed depends on the joint position, so that the arm can always brake before its range ends.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from robot_contract.errors import RigError, nearest_name
from robot_contract.pose import Vector, read_only

ArmModel = Literal["fr3", "fr3_before_5_9", "panda"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ArmTable:
    name: ArmModel
    joint_low: Vector  # (7,) [rad]
    joint_high: Vector  # (7,) [rad]
    joint_speed: Vector  # (7,) [rad/s], far from the ends of the range
    joint_speed_offset: Vector | None  # (7,) [rad/s], FR3's position-dependent speed; None: constant speed
    joint_braking: Vector | None  # (7,) [rad/s^2], with it
    speed: float  # [m/s]
    acceleration: float  # [m/s^2]
    jerk: float  # [m/s^3]
    angular_speed: float  # [rad/s]
    angular_acceleration: float  # [rad/s^2]
    angular_jerk: float  # [rad/s^3]

    def joint_speed_up(self, joint_position: Vector) -> Vector:
        """Greatest speed [rad/s] of each joint towards its upper end."""
        return self._joint_speed(self.joint_high - joint_position)

    def joint_speed_down(self, joint_position: Vector) -> Vector:
        """Greatest speed [rad/s] of each joint towards its lower end."""
        return self._joint_speed(joint_position - self.joint_low)

    def joint_speeds(self, highest: Vector, lowest: Vector) -> Vector:
        """(2, 7) or, the same for both, (7,): greatest speeds [rad/s] up from here and down from there."""
        return self._joint_speed(np.array([self.joint_high - highest, lowest - self.joint_low]))

    def _joint_speed(self, room: Vector) -> Vector:
        if self.joint_braking is None or self.joint_speed_offset is None:
            return self.joint_speed
        braking = np.sqrt(np.maximum(2 * self.joint_braking * room, 0.0)) - self.joint_speed_offset
        return np.minimum(self.joint_speed, np.maximum(braking, 0.0))


_FR3_SPEED = read_only([2.62, 2.62, 2.62, 2.62, 5.26, 4.18, 5.26])
_FR3_SPEED_OFFSET = read_only([0.6599, 0.2517, 0.2000, 0.3533, 0.5757, 0.4878, 0.4628])
_FR3_BRAKING = read_only([6.0, 2.585, 3.5, 4.0, 17.0, 5.5, 17.0])

ARM_TABLES: dict[ArmModel, ArmTable] = {
    "fr3": ArmTable(
        name="fr3",
        joint_low=read_only([-2.9007, -1.8361, -2.9007, -3.0770, -2.8763, 0.4398, -3.0508]),
        joint_high=read_only([2.9007, 1.8361, 2.9007, -0.1169, 2.8763, 4.6216, 3.0508]),
        joint_speed=_FR3_SPEED,
        joint_speed_offset=_FR3_SPEED_OFFSET,
        joint_braking=_FR3_BRAKING,
        speed=3.0,
        acceleration=9.0,
        jerk=4500.0,
        angular_speed=2.5,
        angular_acceleration=17.0,
        angular_jerk=8500.0,
    ),
    "fr3_before_5_9": ArmTable(
        name="fr3_before_5_9",
        joint_low=read_only([-2.7437, -1.7837, -2.9007, -3.0421, -2.8065, 0.5445, -3.0159]),
        joint_high=read_only([2.7437, 1.7837, 2.9007, -0.1518, 2.8065, 4.5169, 3.0159]),
        joint_speed=_FR3_SPEED,
        joint_speed_offset=_FR3_SPEED_OFFSET,
        joint_braking=_FR3_BRAKING,
        speed=3.0,
        acceleration=9.0,
        jerk=4500.0,
        angular_speed=2.5,
        angular_acceleration=17.0,
        angular_jerk=8500.0,
    ),
    "panda": ArmTable(
        name="panda",
        joint_low=read_only([-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973]),
        joint_high=read_only([2.8973, 1.7628, 2.8973, -0.0698, 2.8973, 3.7525, 2.8973]),
        joint_speed=read_only([2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61]),
        joint_speed_offset=None,
        joint_braking=None,
        speed=1.7,
        acceleration=13.0,
        jerk=6500.0,
        angular_speed=2.5,
        angular_acceleration=25.0,
        angular_jerk=12500.0,
    ),
}


def arm_table(robot: str, system_version: str | None = None) -> ArmTable:
    """Return the table for what the arm says it is: `fr3` with its system version, or `panda` (also FER)."""
    match robot.lower():
        case "panda" | "fer":
            return ARM_TABLES["panda"]
        case "fr3":
            if system_version is None or _version(system_version) < (5, 9):
                return ARM_TABLES["fr3_before_5_9"]  # the narrower range
            return ARM_TABLES["fr3"]
        case _:
            hint = nearest_name(robot, ("fr3", "panda", "fer"))
            raise RigError(f"arm model: expected fr3, panda or fer, found {robot!r}; {hint}")


def _version(text: str) -> tuple[int, int]:
    parts = text.split(".")
    if len(parts) < 2 or not all(part.isdigit() for part in parts[:2]):
        raise RigError(f"arm system version: expected two numbers such as 5.9, found {text!r}")
    return int(parts[0]), int(parts[1])
