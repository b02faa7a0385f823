"""Where everything stood a little while ago: what an old picture shows."""

from collections import deque
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import sapien

_LONGEST = 0.2  # [s] that is remembered

T = TypeVar("T")


class Memory(Generic[T]):
    """What was, and how long ago."""

    def __init__(self) -> None:
        self._instants: deque[tuple[float, T]] = deque()
        self._now = 0.0  # [s]

    def remember(self, seconds: float, now: T) -> None:
        """As it is after so much time since the last call."""
        self._now += seconds
        self._instants.append((self._now, now))
        while self._now - self._instants[0][0] > _LONGEST:
            self._instants.popleft()

    def then(self, age: float) -> T | None:
        """As it was `age` seconds ago, as far as that is known; None where it is now."""
        if not (age > 0.0 and self._instants):
            return None
        return min(self._instants, key=lambda instant: abs(self._now - age - instant[0]))[1]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Instant:
    joints: np.ndarray[tuple[int], np.dtype[np.float32]]
    poses: tuple[sapien.Pose, ...]


class Past:
    def __init__(self, robot: sapien.physx.PhysxArticulation, things: Sequence[sapien.Entity]) -> None:
        self._robot = robot
        self._things = things
        self._memory: Memory[_Instant] = Memory()

    def remember(self, seconds: float) -> None:
        """So much time has passed since the last call."""
        self._memory.remember(seconds, self._instant())

    @contextmanager
    def shown(self, age: float) -> Generator[None]:
        """Everything stands where it stood `age` seconds ago, as far as that is known."""
        then = self._memory.then(age)
        if then is None:
            yield
            return
        now = self._instant()
        self._show(then)
        try:
            yield
        finally:
            self._show(now)

    def _instant(self) -> _Instant:
        return _Instant(joints=self._robot.get_qpos(), poses=tuple(thing.pose for thing in self._things))

    def _show(self, instant: _Instant) -> None:
        self._robot.set_qpos(instant.joints)
        for thing, pose in zip(self._things, instant.poses):
            thing.set_pose(pose)
