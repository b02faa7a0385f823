"""Coming to rest within acceleration and jerk limits, in closed form, in any direction.

A stop has three parts of constant jerk: the acceleration goes to a braking one, stays, goes to zero. For a
straight motion at speed v it takes v/a + a/j, and v^2/2a + v a/2j of way. Any tail of a stop is again within
the limits, whatever the time between ticks: that makes a stop that was judged safe stay safe.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import sqrt

import numpy as np

from robot_contract.pose import Vector

_STILL = 1e-15  # [m/s, rad/s] rounding, not motion


@dataclass(frozen=True, kw_only=True, eq=False)
class Phases:
    """One stop of one 3-vector, of position or of orientation."""

    velocity: Vector  # (3,) at the start
    acceleration: Vector  # (3,) at the start
    braking: Vector  # (3,) acceleration in the middle part
    onset: float  # [s] lengths of the three parts
    middle: float
    release: float

    @property
    def duration(self) -> float:
        return self.onset + self.middle + self.release

    def after(self, elapsed: float) -> tuple[Vector, Vector, Vector]:
        """Way, velocity and acceleration after `elapsed` seconds; at rest and exactly so at the end."""
        a0, a1, v0 = self.acceleration, self.braking, self.velocity
        if not elapsed < self.duration:
            return self.way, np.zeros(3), np.zeros(3)
        if elapsed < self.onset:
            jerk = (a1 - a0) / self.onset
            return (
                v0 * elapsed + a0 * (elapsed**2 / 2) + jerk * (elapsed**3 / 6),
                v0 + a0 * elapsed + jerk * (elapsed**2 / 2),
                a0 + jerk * elapsed,
            )
        left = self.duration - elapsed
        if left <= self.release:
            share = left / self.release
            return self.way + a1 * (share * left**2 / 6), -a1 * (share * left / 2), a1 * share
        left -= self.release / 2
        way = self.way + a1 * (left**2 / 2 + self.release**2 / 24)
        return way, -a1 * left, a1

    @property
    def way(self) -> Vector:
        """Displacement until rest."""
        return self.hull[-1]

    @property
    def hull(self) -> Vector:
        """(7, 3) points whose convex hull holds the whole way, from 0 to the point of rest."""
        return self._hulls[:7]

    @property
    def velocity_hull(self) -> Vector:
        """(5, 3) velocities whose convex hull with 0 holds every velocity on the way."""
        return self._hulls[7:]

    @cached_property
    def _hulls(self) -> Vector:
        """(12, 3) corners of both, as shares of the velocity, the acceleration and the braking.

        A cubic lies within the hull of its four control points, its derivative within that of its three.
        """
        t1, t2, t3 = self.onset, self.middle, self.release
        v1, v2 = t2 + t3 / 2, t3 / 2  # [s] of braking that are left after the onset and after the middle
        onset = t1 * t1 / 6
        middle = onset - (v1 + v2) * (t2 / 2)
        shares = (
            (0.0, 0.0, 0.0),
            (t1 / 3, 0.0, 0.0),
            (2 * t1 / 3, onset, 0.0),
            (t1, 2 * onset, onset),
            (t1, 2 * onset, onset - v1 * (t2 / 2)),
            (t1, 2 * onset, middle),
            (t1, 2 * onset, middle - v2 * (t3 / 3)),
            (1.0, 0.0, 0.0),
            (1.0, t1 / 4, 0.0),
            (1.0, 3 * t1 / 8, t1 / 8),
            (1.0, t1 / 2, t1 / 4),
            (1.0, t1 / 2, t1 / 2),
        )
        return np.array(shares) @ np.array((self.velocity, self.acceleration, self.braking))


@dataclass(frozen=True, kw_only=True, eq=False)
class Stop:
    linear: Phases
    angular: Phases

    @property
    def duration(self) -> float:
        return max(self.linear.duration, self.angular.duration)

    def after(self, elapsed: float) -> tuple[Vector, Vector, Vector]:
        """(2, 3) way, velocity and acceleration after `elapsed` seconds."""
        linear, angular = self.linear.after(elapsed), self.angular.after(elapsed)
        return (
            np.array([linear[0], angular[0]]),
            np.array([linear[1], angular[1]]),
            np.array([linear[2], angular[2]]),
        )


def phases(velocity: Vector, acceleration: Vector, greatest: float, jerk: float) -> Phases:
    """The quickest such stop with |acceleration| <= greatest, |jerk| <= jerk.

    With the onset's length t given, rest at the end fixes the braking acceleration; the shortest t whose
    onset respects the jerk limit is found by bisection.
    """
    vx, vy, vz = velocity.tolist()
    ax, ay, az = acceleration.tolist()
    vv, va, aa = (
        vx * vx + vy * vy + vz * vz,
        vx * ax + vy * ay + vz * az,
        ax * ax + ay * ay + az * az,
    )
    if vv <= _STILL**2 and aa <= _STILL**2:
        return Phases(
            velocity=velocity,
            acceleration=acceleration,
            braking=np.zeros(3),
            onset=0.0,
            middle=0.0,
            release=0.0,
        )

    def parts(onset: float) -> tuple[float, float, float, float]:
        """Strength of braking, middle, release, and how much jerk the onset has in hand (squared, signed)."""
        needed = sqrt(max(vv + va * onset + aa * onset * onset / 4, 0.0))  # |v + a t / 2|
        release = (sqrt(onset * onset + 8 * needed / jerk) - onset) / 2
        strength = jerk * release
        middle = 0.0
        if strength > greatest:
            strength, release = greatest, greatest / jerk
            middle = max(needed / strength - (onset + release) / 2, 0.0)
        towards = (va + aa * onset / 2) * (strength / needed) if needed > 0 else 0.0
        change = strength * strength + aa + 2 * towards  # |braking - acceleration|^2
        return strength, middle, release, (jerk * onset) ** 2 - change

    onset = _shortest(lambda onset: parts(onset)[3], 2 * greatest / jerk * (1 + 1e-9))
    strength, middle, release, _ = parts(onset)
    lever = velocity + acceleration * (onset / 2)
    norm = sqrt(float(lever @ lever))
    braking = lever * (-strength / norm) if norm > 0 else np.zeros(3)
    return Phases(
        velocity=velocity,
        acceleration=acceleration,
        braking=braking,
        onset=onset,
        middle=middle,
        release=release,
    )


def _shortest(in_hand: Callable[[float], float], longest: float) -> float:
    """The least argument from which on `in_hand` is not negative, from above, by the Illinois rule."""
    low, high = 0.0, longest
    below, above = in_hand(low), in_hand(high)
    if below >= 0:
        return low
    for _ in range(40):
        if high - low <= 5e-4 * longest:
            break
        # aim a little above the root, so that the end that is kept is mostly the upper one
        middle = high - above * (high - low) / (above - below) if above > 0 else high
        middle = min(max(middle + 1e-4 * longest, low), high)
        value = in_hand(middle)
        if value >= 0:
            high, above, below = middle, value, below / 2
        else:
            low, below, above = middle, value, above / 2
    return high


def stop_at_rest() -> Stop:
    still = phases(np.zeros(3), np.zeros(3), 1.0, 1.0)
    return Stop(linear=still, angular=still)
