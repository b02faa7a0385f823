"""What can be set on the twin: how it is paced, how its arm and hand behave, what its cameras are like.

The defaults are the cell that the demo shows; a rig or a test replaces single fields.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from robot_bridge.devices import Picture
from robot_contract.calibration import CameraCalibration
from robot_contract.pose import Pose, quaternion_from_matrix

Intrinsics = tuple[float, float, float, float]  # fx, fy, cx, cy [px]; whole numbers are pixel centres

PHYSICS_PERIOD = 0.001  # [s], the arm's own control rate


def looking_at(eye: tuple[float, float, float], point: tuple[float, float, float]) -> Pose:
    """Pose of a camera (z forward, x right, y down) at `eye` [m] that looks at `point`, horizon level."""
    forward = np.array(point) - np.array(eye)
    forward = forward / np.linalg.norm(forward)
    up = np.array([0.0, 0.0, 1.0])
    right = np.cross(forward, up)
    right = right / np.linalg.norm(right)
    down = np.cross(forward, right)
    rotation = np.column_stack([right, down, forward]).astype(np.float64)
    return Pose(position=np.array(eye), quaternion=quaternion_from_matrix(rotation))


@dataclass(frozen=True, kw_only=True, eq=False)
class CameraSettings:
    """One camera; the intrinsics default to a RealSense D435's colour stream at 640x480."""

    mount: Literal["base", "flange"]
    mount_from_camera: Pose  # optical frame: z forward, x right, y down
    width: int = 640  # [px]
    height: int = 480  # [px]
    vertical_field_of_view: float = 0.7417  # [rad]; 42.5 degrees, a focal length of 617 px at 480 rows
    measured_intrinsics: Intrinsics | None = (
        None  # of a calibration, at this size; instead of the field of view
    )
    frame_rate_hz: float = 30.0
    latency: float = 0.035  # [s] from exposure to delivery
    latency_jitter: float = 0.003  # [s] standard deviation, cut at two
    exposure_jitter: float = 0.0005  # [s] standard deviation of the instant, cut at two
    gain: float = 1.0  # brightness factor, 1 is the renderer's
    gain_drift: float = 0.02  # standard deviation of the factor from picture to picture
    noise: float = 2.0  # standard deviation [grey levels of 255]
    shadows: bool = False  # looks better, and a picture takes several times as long

    def intrinsics(self) -> Intrinsics:
        """As measured; else square pixels of the field of view, centred."""
        if self.measured_intrinsics is not None:
            return self.measured_intrinsics
        focal = 0.5 * self.height / np.tan(0.5 * self.vertical_field_of_view)
        return float(focal), float(focal), 0.5 * (self.width - 1), 0.5 * (self.height - 1)

    def calibrated(self, calibration: CameraCalibration) -> "CameraSettings":
        """The same camera with the size, intrinsics, pose and latency that were measured; no distortion."""
        fx, fy = calibration.matrix[0, 0], calibration.matrix[1, 1]
        cx, cy = calibration.matrix[0, 2], calibration.matrix[1, 2]
        return replace(
            self,
            mount=calibration.parent,
            mount_from_camera=calibration.parent_from_camera,
            width=calibration.width,
            height=calibration.height,
            measured_intrinsics=(float(fx), float(fy), float(cx), float(cy)),
            latency=calibration.latency,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class ArmSettings:
    """Cartesian impedance and reflexes, at `track`'s own frame: the flange."""

    translational_stiffness: float = 800.0  # [N/m]
    rotational_stiffness: float = 50.0  # [Nm/rad]
    damping_ratio: float = 0.9
    damped_mass: float = 10.0  # [kg] that the arm shows at the flange, for the damping
    damped_inertia: float = 0.4  # [kg m^2]
    feed_forward: float = 0.8  # share of the reference's velocity that the damping does not oppose
    posture_stiffness: float = 10.0  # [Nm/rad], null space only
    largest_lag: float = 0.06  # [m], the spring is not stretched further
    largest_rotational_lag: float = 0.5  # [rad]
    reference_speed: float = 1.0  # [m/s], a target that jumps is approached at this speed
    reference_rotational_speed: float = 2.5  # [rad/s]
    target_lifetime: float = 0.1  # [s]; a target older than this stands still where it has come to
    force_threshold: float = 40.0  # [N] per axis, estimated at the flange
    torque_threshold: float = 25.0  # [Nm] per axis, estimated at the flange
    joint_torque_threshold: float = 40.0  # [Nm] external, per joint


@dataclass(frozen=True, kw_only=True, eq=False)
class GripperSettings:
    largest_width: float = 0.08  # [m]
    speed: float = 0.1  # [m/s] of the width
    force: float = 20.0  # [N] of each finger


def _default_cameras() -> dict[str, CameraSettings]:
    return {
        "external": CameraSettings(
            mount="base", mount_from_camera=looking_at((1.05, 0.42, 0.62), (0.47, 0.0, 0.06))
        ),
        "wrist": CameraSettings(
            mount="flange",
            mount_from_camera=Pose.from_matrix(_WRIST_CAMERA),
        ),
    }


def _wrist_camera() -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    # The lens is 75 mm in front of the flange's axis (hand x), level with the flange, the picture's top away
    # from the hand, tilted by 0.28 rad so that the fingertips are at the lower edge.
    hand = np.deg2rad(-45)
    flange_from_hand = np.eye(4)
    flange_from_hand[:2, :2] = [[np.cos(hand), -np.sin(hand)], [np.sin(hand), np.cos(hand)]]
    tilt = -0.28
    hand_from_camera = np.eye(4)
    forward = np.array([np.sin(tilt), 0.0, np.cos(tilt)])
    down = np.array([-np.cos(tilt), 0.0, np.sin(tilt)])
    hand_from_camera[:3, :3] = np.column_stack([np.cross(down, forward), down, forward])
    hand_from_camera[:3, 3] = [0.075, 0.0, 0.001]
    return flange_from_hand @ hand_from_camera


_WRIST_CAMERA = _wrist_camera()


@dataclass(frozen=True, kw_only=True, eq=False)
class Poster:
    """A stiff printed sheet, such as a calibration board: to be seen, not to be felt."""

    mount: Literal["base", "flange"]
    mount_from_sheet: Pose  # origin at the picture's upper left corner, x right, y down, z into the sheet
    width: float  # [m]
    height: float  # [m]
    picture: Picture


@dataclass(frozen=True, kw_only=True, eq=False)
class TwinSettings:
    clock: Literal["real", "stepped"] = "real"
    arm: ArmSettings = field(default_factory=ArmSettings)
    gripper: GripperSettings = field(default_factory=GripperSettings)
    cameras: dict[str, CameraSettings] = field(default_factory=_default_cameras)
    posters: tuple[Poster, ...] = ()
    gl: Literal["auto", "egl", "osmesa"] = "auto"  # what draws the pictures
