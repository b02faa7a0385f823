"""The collision boxes of what stands in a cell."""

import numpy as np
import numpy.typing as npt

from robot_contract.pose import Vector
from sim_train.libero.boxes import Boxes
from sim_train.libero.cell import Cell


def solid_roots(cell: Cell) -> npt.NDArray[np.int64]:
    """Of each geometry, the body at the root of its tree; -1 where it collides with nothing."""
    model = cell.model
    solid = (model.geom_contype > 0) | (model.geom_conaffinity > 0)
    return np.where(solid, model.body_rootid[model.geom_bodyid], -1)


def boxes_where(cell: Cell, chosen: npt.NDArray[np.bool_]) -> Boxes:
    """Each chosen geometry's own bounding box, along its own axes; world frame."""
    model, data = cell.model, cell.data
    numbers = np.flatnonzero(chosen)
    rotations = data.geom_xmat[numbers].reshape(-1, 3, 3)
    inner = model.geom_aabb[numbers]
    return Boxes(
        centers=data.geom_xpos[numbers] + np.einsum("nij,nj->ni", rotations, inner[:, :3]),
        rotations=rotations.copy(),
        halves=inner[:, 3:].copy(),
    )


def middle_of(cell: Cell, body: int) -> Vector:
    """(3,) [m, world] of all that it is made of; of its frame where it is made of nothing solid."""
    boxes = boxes_where(cell, solid_roots(cell) == cell.model.body_rootid[body])
    if len(boxes.centers) == 0:
        return cell.data.xpos[body].copy()
    return 0.5 * (boxes.points.min(axis=0) + boxes.points.max(axis=0))
