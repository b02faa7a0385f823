"""What the scripted expert sees of the simulator: more than any policy does, and nothing yet to come."""

from dataclasses import dataclass

import numpy as np

from robot_contract.pose import Vector
from sim_train.libero.boxes import Boxes
from sim_train.libero.cell import Cell
from sim_train.libero.goal import named_bodies

_ROBOT = ("robot0_", "gripper0_", "mount0_")


@dataclass(frozen=True, kw_only=True, eq=False)
class ExpertView:
    """World frame. `grip` is between the finger pads: z points out of the hand, x along the closing."""

    grip_position: Vector  # (3,) [m]
    grip_rotation: Vector  # (3, 3)
    fingers: float  # how far the closing has been commanded: -1 open to 1 closed, an eighth of it a step
    finger_speed: float  # [m/s] of the faster finger
    closed: bool  # what was commanded last
    thing: Vector  # (3,) [m] of the named object
    thing_boxes: Boxes
    goal: Vector  # (3,) [m] of what it is to go to
    goal_boxes: Boxes
    others: Boxes  # all else that stands about, not the table


def see(cell: Cell, closed: bool) -> ExpertView:
    environment, model, data = cell.environment, cell.model, cell.data
    thing, goal = (int(environment.obj_body_id[name]) for name in named_bodies(cell))
    site = data.site("gripper0_grip_site")
    roots = model.body_rootid[model.geom_bodyid]
    solid = (model.geom_contype > 0) | (model.geom_conaffinity > 0)
    bodies = [model.body(int(root)).name for root in range(model.nbody)]
    is_thing_like = np.array([body != 0 and not bodies[body].startswith(_ROBOT) for body in roots])
    return ExpertView(
        grip_position=site.xpos.copy(),
        grip_rotation=site.xmat.reshape(3, 3).copy(),
        fingers=float(cell.robot.gripper.current_action[-1]),
        finger_speed=float(np.abs(data.qvel[cell.robot._ref_gripper_joint_vel_indexes]).max()),
        closed=closed,
        thing=data.xpos[thing].copy(),
        thing_boxes=_boxes(cell, solid & (roots == model.body_rootid[thing])),
        goal=data.xpos[goal].copy(),
        goal_boxes=_boxes(cell, solid & (roots == model.body_rootid[goal])),
        others=_boxes(
            cell,
            solid & is_thing_like & (roots != model.body_rootid[thing]) & (roots != model.body_rootid[goal]),
        ),
    )


def _boxes(cell: Cell, chosen: Vector) -> Boxes:
    """Each geometry's own bounding box, along its own axes."""
    model, data = cell.model, cell.data
    numbers = np.flatnonzero(chosen)
    rotations = data.geom_xmat[numbers].reshape(-1, 3, 3)
    inner = model.geom_aabb[numbers]
    return Boxes(
        centers=data.geom_xpos[numbers] + np.einsum("nij,nj->ni", rotations, inner[:, :3]),
        rotations=rotations.copy(),
        halves=inner[:, 3:].copy(),
    )
