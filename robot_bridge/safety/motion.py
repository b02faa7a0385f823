"""Velocity, acceleration and jerk of targets that were sent, whatever the time between them.

Newton's divided differences of the last four: for a curve whose derivatives keep to the limits they keep to
them exactly, also at irregular ticks. Motion is (2, 3): the TCP's position [m], and its orientation [rad]
as the running sum of the rotation vectors from target to target, both in the base frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from robot_contract.pose import Pose, Vector, rotation_between


@dataclass(frozen=True, kw_only=True, eq=False)
class Motion:
    velocity: Vector  # (2, 3) [m/s, rad/s] mean over the last tick
    acceleration: Vector  # (2, 3) [m/s^2, rad/s^2] over the last three targets
    jerk: Vector  # (2, 3) [m/s^3, rad/s^3] over the last four
    end_velocity: Vector  # (2, 3) at the last target, of the cubic through the four
    end_acceleration: Vector  # (2, 3)


def step_between(a: Pose, b: Pose) -> Vector:
    """(2, 3) how far b is from a [m, rad]; exactly zero for equal poses."""
    if a == b:
        return np.zeros((2, 3))
    return np.array([b.position - a.position, rotation_between(a, b)])


def motion_at_end(times: Sequence[float], offsets: Sequence[Vector]) -> Motion:
    """Motion at the last of four targets; `offsets` (2, 3) from any common origin."""
    t0, t1, t2, t3 = times
    x0, x1, x2, x3 = offsets
    h, h2 = t3 - t2, t3 - t1
    f23 = (x3 - x2) / h
    f12 = (x2 - x1) / (t2 - t1)
    f01 = (x1 - x0) / (t1 - t0)
    f123 = (f23 - f12) / h2
    f012 = (f12 - f01) / (t2 - t0)
    f0123 = (f123 - f012) / (t3 - t0)
    return Motion(
        velocity=f23,
        acceleration=2 * f123,
        jerk=6 * f0123,
        end_velocity=f23 + f123 * h + f0123 * (h * h2),
        end_acceleration=2 * f123 + f0123 * (2 * (h + h2)),
    )


def motion_of(times: Sequence[float], tcp_poses: Sequence[Pose]) -> list[Motion]:
    """Motion at every target from the fourth on, for tests, plots and the recorder."""
    offsets = [np.zeros((2, 3))]
    for before, after in pairwise(tcp_poses):
        offsets.append(offsets[-1] + step_between(before, after))
    return [
        motion_at_end(times[i - 3 : i + 1], [offset - offsets[i] for offset in offsets[i - 3 : i + 1]])
        for i in range(3, len(times))
    ]
