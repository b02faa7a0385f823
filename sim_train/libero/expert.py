"""The scripted expert of LIBERO's pick-and-place tasks: what to do next, from what is seen now.

A function of the present alone (and of the grasp that was chosen for the thing where it stands): pushed off
its way it goes on from where it is, so demonstrations may be disturbed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robot_contract.pose import Vector, quaternion_from_matrix, rotation_vector_from_quaternion
from sim_train.libero.actions import ROTATION, TRANSLATION
from sim_train.libero.boxes import Boxes
from sim_train.libero.expert_view import ExpertView
from sim_train.libero.grasp import TIP_LENGTH, Grasp, choose_grasp, rotation_of

_MARGIN = 0.025  # [m] over whatever is passed
_HAND_RADIUS = 0.06  # [m] beside the way of the fingers
_ABOVE = 0.05  # [m] over the grasp, from where it goes straight down
_ALIGNED, _TURNED = 0.006, 0.06  # [m], [rad] before fingers close
_HELD = 0.035  # [m] a thing follows the grip at this distance from its place in it at most
_OVER_GOAL = 0.015  # [m] beside the goal's middle, before it goes down
_MOVED = 0.008  # [m] of the thing, after which the grasp is chosen anew
_PALM = 0.05  # [m] from the grip up to the palm
_STILL = 0.004  # [m/s] of fingers that have closed on something, or on nothing
_GAIN = 1.3  # of the wanted displacement; the controller covers a quarter of it in a step
_TURN_GAIN = 0.8
_UP = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True, kw_only=True, eq=False)
class Wish:
    position: Vector  # (3,) [m] of the grip
    direction: float  # [rad] of closing
    opening: float  # 0 or 1


def keep_or_choose(view: ExpertView, before: Grasp | None) -> Grasp:
    """The grasp while the thing is where it was or in the fingers, else a new one."""
    if before is not None and (view.closed or np.linalg.norm(view.thing - before.thing) < _MOVED):
        return before
    return choose_grasp(view.thing, view.thing_boxes, _joined(view.others, view.goal_boxes), view.shoulder)


def wish(view: ExpertView, grasp: Grasp) -> Wish:
    beside_goal = float(np.linalg.norm(view.thing[:2] - view.goal[:2]))
    here = view.grip_position

    def stay(opening: float, rise: float = 0.0) -> Wish:
        return Wish(position=here + rise * _UP, direction=grasp.direction, opening=opening)

    if view.closed:
        if not is_in_hand(view, grasp):
            return stay(1.0, rise=0.05)
        if view.fingers < 1.0 or view.finger_speed > _STILL:
            return stay(0.0)
        return _carry(view, grasp, beside_goal)
    if beside_goal < _OVER_GOAL * 2 and _stands_at_goal(view):
        return stay(1.0, rise=0.05)
    return _approach(view, grasp)


def is_in_hand(view: ExpertView, grasp: Grasp) -> bool:
    """The thing is where it was taken, seen from the grip."""
    slipped = view.grip_position - view.thing - grasp.thing_from_grip
    return float(np.linalg.norm(slipped)) <= _HELD


def action_towards(view: ExpertView, wanted: Wish) -> Vector:
    """(7,) in metres, radians and opening: proportional, within what a step can be told."""
    turn = rotation_vector_from_quaternion(
        quaternion_from_matrix(rotation_of(wanted.direction) @ view.grip_rotation.T)
    )
    move = np.clip(_GAIN * (wanted.position - view.grip_position), -TRANSLATION, TRANSLATION)
    return np.concatenate([move, np.clip(_TURN_GAIN * turn, -ROTATION, ROTATION), [wanted.opening]])


def _approach(view: ExpertView, grasp: Grasp) -> Wish:
    aside = float(np.linalg.norm(grasp.position[:2] - view.grip_position[:2]))
    turned = angle_off(view.grip_rotation, grasp.direction)
    above = view.grip_position[2] - grasp.position[2]
    opening = 1.0
    if aside > 0.02 or turned > 0.25:
        around = (view.others, view.thing_boxes, view.goal_boxes)
        passed = _top_along(around, view.grip_position, grasp.position, _HAND_RADIUS)
        height = max(grasp.position[2] + _ABOVE, passed + TIP_LENGTH + _MARGIN)
        return _travel(view, grasp.position, height, grasp.direction, opening)
    funnel = 3.0 * max(aside - _ALIGNED, 0.0) + 0.1 * max(turned - _TURNED, 0.0)
    if aside < _ALIGNED and turned < _TURNED and above < 0.005:
        opening = 0.0
    return Wish(
        position=grasp.position + min(funnel, _ABOVE) * _UP,
        direction=grasp.direction,
        opening=opening,
    )


def _carry(view: ExpertView, grasp: Grasp, beside_goal: float) -> Wish:
    bottom = float(view.thing_boxes.points[:, 2].min())
    hanging = view.grip_position[2] - bottom  # [m] from the grip down to the thing's lowest point
    top = float(view.goal_boxes.points[:, 2].max())
    over = np.append(view.grip_position[:2] + view.goal[:2] - view.thing[:2], 0.0)
    if beside_goal > _OVER_GOAL:
        reach = float(np.linalg.norm(view.thing_boxes.points[:, :2] - view.thing[:2], axis=1).max())
        around = (view.others, view.goal_boxes)
        passed = max(top, _top_along(around, view.thing, view.goal, reach + 0.01, above=bottom - 0.03))
        return _travel(view, over, passed + hanging + _MARGIN, grasp.direction, 0.0)
    lowest = view.goal_boxes.points[:, 2].min()
    # Into what has walls as far as the palm lets it, onto what is flat until it touches.
    height = max(top - _PALM + 0.01, lowest + hanging + 0.004)
    arrived = view.grip_position[2] - height < 0.008
    return Wish(
        position=np.append(over[:2], height - 0.004),
        direction=grasp.direction,
        opening=1.0 if arrived else 0.0,
    )


def _stands_at_goal(view: ExpertView) -> bool:
    return float(view.thing_boxes.points[:, 2].min()) < view.goal_boxes.points[:, 2].max() + 0.01


def _travel(view: ExpertView, to: Vector, height: float, direction: float, opening: float) -> Wish:
    """Up first, then across; across already while the last few centimetres are risen."""
    missing = height - view.grip_position[2]
    share = float(np.clip(1.0 - (missing - 0.01) / 0.04, 0.0, 1.0))
    across = share * (to[:2] - view.grip_position[:2])
    return Wish(
        position=np.append(view.grip_position[:2] + across, height), direction=direction, opening=opening
    )


def _top_along(
    around: Sequence[Boxes], start: Vector, end: Vector, radius: float, above: float = -np.inf
) -> float:
    """The highest point [m] of what stands within `radius` of the way from start to end, seen from above."""
    points = np.concatenate([boxes.points for boxes in around])
    way = end[:2] - start[:2]
    length = max(float(way @ way), 1e-9)
    along = np.clip((points[:, :2] - start[:2]) @ way / length, 0.0, 1.0)
    aside = np.linalg.norm(points[:, :2] - start[:2] - along[:, None] * way, axis=1)
    found = points[(aside < radius) & (points[:, 2] > above), 2]
    return float(found.max()) if len(found) else -np.inf


def angle_off(rotation: Vector, direction: float) -> float:
    """[rad] between a grip and one that points down and closes along `direction`."""
    cosine = 0.5 * (np.trace(rotation_of(direction) @ rotation.T) - 1.0)
    return float(np.arccos(np.clip(cosine, -1.0, 1.0)))


def _joined(*boxes: Boxes) -> Boxes:
    return Boxes(
        centers=np.concatenate([b.centers for b in boxes]),
        rotations=np.concatenate([b.rotations for b in boxes]),
        halves=np.concatenate([b.halves for b in boxes]),
    )
