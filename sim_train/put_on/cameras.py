"""Where the cameras of the put-on tasks are: the twin's, a calibration's or a rig's, in SAPIEN's terms."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import sapien

from robot_bridge.twin.settings import CameraSettings, TwinSettings
from robot_contract.pose import Pose, matrix_from_quaternion, quaternion_from_matrix

# SAPIEN's camera looks along x with y to the left; an optical frame along z with x to the right.
_OPTICAL_FROM_SAPIEN = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])


@dataclass(frozen=True, kw_only=True, eq=False)
class PutOnCamera:
    mount: Literal["base", "flange"]
    mount_from_camera: Pose  # optical frame: z forward, x right, y down
    width: int  # [px] as drawn
    height: int  # [px] as drawn
    vertical_field_of_view: float  # [rad] of what is drawn


def default_cameras(*, crop: float = 1.0, size: int = 192) -> dict[str, PutOnCamera]:
    """The twin's two cameras, the middle square of their pictures, `crop` of its side."""
    settings = TwinSettings().cameras
    return {name: middle_square(camera, crop=crop, size=size) for name, camera in settings.items()}


def middle_square(camera: CameraSettings, *, crop: float, size: int) -> PutOnCamera:
    """What a contract's cut shows of this camera, drawn `size` pixels wide and high."""
    half = np.tan(0.5 * camera.vertical_field_of_view) * crop
    return PutOnCamera(
        mount=camera.mount,
        mount_from_camera=camera.mount_from_camera,
        width=size,
        height=size,
        vertical_field_of_view=float(2.0 * np.arctan(half)),
    )


def sapien_camera_pose(mount_from_camera: Pose) -> sapien.Pose:
    rotation = matrix_from_quaternion(mount_from_camera.quaternion) @ _OPTICAL_FROM_SAPIEN
    x, y, z, w = quaternion_from_matrix(rotation).tolist()
    return sapien.Pose(p=mount_from_camera.position, q=[w, x, y, z])
