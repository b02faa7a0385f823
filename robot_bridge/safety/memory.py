"""What the filter remembers from one tick to the next; nothing else is remembered anywhere.

Motion is that of the TCP: row 0 is its position, row 1 its orientation as the running sum of the small
rotation vectors between ticks, both in the base frame. The stop that was judged safe is part of it.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from robot_bridge.devices import ArmState
from robot_bridge.safety.braking import Stop, stop_at_rest
from robot_bridge.safety.verdict import Target
from robot_contract.pose import Pose, Vector, read_only

HISTORY = 3  # samples kept: with the newest they give velocity, acceleration and jerk


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
    posture: Vector  # (7,) [rad] the joint solution of the last target
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
        return cls(
            last_at=now,
            sent=Target(flange_pose=arm.commanded_flange_pose, joint_posture=read_only(arm.joint_position)),
            velocity=np.zeros((2, 3)),
            acceleration=np.zeros((2, 3)),
            times=(now,),
            offsets=np.zeros((1, 2, 3)),
            stop=stop_at_rest(),
            posture=read_only(arm.joint_position),
        )

    def is_at_rest(self) -> bool:
        return not self.velocity.any() and not self.acceleration.any()

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
        )
