"""Following a target that is too far or too sudden: the next tick of a jerk-limited approach.

Near: a quintic that meets the goal and its velocity exactly, in the least time that the limits allow; from
rest it never passes a goal that stands. Far: a cruise towards it. Both work on the error to the goal, so that
a goal that moves is caught up with. Values are (2, 3): the TCP's position [m] and orientation [rad].
"""

from dataclasses import dataclass

import numpy as np

from robot_bridge.safety.braking import phases
from robot_bridge.safety.limits import Profile
from robot_contract.pose import Vector

_SHARE = 0.98  # of the limits that plans use: the rest is for what happens between the instants checked
_LONGEST = 0.4  # [s] goals that are farther are cruised towards
_CRUISE_PERIOD = 0.2  # [s] the cruise slows down where it would arrive sooner than this
_NEGLIGIBLE = 1e-6  # [s] an approach with less than this left is planned anew
_DURATIONS = np.geomspace(0.01, _LONGEST, 16)
_INSTANTS = np.linspace(0.0, 1.0, 21)  # so near that a peak between two of them is missed by 1 % at most


@dataclass(frozen=True, kw_only=True, eq=False)
class Step:
    """One tick of motion, and the state at its end."""

    way: Vector  # (2, 3) [m, rad]
    velocity: Vector  # (2, 3)
    acceleration: Vector  # (2, 3)
    left: float | None = None  # [s] of the approach; 0 where the goal is met


@dataclass(frozen=True, kw_only=True, eq=False)
class Course:
    """Where the motion is to go, seen from where it is."""

    gap: Vector  # (2, 3) from the last target to the goal of this tick
    goal_velocity: Vector  # (2, 3)
    velocity: Vector  # (2, 3)
    acceleration: Vector  # (2, 3)
    reach: float  # [m] the farthest tool point from the TCP
    dt: float  # [s]


def _derivatives() -> Vector:
    """(4, 3, 6) ascending coefficients, per derivative, of the error's share over the time's share.

    Per row: of an initial error, of its velocity and of its acceleration; all vanish at the end, with their
    first two derivatives.
    """
    shapes = np.array(
        [[1, 0, 0, -10, 15, -6], [0, 1, 0, -6, 8, -3], [0, 0, 0.5, -1.5, 1.5, -0.5]], dtype=np.float64
    )
    rows = [shapes]
    for _ in range(3):
        lower = np.zeros((3, 6))
        lower[:, :5] = rows[-1][:, 1:] * np.arange(1, 6)
        rows.append(lower)
    return np.array(rows)


_COEFFICIENTS = _derivatives()
_POWERS = np.array([[k - order for k in range(3)] for order in range(4)], dtype=np.float64)  # of the duration
_TABLE = np.einsum("okp,ps->osk", _COEFFICIENTS[1:], _INSTANTS[None, :] ** np.arange(6)[:, None])


def _weights(durations: Vector) -> Vector:
    """(derivatives 1-3, durations, instants, 3) what the initial values weigh in them."""
    return _TABLE[:, None] * (durations[None, :, None] ** _POWERS[1:, None])[:, :, None, :]


_GRID = _weights(_DURATIONS)


def approach(course: Course, profile: Profile, *, pace: float, left: float | None) -> Step | None:
    """The next tick of the quickest quintic that meets the goal, or None where it would take too long.

    `left` is what was left of the approach so far: it is gone on with unless a quicker one is possible.
    """
    error = course.gap - course.goal_velocity * course.dt  # at the last tick
    start = np.concatenate([error, course.goal_velocity - course.velocity, -course.acceleration])
    start = start.reshape(3, 6)
    durations, weights = _DURATIONS, _GRID
    if left is not None and left > _NEGLIGIBLE:
        durations = np.concatenate([[left], _DURATIONS])
        weights = np.concatenate([_weights(durations[:1]), _GRID], axis=1)
    rates = start.T @ weights.reshape(-1, 3).T  # rows: x y z of the position, x y z of the orientation
    rates = rates.reshape(2, 3, 3, len(durations), len(_INSTANTS))  # ..., derivative, duration, instant
    rates[:, :, 0] = course.goal_velocity[:, :, None, None] - rates[:, :, 0]
    squares = rates * rates
    linear, angular = squares[:, 0] + squares[:, 1] + squares[:, 2]
    angular_speed = np.sqrt(angular[0])
    speed = np.sqrt(linear[0]) + course.reach * angular_speed
    at_most = np.maximum(_SHARE * pace * profile.speed, speed[:, :1] * (1 + 1e-9))
    angular_at_most = np.maximum(_SHARE * pace * profile.angular_speed, angular_speed[:, :1] * (1 + 1e-9))
    within = (
        (speed <= at_most)
        & (angular_speed <= angular_at_most)
        & (linear[1] <= (_SHARE * profile.acceleration) ** 2)
        & (angular[1] <= (_SHARE * profile.angular_acceleration) ** 2)
        & (linear[2] <= (_SHARE * profile.jerk) ** 2)
        & (angular[2] <= (_SHARE * profile.angular_jerk) ** 2)
    ).all(axis=1)
    if not within.any():
        return None
    return _first_tick(course, start, float(durations[within].min()))


def _first_tick(course: Course, start: Vector, duration: float) -> Step:
    if course.dt >= duration * (1 - 1e-9):
        still = np.zeros((2, 3))
        return Step(way=course.gap, velocity=course.goal_velocity, acceleration=still, left=0.0)
    powers = (course.dt / duration) ** np.arange(6)
    weights = (_COEFFICIENTS[:3] @ powers) * duration ** _POWERS[:3]
    error, error_velocity, error_acceleration = (weights @ start).reshape(3, 2, 3)
    return Step(
        way=course.gap - error,
        velocity=course.goal_velocity - error_velocity,
        acceleration=-error_acceleration,
        left=duration - course.dt,
    )


def cruise(course: Course, profile: Profile, *, pace: float) -> Step:
    """The next tick of a smooth change to the cruising velocity towards the goal."""
    wanted = course.goal_velocity + course.gap / _CRUISE_PERIOD
    linear, angular = np.sqrt((wanted * wanted).sum(axis=1)).tolist()
    share = _SHARE * pace
    wanted = wanted * min(
        1.0,
        share * profile.speed / max(linear + course.reach * angular, 1e-12),
        share * profile.angular_speed / max(angular, 1e-12),
    )
    surplus = course.velocity - wanted
    linear_change = phases(
        surplus[0], course.acceleration[0], _SHARE * profile.acceleration, _SHARE * profile.jerk
    ).after(course.dt)
    angular_change = phases(
        surplus[1],
        course.acceleration[1],
        _SHARE * profile.angular_acceleration,
        _SHARE * profile.angular_jerk,
    ).after(course.dt)
    return Step(
        way=wanted * course.dt + np.array([linear_change[0], angular_change[0]]),
        velocity=wanted + np.array([linear_change[1], angular_change[1]]),
        acceleration=np.array([linear_change[2], angular_change[2]]),
    )
