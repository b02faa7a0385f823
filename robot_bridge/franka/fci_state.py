"""What the arm tells over its control interface, in our units and frames."""

from dataclasses import dataclass
from typing import Literal

from robot_contract.pose import Pose, Vector

Tracking = Literal["impedance", "velocity"]


@dataclass(frozen=True, kw_only=True, eq=False)
class FciState:
    robot_time: float  # [s] since the arm started; stands still when the state does
    joint_position: Vector  # (7,) [rad]
    joint_velocity: Vector  # (7,) [rad/s]
    flange_pose: Pose
    external_wrench: Vector  # (6,) [N, Nm] on the arm, base frame, at the flange
    errors: tuple[str, ...]  # the arm's own, or the mode that it cannot move in
    in_control: bool
    success_rate: float  # 0..1, of the last 100 control packets; 0 without a motion
