"""What the filter remembers from one tick to the next; nothing else is remembered anywhere.

Motion is that of the TCP: row 0 is its position, row 1 its orientation as the running sum of the small
rotation vectors between ticks, both in the base frame. The stop that was judged safe is part of it.
"""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from robot_bridge import kinematics
from robot_bridge.devices import ArmState
from robot_bridge.safety.braking import Stop, stop_at_rest
from robot_bridge.safety.look_ahead import Posture, posture_at
from robot_bridge.safety.verdict import Target, Verdict
from robot_contract.pose import Pose, Vector, read_only

_KEPT = 3  # targets: with the newest they give velocity, acceleration and jerk


@dataclass(frozen=True, kw_only=True, eq=False)
class Memory:
    last_at: float  # [s] when the last target was sent
    sent: Target  # the last target that was sent; holding repeats it
    velocity: Vector  # (2, 3) [m/s, rad/s]
    acceleration: Vector  # (2, 3) [m/s^2, rad/s^2]
    times: tuple[float, ...]  # [s] of the last sent targets, oldest first, the last one is last_at
    offsets: Vector  # (n, 2, 3) [m, rad] of those targets from the last one
    stop: Stop  # how to come to rest from here, judged safe
    stop_elapsed: float = 0.0  # [s] of that stop done
    arrival: float | None = None  # [s] left of the approach that is under way
    pace: float = 1.0  # share of the profile's speed that the joints allow
    posture: Posture  # the joint solution of the last target
    proposed: Pose | None = None  # last valid proposal, flange pose
    stopped: bool = False  # a STOP was given; only a new memory, made for a person, ends it
    holding_since: float | None = None  # [s] the first tick of the present run of HOLD
    clamped_ticks: int = 0  # length of the present run of CLAMP
    clamp_count: int = 0  # CLAMP verdicts in all
    hold_count: int = 0
    stop_count: int = 0

    @classmethod
    def at_rest(cls, arm: ArmState, now: float) -> Self:
        """Memory of an arm that stands on its commanded pose."""
        pose = arm.commanded_flange_pose
        posture = read_only(kinematics.inverse(pose, arm.joint_position, steps=20).joint_position)
        return cls(
            last_at=now,
            sent=Target(flange_pose=pose, joint_posture=posture),
            velocity=np.zeros((2, 3)),
            acceleration=np.zeros((2, 3)),
            times=(now,),
            offsets=np.zeros((1, 2, 3)),
            stop=stop_at_rest(),
            posture=posture_at(posture),
        )

    def is_at_rest(self) -> bool:
        return not self.velocity.any() and not self.acceleration.any()

    def history(self, dt: float) -> tuple[tuple[float, float, float], tuple[Vector, Vector, Vector]]:
        """Times and offsets of the last three targets; before the first one the arm stood."""
        missing = _KEPT - len(self.times)
        times = tuple(self.times[0] - dt * k for k in range(missing, 0, -1)) + self.times
        offsets = (self.offsets[0],) * missing + tuple(self.offsets)
        return (times[0], times[1], times[2]), (offsets[0], offsets[1], offsets[2])

    def moved(self, target: Target, way: Vector, now: float, **changes: Any) -> "Memory":
        """With a target sent `way` (2, 3) from the last one, and other fields changed."""
        offsets = np.concatenate([self.offsets, way[None]])[-_KEPT:] - way
        offsets[-1] = 0.0
        times = (*self.times, now)[-_KEPT:]
        return replace(self, last_at=now, sent=target, times=times, offsets=offsets, **changes)

    def stood(self, now: float, proposed: Pose | None = None) -> "Memory":
        """With the last target sent again, at rest."""
        return self.moved(self.sent, np.zeros((2, 3)), now, proposed=proposed, arrival=None)

    def counted(self, verdict: Verdict, now: float) -> "Memory":
        """With this verdict in the counts."""
        return replace(self, **self.counts(verdict, now))

    def counts(self, verdict: Verdict, now: float) -> dict[str, Any]:
        """The fields that change with this verdict."""
        kind = verdict.kind
        return {
            "stopped": self.stopped or kind == "STOP",
            "holding_since": (now if self.holding_since is None else self.holding_since)
            if kind == "HOLD"
            else None,
            "clamped_ticks": self.clamped_ticks + 1 if kind == "CLAMP" else 0,
            "clamp_count": self.clamp_count + (kind == "CLAMP"),
            "hold_count": self.hold_count + (kind == "HOLD"),
            "stop_count": self.stop_count + (kind == "STOP"),
        }

    def is_on_target(self) -> bool:
        """False while a target is being caught up with: then only an approach that ends on it may meet it."""
        return self.is_at_rest() or self.proposed == self.sent.flange_pose

    def rested(self, now: float) -> "Memory":
        """The same target, motion ended: after a pause in which nothing was sent."""
        return replace(
            self,
            last_at=now,
            velocity=np.zeros((2, 3)),
            acceleration=np.zeros((2, 3)),
            times=(now,),
            offsets=np.zeros((1, 2, 3)),
            stop=stop_at_rest(),
            stop_elapsed=0.0,
            arrival=None,
            proposed=None,
        )
