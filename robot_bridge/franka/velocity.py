"""The velocity command that keeps the tool on its reference: the reference's own, and the error in pose."""

import numpy as np

from robot_bridge.kinematics import forward
from robot_contract.pose import Pose, Vector, rotation_between

_GAIN = 6.0  # [1/s] velocity per error in pose
_LARGEST = (0.6, 1.5)  # [m/s] and [rad/s]


def tcp_twist(flange_pose: Pose, joint_position: Vector, joint_velocity: Vector, tool: Pose) -> Vector:
    """(6,) [m/s, rad/s] of the tool centre point in the base frame.

    `flange_pose` is measured, joint position and velocity are the reference's.
    """
    links = forward(joint_position)
    wanted, found = links.flange_pose() @ tool, flange_pose @ tool
    twist = links.jacobian() @ joint_velocity
    twist[:3] += np.cross(twist[3:], wanted.position - links.flange_position)
    twist[:3] += _GAIN * (wanted.position - found.position)
    twist[3:] += _GAIN * rotation_between(found, wanted)
    for rows, most in zip((slice(0, 3), slice(3, 6)), _LARGEST, strict=True):
        size = float(np.sqrt(twist[rows] @ twist[rows]))
        if size > most:
            twist[rows] *= most / size
    return twist
