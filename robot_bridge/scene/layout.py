"""Where things stand: nothing overlaps, the hand fits in between, and the arm reaches all of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from robot_bridge.scene.catalogue import CatalogueObject, Receptacle, Thing, catalogue
from robot_bridge.scene.scene import Placement
from robot_contract.errors import SceneError

Region = Literal["inner", "rim"]

INNER = (0.38, 0.62, -0.20, 0.20)  # [m] x low, x high, y low, y high: training
OUTER = (0.34, 0.66, -0.27, 0.27)  # [m] unseen positions lie between the two
FINGER_GAP = 0.035  # [m] around an object, for the open fingers
HAND_HALF_WIDTH = 0.110  # [m] along the closing direction, of the hand's body
FINGER_LENGTH = 0.033  # [m] from the TCP up to the palm, less a margin of 6 mm
RECEPTACLE_GAP = 0.015  # [m] between receptacles
START_GAP = 0.030  # [m] between a receptacle and the start pose, seen from above
LEAST_MOVE = 0.08  # [m] of a mid-episode move
_TRIES = 60  # per thing, then everything is drawn again


@dataclass(frozen=True, kw_only=True)
class Layout:
    objects: tuple[Placement, ...]  # the target first
    receptacles: tuple[Placement, ...]  # the target first
    moved_to: Placement | None


def clearance(a: Thing, b: Thing) -> float:
    """Least distance [m] between the origins of two things that stand side by side."""
    touching = a.radius + b.radius
    if isinstance(a, Receptacle) and isinstance(b, Receptacle):
        return touching + RECEPTACLE_GAP
    gap = touching + FINGER_GAP
    for grasped, other in ((a, b), (b, a)):
        if isinstance(grasped, CatalogueObject) and other.height > grasped.grasp_height + FINGER_LENGTH:
            gap = max(gap, HAND_HALF_WIDTH + other.radius)  # the hand's body comes down beside it
    return gap


def draw_layout(
    rng: np.random.Generator,
    *,
    targets: Sequence[str],
    others: Sequence[str],
    receptacles: Sequence[str],
    object_count: int,
    receptacle_count: int,
    region: Region,
    start: tuple[float, float],
    is_moved: bool,
) -> Layout:
    """Draw things and places until they fit."""
    known = catalogue()
    for _ in range(2000):
        target = str(rng.choice(targets))
        rest = rng.permutation([name for name in others if name != target])[: object_count - 1]
        places = [str(name) for name in rng.permutation(list(receptacles))[:receptacle_count]]
        objects = [target, *(str(name) for name in rest)]
        things: list[Thing] = [known.receptacle(name) for name in places]
        things += [known.object(name) for name in objects]
        important = {target, places[0]}
        placed: list[Placement] = []
        for thing in things:
            spot = _free_spot(rng, thing, placed, region if thing.name in important else "inner", start)
            if spot is None:
                break
            placed.append(spot)
        if len(placed) < len(things):
            continue
        count = len(places)
        moved = _moved(rng, known.object(target), placed, region, start) if is_moved else None
        if is_moved and moved is None:
            continue
        return Layout(objects=tuple(placed[count:]), receptacles=tuple(placed[:count]), moved_to=moved)
    raise SceneError(f"{object_count} objects and {receptacle_count} receptacles do not fit on the table")


def _inside(box: tuple[float, float, float, float], x: float, y: float) -> bool:
    return box[0] <= x <= box[1] and box[2] <= y <= box[3]


def _draw_yaw(rng: np.random.Generator, thing: Thing, region: Region) -> float:
    """Yaws that the hand reaches by turning at most one radian (1.4 at unseen positions) from the start."""
    widest = 1.0 if region == "inner" else 1.4
    match thing:
        case CatalogueObject(yaw_symmetry="half"):
            return float(rng.uniform(-widest, widest))
        case Receptacle(is_round=False):
            return float(rng.uniform(-0.35, 0.35))
        case _:
            return float(rng.uniform(-np.pi, np.pi))


def _free_spot(
    rng: np.random.Generator,
    thing: Thing,
    placed: Sequence[Placement],
    region: Region,
    start: tuple[float, float],
) -> Placement | None:
    box = INNER if region == "inner" else OUTER
    for _ in range(_TRIES):
        x = round(float(rng.uniform(box[0], box[1])), 4)
        y = round(float(rng.uniform(box[2], box[3])), 4)
        yaw = round(_draw_yaw(rng, thing, region), 4)
        if region == "rim" and _inside(INNER, x, y):
            continue
        from_start = float(np.hypot(x - start[0], y - start[1]))
        if isinstance(thing, Receptacle) and not from_start >= thing.radius + START_GAP:
            continue
        if all(np.hypot(x - p.x, y - p.y) >= clearance(thing, _thing(p.name)) for p in placed):
            return Placement(name=thing.name, x=x, y=y, yaw=yaw)
    return None


def _moved(
    rng: np.random.Generator,
    target: CatalogueObject,
    placed: Sequence[Placement],
    region: Region,
    start: tuple[float, float],
) -> Placement | None:
    """Another free spot for the target, well away from its first."""
    first = next(p for p in placed if p.name == target.name)
    others = [p for p in placed if p.name != target.name]
    for _ in range(_TRIES):
        spot = _free_spot(rng, target, others, region, start)
        if spot is not None and np.hypot(spot.x - first.x, spot.y - first.y) >= LEAST_MOVE:
            return spot
    return None


def _thing(name: str) -> Thing:
    known = catalogue()
    return known.objects[name] if name in known.objects else known.receptacles[name]
