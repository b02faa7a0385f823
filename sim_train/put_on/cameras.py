"""Where the cameras of the put-on tasks are: the twin's, a calibration's or a rig's, in SAPIEN's terms."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import sapien

from robot_bridge.rig import Rig
from robot_bridge.scene.scene import Scene
from robot_bridge.twin.settings import CameraSettings, TwinSettings
from robot_contract.errors import RigError
from robot_contract.pose import Pose, matrix_from_quaternion, quaternion_from_matrix
from sim_train.put_on.conditions import Conditions
from sim_train.put_on.poses import to_sapien

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


def rig_cameras(rig: Rig, *, crop: float, size: int) -> dict[str, PutOnCamera]:
    """A rig's cameras where they were calibrated; one without a calibration stands where the twin's does."""
    settings = TwinSettings().cameras
    placed: dict[str, PutOnCamera] = {}
    for camera in rig.cameras:
        if camera.calibration is None and camera.name not in settings:
            raise RigError(
                f"{rig.file.name}: camera {camera.name} has no calibration, so nobody knows where it is"
            )
        known = settings.get(camera.name, settings["external"])
        known = replace(known, vertical_field_of_view=camera.vertical_field_of_view)
        calibrated = known if camera.calibration is None else known.calibrated(camera.calibration)
        placed[camera.name] = middle_square(calibrated, crop=crop, size=size)
    return placed


def middle_square(camera: CameraSettings, *, crop: float, size: int) -> PutOnCamera:
    """What a contract's cut shows of this camera, drawn `size` pixels wide and high."""
    if camera.measured_intrinsics is None:
        half = np.tan(0.5 * camera.vertical_field_of_view) * crop
    else:
        half = 0.5 * camera.height / camera.measured_intrinsics[1] * crop
    return PutOnCamera(
        mount=camera.mount,
        mount_from_camera=camera.mount_from_camera,
        width=size,
        height=size,
        vertical_field_of_view=float(2.0 * np.arctan(half)),
    )


def pose_in(scene: Scene, conditions: Conditions, name: str, camera: PutOnCamera) -> Pose:
    """Where its mount carries this camera in an episode: off its calibrated pose, as the scene says."""
    offsets = {"external": scene.external_camera, "wrist": scene.wrist_camera}
    pose = camera.mount_from_camera
    for offset in (offsets.get(name), conditions.camera):
        if offset is not None:
            pose = pose @ Pose.from_rotation_vector(offset.translation, offset.rotation)
    return pose


def sapien_camera_pose(mount_from_camera: Pose) -> sapien.Pose:
    rotation = matrix_from_quaternion(mount_from_camera.quaternion) @ _OPTICAL_FROM_SAPIEN
    return to_sapien(mount_from_camera.position, quaternion_from_matrix(rotation))
