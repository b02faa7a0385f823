"""From what a model says to what a robot is told: normalised numbers to metres, radians and an opening.

The statistics of a contract are in physical units already, so nothing downstream knows how the training data
was scaled. The gripper is an opening everywhere: 1 is open, 0 is closed.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

from robot_contract.errors import PolicyUnavailable
from robot_contract.policy_contract import ACTION_WIDTH, PolicyContract, Statistics
from robot_contract.pose import (
    Vector,
    quaternion_from_rotation_vector,
    quaternion_multiply,
    rotation_vector_from_quaternion,
)

Rotation = Literal["rotation_vector", "roll_pitch_yaw", "euler_xyz"]

_WIDTH_FLOOR = 1e-8  # added to every width, as the published pipelines do


def normalise(values: npt.ArrayLike, low: Vector, high: Vector) -> Vector:
    """Map low..high to -1..1 and cut what is outside; what never varied becomes 0."""
    scaled = 2.0 * (np.asarray(values, dtype=np.float64) - low) / (high - low + _WIDTH_FLOOR) - 1.0
    return np.where(high > low, np.clip(scaled, -1.0, 1.0), 0.0)


def normalise_actions(actions: npt.ArrayLike, statistics: Statistics) -> Vector:
    """(..., 7) physical to normalised: what a policy is trained to say. Unmasked entries stay as they are."""
    values = np.asarray(actions, dtype=np.float64)
    mask = np.array(statistics.action_mask)
    return np.where(mask, normalise(values, statistics.action_low, statistics.action_high), values)


def unnormalise_actions(normalised: npt.ArrayLike, statistics: Statistics) -> Vector:
    """(..., 7) normalised to physical; the inverse of `normalise_actions` inside the bounds."""
    values = np.asarray(normalised, dtype=np.float64)
    low, high = statistics.action_low, statistics.action_high
    mask = np.array(statistics.action_mask)
    return np.where(mask, 0.5 * (values + 1.0) * (high - low + _WIDTH_FLOOR) + low, values)


def decode_actions(
    normalised: npt.ArrayLike, contract: PolicyContract, *, rotation: Rotation = "rotation_vector"
) -> Vector:
    """(K, 7) as the model says them to (K, 7) as the wire carries them.

    Translation and rotation longer than the contract's bound per step are shortened to it, their direction
    kept; the opening is cut to 0..1.
    """
    values = np.asarray(normalised, dtype=np.float64)
    if values.shape != (contract.chunk_length, ACTION_WIDTH):
        raise PolicyUnavailable(
            f"policy {contract.name!r}: expected actions of shape ({contract.chunk_length}, {ACTION_WIDTH}), "
            f"found {values.shape}"
        )
    if not np.isfinite(values).all():
        raise PolicyUnavailable(
            f"policy {contract.name!r}: the model's answer holds a number that is not finite"
        )
    actions = unnormalise_actions(values, contract.statistics)
    if rotation != "rotation_vector":
        actions[:, 3:6] = [rotation_vector_from_angles(step, rotation) for step in actions[:, 3:6]]
    actions[:, 0:3] = _shorten(actions[:, 0:3], contract.max_translation_per_step)
    actions[:, 3:6] = _shorten(actions[:, 3:6], contract.max_rotation_per_step)
    actions[:, 6] = np.clip(actions[:, 6], 0.0, 1.0)
    return actions


def _shorten(vectors: Vector, longest: float) -> Vector:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors * (longest / np.maximum(lengths, longest))


def rotation_vector_from_angles(angles: Vector, order: Literal["roll_pitch_yaw", "euler_xyz"]) -> Vector:
    """Rotation vector [rad] of turns by `angles` [rad] about x, y, z, fixed or moving."""
    x, y, z = (quaternion_from_rotation_vector(axis * angle) for axis, angle in zip(np.eye(3), angles))
    first, last = (z, x) if order == "roll_pitch_yaw" else (x, z)
    return rotation_vector_from_quaternion(quaternion_multiply(first, quaternion_multiply(y, last)))
