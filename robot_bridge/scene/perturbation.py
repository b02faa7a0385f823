"""Noise bursts for demonstrations (after DART): pushes that the expert then recovers from.

A burst is drawn before the episode and is a pure function of its seed, so an episode with noise can be
repeated. Frames near a burst are not demonstrated; the recovery from it is.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from robot_bridge.scene.protocol import MAX_ROTATION, MAX_TRANSLATION
from robot_contract.pose import Vector, read_only


@dataclass(frozen=True, kw_only=True, eq=False)
class Bursts:
    pushes: Vector  # (steps, 6) [m, rad], zero outside bursts
    is_active: npt.NDArray[np.bool_]  # (steps,)
    flips_gripper: npt.NDArray[np.bool_]  # (steps,)
    max_translation: float  # [m] the suite's bounds per step, which a pushed action keeps
    max_rotation: float  # [rad]


def draw_bursts(
    seed: int,
    steps: int,
    *,
    rate: float = 0.04,
    flip_share: float = 0.12,
    max_translation: float = MAX_TRANSLATION,
    max_rotation: float = MAX_ROTATION,
) -> Bursts:
    """Each step outside a burst begins one with probability `rate`; a burst lasts 2 to 5 steps."""
    rng = np.random.default_rng(seed)
    pushes = np.zeros((steps, 6))
    is_active, flips = np.zeros(steps, dtype=bool), np.zeros(steps, dtype=bool)
    step = 0
    while step < steps:
        if rng.random() >= rate:
            step += 1
            continue
        end = min(step + int(rng.integers(2, 6)), steps)
        pushes[step:end, :3] = _direction(rng) * rng.uniform(0.5, 1.0) * max_translation
        pushes[step:end, 3:] = _direction(rng) * rng.uniform(0.0, 1.0) * max_rotation
        is_active[step:end] = True
        flips[step:end] = rng.random() < flip_share
        step = end
    return Bursts(
        pushes=read_only(pushes),
        is_active=is_active,
        flips_gripper=flips,
        max_translation=max_translation,
        max_rotation=max_rotation,
    )


def perturb(action: Vector, bursts: Bursts, step: int) -> Vector:
    """The action that is carried out instead, within the task's bounds."""
    if not bursts.is_active[step]:
        return action
    noisy = action[:6] + bursts.pushes[step]
    for part, longest in ((slice(0, 3), bursts.max_translation), (slice(3, 6), bursts.max_rotation)):
        noisy[part] *= min(1.0, 0.999 * longest / max(float(np.linalg.norm(noisy[part])), 1e-12))
    opening = 1.0 - action[6] if bursts.flips_gripper[step] else action[6]
    return np.array([*noisy, opening])


def is_demonstration(is_disturbed: npt.NDArray[np.bool_], horizon: int) -> npt.NDArray[np.bool_]:
    """Per step: none of the `horizon` steps from here on is disturbed, so the chunk is the expert's own."""
    ahead = np.concatenate([is_disturbed, np.zeros(horizon, dtype=bool)])
    windows = np.lib.stride_tricks.sliding_window_view(ahead, horizon)[: len(is_disturbed)]
    return np.logical_not(windows.any(axis=1))


def _direction(rng: np.random.Generator) -> Vector:
    vector = rng.normal(size=3)
    return vector / np.linalg.norm(vector)
