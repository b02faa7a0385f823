"""Poses to SAPIEN and back: it writes w first, everybody else here last."""

from collections.abc import Sequence

import numpy as np
import sapien

from robot_contract.pose import Pose, Vector


def to_sapien(position: Sequence[float] | Vector, quaternion_xyzw: Sequence[float] | Vector) -> sapien.Pose:
    x, y, z, w = (float(v) for v in quaternion_xyzw)
    return sapien.Pose(p=[float(v) for v in position], q=[w, x, y, z])


def from_row(row: Vector) -> Pose:
    """Of a row that begins with position and quaternion as physics keeps them: w first, length about 1."""
    w, x, y, z = (float(v) for v in row[3:7])
    quaternion = np.array([x, y, z, w])
    return Pose(
        position=np.array(row[:3], dtype=np.float64), quaternion=quaternion / np.linalg.norm(quaternion)
    )


def from_sapien(pose: sapien.Pose) -> Pose:
    w, x, y, z = (float(v) for v in pose.q)
    return Pose(position=np.array(pose.p, dtype=np.float64), quaternion=np.array([x, y, z, w]))
