"""What SAPIEN knows of a scene, in the terms of robot_bridge/scene."""

from collections.abc import Iterable, Mapping

import sapien
from mani_skill.utils.structs.actor import Actor

from robot_bridge.scene.truth import ARM, LEFT_FINGER, RIGHT_FINGER, TABLE, contact_pair

TOUCHING = 1e-9  # [Ns] of impulse in a physics step: PhysX also lists what is merely near
FINGERS = {"panda_leftfinger": LEFT_FINGER, "panda_rightfinger": RIGHT_FINGER}


def touching(
    contacts: Iterable[sapien.physx.PhysxContact], owners: Mapping[sapien.Entity, str]
) -> frozenset[tuple[str, str]]:
    """Pairs that press on each other; what `owners` does not list is part of the arm."""
    pairs: set[tuple[str, str]] = set()
    for contact in contacts:
        one, other = contact.bodies
        first, second = owners.get(one.entity, ARM), owners.get(other.entity, ARM)
        if first == second or (pair := contact_pair(first, second)) in pairs:
            continue
        if any(point.impulse.dot(point.impulse) > TOUCHING**2 for point in contact.points):
            pairs.add(pair)
    return frozenset(pairs)


def owners_of(
    links: Iterable[sapien.Entity], table: Actor, things: Mapping[str, Actor]
) -> dict[sapien.Entity, str]:
    """Whose every entity is, by the names of `SceneTruth.contacts`."""
    owners = {link: FINGERS.get(_plain_name(link), ARM) for link in links}
    owners[_entity(table)] = TABLE
    return owners | {_entity(actor): name for name, actor in things.items()}


def _plain_name(entity: sapien.Entity) -> str:
    """Without the prefix that ManiSkill gives the entities of a sub-scene."""
    return next((name for name in FINGERS if entity.name.endswith(name)), entity.name)


def _entity(actor: Actor) -> sapien.Entity:
    return actor._objs[0]
