"""One action chunk as a function of time.

Deltas become absolute TCP targets once, here. Between the targets position runs with continuous velocity and
acceleration and never overshoots a target; orientation takes the shortest arc. Past the last target there is
no extrapolation: the plan stays on it.
"""

from dataclasses import dataclass

import numpy as np

from robot_contract.messages import ActionChunk
from robot_contract.pose import Pose, Vector, apply_delta, interpolate


def compose(anchor: Pose, actions: Vector, frame: str) -> tuple[Pose, ...]:
    """The absolute targets of a chain of deltas: each delta is applied once, to the target before it."""
    targets: list[Pose] = []
    for action in actions:
        anchor = apply_delta(anchor, action[:3], action[3:6], frame)
        targets.append(anchor)
    return tuple(targets)


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """A chain of absolute targets: `targets[i]` is reached at `begins_at + (i + 1) * step_period`."""

    sequence: int  # of the chunk
    begins_at: float  # [s], bridge clock
    step_period: float  # [s], time stretch included
    anchor: Pose  # where the chain begins
    targets: tuple[Pose, ...]
    tangents: Vector  # (n + 1, 3) [m per step] at the anchor and at each target
    openings: Vector  # (n,) wanted gripper opening during each step, 0..1

    @property
    def ends_at(self) -> float:
        return self.begins_at + len(self.targets) * self.step_period

    def step_at(self, instant: float) -> int:
        """Index of the action whose step contains the instant; the last one afterwards."""
        step = int(np.floor((instant - self.begins_at) / self.step_period + 1e-9))
        return min(max(step, 0), len(self.targets) - 1)

    def pose_at(self, instant: float) -> Pose:
        progress = (instant - self.begins_at) / self.step_period
        if not progress > 0.0:
            return self.anchor
        if not progress < len(self.targets):
            return self.targets[-1]
        i = int(progress)
        start = self.anchor if i == 0 else self.targets[i - 1]
        turned = interpolate(start, self.targets[i], progress - i)
        position = _quintic(
            start.position,
            self.targets[i].position,
            self.tangents[i],
            self.tangents[i + 1],
            progress - i,
        )
        return Pose(position=position, quaternion=turned.quaternion)

    def opening_at(self, instant: float) -> float:
        return float(self.openings[self.step_at(instant)])


def plan_chain(
    chunk: ActionChunk, *, anchor: Pose, begins_at: float, step_period: float, steps: int, frame: str
) -> Plan:
    """The first `steps` actions of a chunk, chained from the anchor."""
    actions = chunk.actions[:steps]
    targets = compose(anchor, actions, frame)
    return Plan(
        sequence=chunk.sequence,
        begins_at=begins_at,
        step_period=step_period,
        anchor=anchor,
        targets=targets,
        tangents=_tangents(np.array([anchor.position, *(target.position for target in targets)])),
        openings=actions[:, 6],
    )


def _tangents(points: Vector) -> Vector:
    """Tangents that keep each coordinate monotone between targets (harmonic means), at rest at both ends."""
    steps = np.diff(points, axis=0)
    before, after = steps[:-1], steps[1:]
    product = before * after
    total = np.where(product > 0.0, before + after, 1.0)
    tangents = np.zeros_like(points)
    tangents[1:-1] = np.where(product > 0.0, 2.0 * product / total, 0.0)
    return tangents


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
