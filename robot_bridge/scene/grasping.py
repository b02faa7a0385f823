"""Where the hand goes to take an object, and how the object reaches into space, from its pose alone."""

from dataclasses import dataclass

import numpy as np

from robot_bridge.scene.catalogue import CatalogueObject, Thing
from robot_bridge.scene.parts import extent
from robot_contract.pose import Pose, Vector, quaternion_from_rotation_vector, quaternion_multiply

LOWEST_TCP = 0.013  # [m] the finger tips reach about 9 mm below the TCP
WIDEST_YAW = 1.75  # [rad] either way; beyond it the wrist comes near its stop
_UPRIGHT = 0.8  # cosine of the tilt up to which an object counts as standing
_POINTING_DOWN = np.array([1.0, 0.0, 0.0, 0.0])
_REPEAT = {"full": 0.0, "quarter": np.pi / 2, "half": np.pi}


@dataclass(frozen=True, kw_only=True, eq=False)
class Grasp:
    position: Vector  # [m] of the TCP, base frame
    yaw: float  # [rad] of the hand


def pointing_down(yaw: float) -> Vector:
    """Quaternion of a hand that points straight down; at yaw 0 the fingers close along base y."""
    return quaternion_multiply(quaternion_from_rotation_vector(np.array([0.0, 0.0, yaw])), _POINTING_DOWN)


def hand_yaw(tcp: Pose) -> float:
    x_axis = tcp.matrix()[:2, 0]
    return float(np.arctan2(x_axis[1], x_axis[0]))


def nearest_yaw(wanted: float, repeat: float, present: float) -> float:
    """Of the yaws that differ from `wanted` by whole repeats, the nearest one that the wrist reaches."""
    turns = np.arange(-8, 9)
    candidates = wanted + turns * repeat
    reachable = candidates[np.abs(candidates) <= WIDEST_YAW]
    return float(reachable[np.argmin(np.abs(reachable - present))]) if len(reachable) else present


def grasp_of(thing: CatalogueObject, pose: Pose, present_yaw: float) -> Grasp:
    """Take a standing object as the catalogue says, a fallen one across its middle."""
    rotation = pose.matrix()[:3, :3]
    up = rotation[:, 2]
    if abs(up[2]) >= _UPRIGHT:
        position = pose.position + up * thing.grasp_height
        repeat, wanted = _REPEAT[thing.yaw_symmetry], float(np.arctan2(rotation[1, 0], rotation[0, 0]))
        yaw = nearest_yaw(wanted, repeat, present_yaw) if repeat else present_yaw
    else:
        position = pose.position + up * (thing.height / 2)
        yaw = nearest_yaw(float(np.arctan2(up[1], up[0])), np.pi, present_yaw)
    return Grasp(position=np.array([*position[:2], max(position[2], LOWEST_TCP)]), yaw=yaw)


def top(thing: Thing, pose: Pose) -> float:
    """Highest point [m], base frame."""
    return float(pose.position[2]) + _along(thing, pose, 1.0)


def bottom(thing: Thing, pose: Pose) -> float:
    """Lowest point [m], base frame."""
    return float(pose.position[2]) - _along(thing, pose, -1.0)


def _along(thing: Thing, pose: Pose, sign: float) -> float:
    x, y, z = (sign * pose.matrix()[2, :3]).tolist()
    if z > 0.999:
        return thing.height
    if z < -0.999:
        return 0.0
    return extent(thing.parts, (x, y, z))
