"""Where the things rest that an episode does not use: on a shelf below the floor, out of reach and sight.

A batch is built once, with everything in every cell. What a scene names is put on the table, the rest here,
so that an episode can begin in one cell while the others go on.
"""

from functools import cache

import sapien
from mani_skill.envs.scene import ManiSkillScene

from robot_bridge.scene.catalogue import catalogue
from sim_train.put_on.cell import GAP

_SHELF = -1.5  # [m] its upper side; the floor, which hides it from every camera above, is at -0.75
_CENTRE = (0.40, 0.0)  # [m]
_PITCH = 0.36  # [m] between two places: more than the widest thing's diameter and PhysX's contact offset
_COLUMNS = 6
_HALF = (1.3, 1.3, 0.05)  # [m] of the shelf


@cache
def thing_names() -> tuple[str, ...]:
    """Everything that a cell of a batch holds, in order."""
    known = catalogue()
    return (*known.objects, *known.receptacles)


def parked_pose(name: str) -> sapien.Pose:
    row, column = divmod(thing_names().index(name), _COLUMNS)
    middle = (_COLUMNS - 1) / 2
    return sapien.Pose(
        [_CENTRE[0] + (row - middle) * _PITCH, _CENTRE[1] + (column - middle) * _PITCH, _SHELF + GAP]
    )


def build_shelf(scene: ManiSkillScene) -> None:
    """In every cell; it is not drawn."""
    builder = scene.create_actor_builder()
    builder.add_box_collision(half_size=_HALF)
    builder.initial_pose = sapien.Pose([*_CENTRE, _SHELF - _HALF[2]])
    builder.build_static(name="shelf")
