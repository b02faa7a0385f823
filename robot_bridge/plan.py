"""One action chunk as a function of time.

Deltas become absolute TCP targets once, here. Between the targets position runs with continuous velocity and
acceleration and never overshoots a target; orientation takes the shortest arc. Past the last target there is
no extrapolation: the plan stays on it.
"""

from dataclasses import dataclass

import numpy as np

from robot_bridge.safety import Profile
from robot_contract.messages import ActionChunk
from robot_contract.pose import Pose, Vector, apply_delta, interpolate

# Where a chain starts from rest or comes to rest, its first and last step take so many periods: the fewest
# that keep within the profile. Slow policies need one, the fastest two.
_STRETCHES = (1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)
_SHARE = 0.9  # of the profile's acceleration and jerk
_MONOTONE = 2.5  # a step's tangent over its length: more would make the curve run back
_S = np.linspace(0.0, 1.0, 17)
# Second and third derivatives of the quintic's three parts: displacement, leaving and arriving tangent.
_SECOND = np.array(
    [
        60 * _S - 180 * _S**2 + 120 * _S**3,
        -36 * _S + 96 * _S**2 - 60 * _S**3,
        -24 * _S + 84 * _S**2 - 60 * _S**3,
    ]
)
_THIRD = np.array([60 - 360 * _S + 360 * _S**2, -36 + 192 * _S - 180 * _S**2, -24 + 168 * _S - 180 * _S**2])


def compose(anchor: Pose, actions: Vector, frame: str) -> tuple[Pose, ...]:
    """The absolute targets of a chain of deltas: each delta is applied once, to the target before it."""
    targets: list[Pose] = []
    for action in actions:
        anchor = apply_delta(anchor, action[:3], action[3:6], frame)
        targets.append(anchor)
    return tuple(targets)


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """A chain of absolute targets: `poses[i + 1]` is that of action i and is reached at `instants[i + 1]`."""

    sequence: int  # of the chunk
    instants: Vector  # (n + 1,) [s], bridge clock; the chain begins at the first
    poses: tuple[Pose, ...]  # (n + 1) the anchor, then the targets
    tangents: Vector  # (n + 1, 3) [m/s]
    openings: Vector  # (n,) wanted gripper opening during each step, 0..1

    @property
    def ends_at(self) -> float:
        return float(self.instants[-1])

    @property
    def targets(self) -> tuple[Pose, ...]:
        return self.poses[1:]

    def step_at(self, instant: float) -> int:
        """Index of the action whose step contains the instant; the last one afterwards."""
        step = int(np.searchsorted(self.instants, instant + 1e-9, side="right")) - 1
        return min(max(step, 0), len(self.openings) - 1)

    def pose_at(self, instant: float) -> Pose:
        if not instant > self.instants[0]:
            return self.poses[0]
        if not instant < self.instants[-1]:
            return self.poses[-1]
        i = self.step_at(instant)
        seconds = float(self.instants[i + 1] - self.instants[i])
        s = min(max((instant - float(self.instants[i])) / seconds, 0.0), 1.0)
        a, b = self.poses[i], self.poses[i + 1]
        leaving, arriving = self.tangents[i] * seconds, self.tangents[i + 1] * seconds
        position = _quintic(a.position, b.position, leaving, arriving, s)
        return Pose(position=position, quaternion=interpolate(a, b, s).quaternion)

    def opening_at(self, instant: float) -> float:
        return float(self.openings[self.step_at(instant)])


def plan_chain(
    chunk: ActionChunk,
    *,
    anchor: Pose,
    begins_at: float,
    step_period: float,
    steps: int,
    frame: str,
    from_rest: Profile | None = None,
) -> Plan:
    """The first `steps` actions of a chunk, chained from the anchor.

    With `from_rest` the arm stands before and after the chain, and the two ends get the time that this
    profile needs; without it every step takes its period, because other chunks overlap.
    """
    actions = chunk.actions[:steps]
    poses = (anchor, *compose(anchor, actions, frame))
    points = np.array([pose.position for pose in poses])
    tangents = _tangents(points) / step_period
    seconds = np.full(steps, step_period)
    if from_rest is not None:
        for end in {0, steps - 1}:
            seconds[end] = _rest_seconds(points, tangents, end, step_period, from_rest)
            _keep_monotone(points, tangents, end, float(seconds[end]))
    return Plan(
        sequence=chunk.sequence,
        instants=begins_at + np.concatenate([[0.0], np.cumsum(seconds)]),
        poses=poses,
        tangents=tangents,
        openings=actions[:, 6],
    )


def _tangents(points: Vector) -> Vector:
    """[m per step] harmonic means, which keep each coordinate monotone between targets; zero at the ends."""
    steps = np.diff(points, axis=0)
    before, after = steps[:-1], steps[1:]
    product = before * after
    total = np.where(product > 0.0, before + after, 1.0)
    tangents = np.zeros_like(points)
    tangents[1:-1] = np.where(product > 0.0, 2.0 * product / total, 0.0)
    return tangents


def _rest_seconds(points: Vector, tangents: Vector, step: int, step_period: float, profile: Profile) -> float:
    """How long the step takes that begins or ends at rest."""
    for stretch in _STRETCHES:
        seconds = stretch * step_period
        parts = np.array(
            [points[step + 1] - points[step], tangents[step] * seconds, tangents[step + 1] * seconds]
        )
        acceleration = np.linalg.norm(_SECOND.T @ parts, axis=1).max() / seconds**2
        jerk = np.linalg.norm(_THIRD.T @ parts, axis=1).max() / seconds**3
        if acceleration <= _SHARE * profile.acceleration and jerk <= _SHARE * profile.jerk:
            return seconds
    return _STRETCHES[-1] * step_period


def _keep_monotone(points: Vector, tangents: Vector, step: int, seconds: float) -> None:
    largest = _MONOTONE * np.abs(points[step + 1] - points[step]) / seconds
    for knot in (step, step + 1):
        tangents[knot] = np.clip(tangents[knot], -largest, largest)


def _quintic(a: Vector, b: Vector, leaving: Vector, arriving: Vector, s: float) -> Vector:
    """Hermite quintic from a to b over s in 0..1, without acceleration at either end."""
    s3 = s * s * s
    s4, s5 = s3 * s, s3 * s * s
    share = 10 * s3 - 15 * s4 + 6 * s5
    return (
        a
        + (b - a) * share
        + (s - 6 * s3 + 8 * s4 - 3 * s5) * leaving
        + (-4 * s3 + 7 * s4 - 3 * s5) * arriving
    )
