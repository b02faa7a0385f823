"""From the wire's actions to those of LIBERO's environments, and back.

There, an action of 1 is 0.05 m along an axis or 0.5 rad about one, in the world's axes, which are those of
the arm's base in every scene; the gripper's -1 opens and +1 closes. One action is one step of 50 ms.
"""

import numpy as np

from robot_contract.policy_contract import GripperContract
from robot_contract.pose import Vector

STEP_PERIOD = 0.05  # [s]
TRANSLATION = 0.05  # [m] along each axis, for an action of 1
ROTATION = 0.5  # [rad] about each axis, for an action of 1
OPENS, CLOSES = -1.0, 1.0
# robosuite takes a rotation of exactly zero to mean "the orientation wanted before", not "the measured one".
_NO_TURN = 1e-9


def to_environment(action: Vector, opens: bool) -> Vector:
    """(7,) of the environment from (7,) in metres, radians and opening; larger ones are cut, axis by axis."""
    arm = np.concatenate([action[:3] / TRANSLATION, action[3:6] / ROTATION])
    if not arm[3:].any():
        arm[3] = _NO_TURN
    return np.append(np.clip(arm, -1.0, 1.0), OPENS if opens else CLOSES)


def to_wire(action: Vector) -> Vector:
    """(7,) in metres, radians and opening from (7,) of the environment; a gripper of 0 is half open."""
    return np.concatenate(
        [action[:3] * TRANSLATION, action[3:6] * ROTATION, [0.5 * (1.0 - np.sign(action[6]))]]
    )


def gripper_contract(threshold: float) -> GripperContract:
    return GripperContract(max_width=0.08, close_below=threshold, open_above=threshold)
