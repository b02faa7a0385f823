"""What a task's goal is about: the thing, and where it is to go."""

from typing import Any

import numpy as np

from robot_contract.pose import Vector
from sim_train.libero.cell import Cell
from sim_train.libero.solids import middle_of
from sim_train.libero.tasks import Task

EXPERT_SUITES = ("libero_spatial", "libero_object")  # one thing to pick up, one place to put it
_OBJECT_WORDING = "pick up the {} and place it in the basket"


def named_bodies(cell: Cell) -> tuple[str, str]:
    """The body of the thing, and of what it is to be on or in."""
    thing, place = _condition(cell)
    return _body_name(cell.environment, thing), _body_name(cell.environment, place)


def marks(cell: Cell) -> Vector:
    """(2, 3) [m, world]: the middle of the thing, and of the place; NaN where there is none."""
    found = np.full((2, 3), np.nan)
    for row, name in enumerate(_condition(cell)):
        found[row] = _position(cell, name)
    return found


def other_instructions(cell: Cell, task: Task) -> tuple[str, ...]:
    """In the Object suite, where every thing beside the basket could be asked for just as well."""
    if task.suite != "libero_object":
        return ()
    named = {*named_bodies(cell)}
    things = [name.rpartition("_")[0] for name in cell.environment.objects_dict if name not in named]
    return tuple(_OBJECT_WORDING.format(thing.replace("_", " ")) for thing in things)


def _condition(cell: Cell) -> list[str]:
    """Names in the goal's first condition on a thing and a place, else in its first (open, close, turn)."""
    conditions = [names for _, *names in cell.environment.parsed_problem["goal_state"]]
    return next((names for names in conditions if len(names) == 2), conditions[0])


def _body_name(environment: Any, name: str) -> str:
    """A region stands for the body that it is part of."""
    if name in environment.obj_body_id:
        return name
    return environment.object_sites_dict[name].parent_name


def _position(cell: Cell, name: str) -> Vector:
    environment = cell.environment
    if name in environment.obj_body_id:
        return middle_of(cell, int(environment.obj_body_id[name]))
    return cell.data.site(name).xpos.copy()
