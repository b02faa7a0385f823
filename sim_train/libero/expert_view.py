"""What the scripted expert sees of the simulator: more than any policy does, and nothing yet to come."""

from dataclasses import dataclass

import numpy as np

from robot_contract.pose import Vector
from sim_train.libero.boxes import Boxes
from sim_train.libero.cell import Cell
from sim_train.libero.goal import named_bodies
from sim_train.libero.solids import boxes_where, solid_roots

_SHOULDER = 0.333  # [m] over the arm's base
_ROBOT = ("robot0_", "gripper0_", "mount0_")


@dataclass(frozen=True, kw_only=True, eq=False)
class ExpertView:
    """World frame. `grip` is between the finger pads: z points out of the hand, x along the closing."""

    grip_position: Vector  # (3,) [m]
    grip_rotation: Vector  # (3, 3)
    shoulder: Vector  # (3,) [m]
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
    roots = solid_roots(cell)
    thing_root, goal_root = model.body_rootid[thing], model.body_rootid[goal]
    robot = [body for body in range(model.nbody) if model.body(body).name.startswith(_ROBOT)]
    elsewhere = (roots > 0) & ~np.isin(roots, [thing_root, goal_root, *robot])
    return ExpertView(
        grip_position=site.xpos.copy(),
        grip_rotation=site.xmat.reshape(3, 3).copy(),
        shoulder=cell.robot.base_pos + np.array([0.0, 0.0, _SHOULDER]),
        fingers=float(cell.robot.gripper.current_action[-1]),
        finger_speed=float(np.abs(data.qvel[cell.robot._ref_gripper_joint_vel_indexes]).max()),
        closed=closed,
        thing=data.xpos[thing].copy(),
        thing_boxes=boxes_where(cell, roots == thing_root),
        goal=data.xpos[goal].copy(),
        goal_boxes=boxes_where(cell, roots == goal_root),
        others=boxes_where(cell, elsewhere),
    )
