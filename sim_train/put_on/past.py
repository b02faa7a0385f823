"""Where everything stood a little while ago: what an old picture shows."""

from collections import deque
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import sapien

LONGEST = 0.2  # [s] that is remembered


@dataclass(frozen=True, kw_only=True, eq=False)
class _Instant:
    at: float  # [s]
    joints: np.ndarray[tuple[int], np.dtype[np.float32]]
    poses: tuple[sapien.Pose, ...]


class Past:
    def __init__(self, robot: sapien.physx.PhysxArticulation, things: Sequence[sapien.Entity]) -> None:
        self._robot = robot
        self._things = things
        self._instants: deque[_Instant] = deque()
        self._now = 0.0

    def remember(self, seconds: float) -> None:
        """So much time has passed since the last call."""
        self._now += seconds
        self._instants.append(self._instant())
        while self._now - self._instants[0].at > LONGEST:
            self._instants.popleft()

    @contextmanager
    def shown(self, age: float) -> Generator[None]:
        """Everything stands where it stood `age` seconds ago, as far as that is known."""
        if not (age > 0.0 and self._instants):
            yield
            return
        now = self._instant()
        self._show(min(self._instants, key=lambda instant: abs(self._now - age - instant.at)))
        try:
            yield
        finally:
            self._show(now)

    def _instant(self) -> _Instant:
        return _Instant(
            at=self._now,
            joints=self._robot.get_qpos(),
            poses=tuple(thing.pose for thing in self._things),
        )

    def _show(self, instant: _Instant) -> None:
        self._robot.set_qpos(instant.joints)
        for thing, pose in zip(self._things, instant.poses):
            thing.set_pose(pose)
