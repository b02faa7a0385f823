"""What the loop needs of hardware: three small protocols and the states they report.

Every driver (`mock`, `twin`, `franka`, `crisp`, RealSense) implements these and nothing else is asked of it.
All instants are on the bridge's monotonic clock. A method that cannot do its work raises `DeviceFault`.
"""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from robot_contract.pose import Pose, Vector

Picture = npt.NDArray[np.uint8]  # (height, width, 3), RGB
DepthPicture = npt.NDArray[np.uint16]  # (height, width) [mm] along the optical axis; 0: not measured

_PRESSED = 0.002  # [m] under zero that a closed hand may measure


@dataclass(frozen=True, kw_only=True, eq=False)
class ArmState:
    measured_at: float  # [s], bridge clock
    joint_position: Vector  # (7,) [rad]
    joint_velocity: Vector  # (7,) [rad/s]
    flange_pose: Pose  # measured, base frame
    commanded_flange_pose: Pose  # last target that was tracked; holding repeats this, never the measured one
    external_wrench: Vector  # (6,) [N, Nm], base frame, at the flange, as the arm estimates it
    fault: str | None = None  # the arm's own name of a latched fault


@dataclass(frozen=True, kw_only=True, eq=False)
class GripperState:
    measured_at: float  # [s], bridge clock
    width: float  # [m] between the fingers
    is_moving: bool
    is_grasping: bool  # something is held with force
    fault: str | None = None


def finger_gap(measured: float) -> float:
    """[m] Closed fingers that press on each other measure a little under zero; all else stays as it is."""
    return 0.0 if -_PRESSED <= measured < 0.0 else measured


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    exposed_at: float  # [s], bridge clock, middle of the exposure
    sequence: int  # counts up by one per delivered picture; a frozen camera repeats it
    picture: Picture = field(repr=False)
    depth_mm: DepthPicture | None = field(default=None, repr=False)  # pixel by pixel on the picture; if any


class Arm(Protocol):
    """A seven-joint arm that follows flange poses.

    `track` sets the newest target and returns at once; the arm (or its real-time loop) moves there within
    its own tracking law. A target is good for the driver's own watchdog time only: when `track` stops being
    called the arm comes to rest. `stop` decelerates along the present path and latches a fault; only
    `recover`, called for a person, clears it.
    """

    def read(self) -> ArmState: ...
    def track(self, flange_pose: Pose, joint_posture: Vector | None) -> None: ...
    def stop(self) -> None: ...
    def recover(self) -> None: ...
    def close(self) -> None: ...


class Gripper(Protocol):
    """`move` sets the wanted width [m] and returns at once; closing on something grasps it."""

    def read(self) -> GripperState: ...
    def move(self, width: float) -> None: ...
    def close(self) -> None: ...


class Camera(Protocol):
    """`latest` returns the newest frame without waiting, or None before the first one."""

    def latest(self) -> Frame | None: ...
    def close(self) -> None: ...
