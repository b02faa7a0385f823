"""Where to close the fingers on a thing: across its narrow side, or on its rim where it is wide and hollow.

Pure: from the boxes of the thing and of what stands about, to one grip from above. Among the directions that
fit, the one is taken that leaves the hand most room and turns it least.
"""

from dataclasses import dataclass

import numpy as np

from robot_contract.pose import Vector
from sim_train.libero.boxes import Boxes

OPEN_WIDTH = 0.076  # [m] between the open pads
TIP_LENGTH = 0.011  # [m] from the grip to the fingers' ends
_ROOM = 0.012  # [m] that is worth having between hand and things
_SPARE = 0.006  # [m] of the open width
_RIM_INSET = 0.004  # [m] from the outermost edge to the middle of a rim
_RIM_DEPTH = 0.012  # [m] of the grip under a rim
_RIM_LEAST = 0.03  # [m] from the middle of what is held by its rim
_STRETCH = 0.65  # [m] from shoulder to wrist; at 0.70 the elbow is straight and the arm does not come back
_WRIST_UP, _WRIST_BACK = 0.204, 0.088  # [m] from the grip to the wrist's middle, the hand pointing down
_ABOVE = 0.05  # [m] over the grip, from where the hand comes down
_NEAR = 0.35  # [m] around the thing, where the hand may meet others
_RIM_SHIFTS = (
    0.0,
    0.012,
    0.024,
)  # [m] further in: where the finger outside has little room, it pulls the thing
_DIRECTIONS = 36
_APPROACH = np.array([0.0, 0.03, 0.08])  # [m] above the grip, where room is looked for
_HOME = 0.5 * np.pi  # [rad] the closing direction of a hand that is not turned


@dataclass(frozen=True, kw_only=True, eq=False)
class Grasp:
    position: Vector  # (3,) [m], where the grip is to be
    direction: float  # [rad] of closing, in the horizontal plane
    thing: Vector  # (3,) [m] where the thing was; when it is elsewhere, the grasp is no longer one
    thing_from_grip: Vector  # (3,) [m] from the thing to the grip, once the fingers have closed
    room: float  # [m] between hand and other things; negative when they meet


def hand_points(opening: float) -> Vector:
    """(n, 3) [m] of fingers and palm in the grip's frame."""
    fingers = np.stack(
        np.meshgrid([0.0, 0.011, 0.022], [-0.011, 0.011], [-0.045, -0.02, 0.0, TIP_LENGTH]), axis=-1
    ).reshape(-1, 3)
    right = fingers + np.array([0.5 * opening, 0.0, 0.0])
    palm = np.stack(
        np.meshgrid(np.linspace(-0.1, 0.1, 7), [-0.032, 0.0, 0.032], [-0.11, -0.06]), axis=-1
    ).reshape(-1, 3)
    return np.concatenate([right, right * np.array([-1.0, 1.0, 1.0]), palm])


def rotation_of(direction: float) -> Vector:
    """(3, 3) of a grip that points straight down and closes along `direction`."""
    c, s = np.cos(direction), np.sin(direction)
    return np.array([[c, s, 0.0], [s, -c, 0.0], [0.0, 0.0, -1.0]])


def choose_grasp(thing: Vector, boxes: Boxes, others: Boxes, shoulder: Vector) -> Grasp:
    """What fits across is held across; everything wider has an edge further out than _RIM_LEAST."""
    near = others.near(thing, _NEAR)
    hand = hand_points(OPEN_WIDTH)

    def judged(position: Vector, held: Vector, direction: float, cost: float) -> tuple[float, Grasp]:
        direction = nearest_turn(direction)
        turned = hand @ rotation_of(direction).T + position
        room = min(near.gap(turned + np.array([0.0, 0.0, above])) for above in _APPROACH)
        cost += 40.0 * max(_ROOM - room, 0.0) + 0.1 * abs(direction - _HOME)
        cost += 40.0 * max(stretch(position, shoulder) - _STRETCH, 0.0)
        return cost, Grasp(
            position=position, direction=direction, thing=thing, thing_from_grip=held - thing, room=room
        )

    candidates = (*_across(boxes.points), *_on_rim(boxes.points))
    return min((judged(*candidate) for candidate in candidates), key=lambda one: one[0])[1]


def stretch(position: Vector, shoulder: Vector) -> float:
    """[m] from the arm's shoulder to its wrist, when the hand points down over this grip."""
    x, y, z = position - shoulder
    return float(np.hypot(np.hypot(x, y) - _WRIST_BACK, z + _ABOVE + _WRIST_UP))


def nearest_turn(direction: float) -> float:
    """The same closing line, turned at most a quarter from home."""
    return (direction - _HOME + 0.5 * np.pi) % np.pi - 0.5 * np.pi + _HOME


def _across(points: Vector) -> list[tuple[Vector, Vector, float, float]]:
    """Around the whole thing, at the height where fingers reach well down it."""
    low, high = points[:, 2].min(), points[:, 2].max()
    height = max(high - 0.03, low + TIP_LENGTH + 0.003, 0.5 * (low + high) if high - low < 0.06 else low)
    height = max(min(height, high - 0.005), low + TIP_LENGTH + 0.002)
    middle = 0.5 * (points[:, :2].min(axis=0) + points[:, :2].max(axis=0))
    found = []
    for direction in np.linspace(0.0, np.pi, _DIRECTIONS, endpoint=False):
        along = np.array([np.cos(direction), np.sin(direction)])
        seen = (points[:, :2] - middle) @ along
        aside = (points[:, :2] - middle) @ np.array([-along[1], along[0]])
        width = seen.max() - seen.min()
        if width > OPEN_WIDTH - _SPARE:
            continue
        center = middle + along * 0.5 * (seen.max() + seen.min())
        center = center + np.array([-along[1], along[0]]) * 0.5 * (aside.max() + aside.min())
        position = np.append(center, height)
        found.append((position, position, float(direction), 10.0 * width))
    return found


def _on_rim(points: Vector) -> list[tuple[Vector, Vector, float, float]]:
    """One finger inside, one outside, at the upper edge; for what is too wide to be held across.

    The grip when the fingers close, and where it will be on the thing once they have.
    """
    high = points[:, 2].max()
    rim = points[points[:, 2] > high - 0.01]
    middle = 0.5 * (rim[:, :2].min(axis=0) + rim[:, :2].max(axis=0))
    found = []
    for direction in np.linspace(0.0, 2.0 * np.pi, _DIRECTIONS, endpoint=False):
        along = np.array([np.cos(direction), np.sin(direction)])
        reach = ((rim[:, :2] - middle) @ along).max()
        if reach < _RIM_LEAST:
            continue
        held = np.append(middle + along * (reach - _RIM_INSET), high - _RIM_DEPTH)
        for shift in _RIM_SHIFTS:
            position = held - np.append(along * shift, 0.0)
            found.append((position, held, float(direction), 2.0 + 10.0 * shift))
    return found
