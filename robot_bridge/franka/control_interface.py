"""What the driver needs of an arm's control interface, in our units and frames; `Fci` is the real one."""

from dataclasses import dataclass
from typing import Literal, Protocol

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


class ControlInterface(Protocol):
    @property
    def tracking(self) -> Tracking: ...
    def read(self) -> FciState: ...
    def how_it_ended(self) -> tuple[str, ...]: ...
    def begin(self, joint_position: Vector) -> None: ...
    def pull(self, joint_position: Vector, joint_velocity: Vector) -> None: ...
    def push(self, twist: Vector) -> None: ...
    def halt(self) -> None: ...
    def recover(self) -> None: ...
    def close(self) -> None: ...
