"""Who presses on whom, asked pair by pair: a GPU lists no contacts, it answers for pairs named before.

Watched are the pairs that success, stages, reward and expert read: every object with the fingers, the rest
of the arm, the table and every receptacle. What else may touch is left out of such a truth.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import sapien

from robot_bridge.scene.catalogue import catalogue
from robot_bridge.scene.truth import ARM, TABLE, contact_pair
from sim_train.put_on.truth import FINGERS, TOUCHING


@dataclass(frozen=True, kw_only=True)
class Watched:
    owners: tuple[str, str]  # names of `SceneTruth.contacts`, sorted
    bodies: tuple[str, str]  # whose impulse on each other is asked for: a thing's name, and another's


def watched_pairs(links: Sequence[str]) -> tuple[Watched, ...]:
    """With an arm of these links; a body is a thing, a link or the table, by its name."""
    known = catalogue()
    others = {link: FINGERS.get(link, ARM) for link in links} | {TABLE: TABLE}
    others |= {name: name for name in known.receptacles}
    return tuple(
        Watched(owners=contact_pair(name, owner), bodies=(name, body))
        for name in known.objects
        for body, owner in others.items()
    )


def touching_pairs(
    impulses: npt.NDArray[np.floating], watched: Sequence[Watched]
) -> frozenset[tuple[str, str]]:
    """From (pairs, 3) [Ns] of one cell."""
    pressed = np.flatnonzero(np.abs(impulses).max(axis=1) > TOUCHING)
    return frozenset(watched[number].owners for number in pressed)


def listed_impulses(
    contacts: Iterable[sapien.physx.PhysxContact],
    names: Mapping[sapien.Entity, str],
    numbers: Mapping[tuple[str, str], int],
) -> npt.NDArray[np.float32]:
    """(pairs, 3) [Ns] from a CPU's list of contacts, as a GPU's query would answer."""
    impulses = np.zeros((len(numbers), 3), dtype=np.float32)
    for contact in contacts:
        first, second = (names.get(body.entity, "") for body in contact.bodies)
        sign = 1.0
        number = numbers.get((first, second))
        if number is None:
            number, sign = numbers.get((second, first)), -1.0
        if number is not None:
            impulses[number] += sign * np.sum([point.impulse for point in contact.points], axis=0)
    return impulses
