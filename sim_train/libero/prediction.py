"""Where an action of the expert leads, near enough to say the next ones of a chunk without carrying it out.

The controller covers three tenths of a delta in a step; the fingers' command takes eight steps; a thing
between closed fingers moves with them. What the prediction misses, the next chunk corrects.
"""

from dataclasses import replace

import numpy as np

from robot_contract.pose import Vector, matrix_from_quaternion, quaternion_from_rotation_vector
from sim_train.libero.expert import is_in_hand
from sim_train.libero.expert_view import ExpertView
from sim_train.libero.grasp import Grasp

_SHARE = 0.3  # of a delta that is covered in its step
_FINGERS = 0.25  # of their command's range of 2, in a step
_FOLLOWING = 4  # steps that fingers are behind their command
_CLOSING_SPEED = 0.1  # [m/s]


def predict(view: ExpertView, action: Vector, grasp: Grasp) -> ExpertView:
    closed = bool(action[6] < 0.5)
    turn = matrix_from_quaternion(quaternion_from_rotation_vector(_SHARE * action[3:6]))
    move = _SHARE * action[:3]
    fingers = view.fingers + (_FINGERS if closed else -_FINGERS)
    late = 1.0 + _FINGERS * _FOLLOWING  # past the range: the fingers are still following
    carried = view.closed and closed and view.fingers >= 1.0 and is_in_hand(view, grasp)
    return replace(
        view,
        grip_position=view.grip_position + move,
        grip_rotation=turn @ view.grip_rotation,
        fingers=float(np.clip(fingers, -1.0, late)),
        finger_speed=_CLOSING_SPEED if closed and fingers < late else 0.0,
        closed=closed,
        thing=view.thing + move if carried else view.thing,
        thing_boxes=view.thing_boxes.moved(move) if carried else view.thing_boxes,
    )
