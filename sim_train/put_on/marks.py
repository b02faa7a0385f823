"""Where the named things are, in space and in the pictures: what training's extra losses are told."""

import numpy as np

from robot_bridge.scene.grasping import grasp_of, hand_yaw
from robot_bridge.scene.scene import Scene
from robot_bridge.scene.truth import SceneTruth
from robot_contract.pose import Pose, Vector


def marks_of(truth: SceneTruth, scene: Scene) -> Vector:
    """(2, 3) [m, base frame]: the point at which the named object is taken, and the receptacle's floor."""
    pose, place = truth.poses[scene.target_object], truth.poses[scene.target_receptacle]
    grasp = grasp_of(scene.target, pose, hand_yaw(truth.tcp_pose))
    floor = np.array([0.0, 0.0, scene.receptacle.floor])
    return np.array([grasp.position, place.position + floor])


def in_picture(
    points: Vector, base_from_camera: Pose, *, vertical_field_of_view: float, aspect: float
) -> Vector:
    """(n, 2) fractions of width and height, 0 at the upper left; NaN where the camera does not see.

    The camera's frame is optical: z forward, x right, y down.
    """
    seen = (points - base_from_camera.position) @ base_from_camera.matrix()[:3, :3]
    half = np.tan(0.5 * vertical_field_of_view)
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y = seen[:, 0] / (seen[:, 2] * half * aspect), seen[:, 1] / (seen[:, 2] * half)
    fractions = 0.5 + 0.5 * np.column_stack([x, y])
    visible = (seen[:, 2] > 0.01) & (fractions >= 0.0).all(axis=1) & (fractions <= 1.0).all(axis=1)
    return np.where(visible[:, None], fractions, np.nan)
