"""LIBERO's pictures as its policies see them, and where a point of the scene is in them.

robosuite hands pictures over with their bottom row first. The published data turns that by 180 degrees, so
its pictures are upright and mirrored: left is right.
"""

import numpy as np

from robot_contract.pose import Pose, Vector, quaternion_from_matrix
from sim_train.libero.cell import Cell
from sim_train.put_on.marks import in_picture
from sim_train.simulation import Picture

_OPTICAL = np.diag(
    [1.0, -1.0, -1.0]
)  # MuJoCo's cameras look along -z, y up; an optical frame along z, y down


def drawn_as(picture: Picture, *, turned: bool) -> Picture:
    return np.ascontiguousarray(picture[::-1, ::-1] if turned else picture)


def in_drawn(points: Vector, cell: Cell, camera: str, *, turned: bool) -> Vector:
    """(n, 2) fractions of width and height from the upper left, of points [m, world]; NaN out of sight."""
    seen = cell.data.camera(camera)
    fractions = in_picture(
        points,
        Pose(position=seen.xpos, quaternion=quaternion_from_matrix(seen.xmat.reshape(3, 3) @ _OPTICAL)),
        vertical_field_of_view=float(np.radians(cell.model.camera(camera).fovy[0])),
        aspect=1.0,
    )
    x, y = fractions.T
    return np.column_stack([1.0 - x, y] if turned else [x, 1.0 - y])
