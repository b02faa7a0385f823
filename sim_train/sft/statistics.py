"""The bounds between which a policy's numbers are normalised, from its demonstrations.

Proprioception that hardly varied in the demonstrations would be stretched until its noise fills the range,
and cut at the first deviation; so every range has a least width, in the field's own unit.
"""

import numpy as np
import numpy.typing as npt

from robot_contract.policy_contract import (
    PROPRIOCEPTION_WIDTHS,
    PolicyContract,
    ProprioceptionField,
    Statistics,
)
from robot_contract.pose import Vector
from sim_train.sft.recipe import ActionScale

_LEAST_WIDTH: dict[ProprioceptionField, float] = {
    "position": 0.1,  # [m]
    "rotation_vector": 0.4,  # [rad]
    "quaternion": 0.2,
    "opening": 1.0,
    "finger_positions": 0.04,  # [m]
    "gripper_command": 1.0,
    "joint_position": 0.4,  # [rad]
}


def statistics_of(
    actions: npt.NDArray[np.floating],
    proprioception: npt.NDArray[np.floating],
    contract: PolicyContract,
    scale: ActionScale,
) -> Statistics:
    """`actions` is (n, 7) and `proprioception` (n, P), both physical; the opening is never normalised."""
    if scale == "step_bounds":
        largest = [contract.max_translation_per_step] * 3 + [contract.max_rotation_per_step] * 3
        low, high = np.array([*(-x for x in largest), 0.0]), np.array([*largest, 1.0])
    else:
        low, high = _bounds(actions, scale == "bounds_q99")
    proprioception_low, proprioception_high = _bounds(proprioception, scale == "bounds_q99")
    least = np.concatenate(
        [np.full(PROPRIOCEPTION_WIDTHS[name], _LEAST_WIDTH[name]) for name in contract.proprioception]
        or [np.zeros(0)]
    )
    bounded = np.concatenate(
        [
            np.full(PROPRIOCEPTION_WIDTHS[name], name in ("opening", "gripper_command"))
            for name in contract.proprioception
        ]
        or [np.zeros(0, bool)]
    )
    missing = np.maximum(least - (proprioception_high - proprioception_low), 0.0)
    return Statistics(
        action_low=low,
        action_high=high,
        action_mask=(True,) * 6 + (False,),
        proprioception_low=np.where(bounded, 0.0, proprioception_low - 0.5 * missing),
        proprioception_high=np.where(bounded, 1.0, proprioception_high + 0.5 * missing),
    )


def _bounds(values: npt.NDArray[np.floating], is_quantile: bool) -> tuple[Vector, Vector]:
    exact = values.astype(np.float64)
    if is_quantile:
        low, high = np.quantile(exact, [0.01, 0.99], axis=0)
        return low, high
    return exact.min(axis=0), exact.max(axis=0)
