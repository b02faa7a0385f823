"""What was, as a function of time: the last seconds of a signal, interpolated, never extrapolated.

Two signals are kept: the measured state (for observations) and the pose that was sent (for anchors).
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from robot_contract.pose import Pose, Vector, interpolate

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, eq=False)
class MeasuredState:
    tcp_pose: Pose  # base frame
    joint_position: Vector  # (7,) [rad]
    gripper_width: float  # [m]


def interpolate_state(a: MeasuredState, b: MeasuredState, fraction: float) -> MeasuredState:
    return MeasuredState(
        tcp_pose=interpolate(a.tcp_pose, b.tcp_pose, fraction),
        joint_position=a.joint_position + (b.joint_position - a.joint_position) * fraction,
        gripper_width=a.gripper_width + (b.gripper_width - a.gripper_width) * fraction,
    )


class History(Generic[T]):
    def __init__(self, between: Callable[[T, T, float], T], *, seconds: float = 2.0) -> None:
        self._between = between
        self._seconds = seconds  # [s] how much is kept
        self._items: deque[tuple[float, T]] = deque()

    def add(self, at: float, value: T) -> None:
        """Append; an instant that is not newer than the last replaces it."""
        while self._items and not at > self._items[-1][0]:
            self._items.pop()
        self._items.append((at, value))
        while not at - self._items[0][0] <= self._seconds:
            self._items.popleft()

    def clear(self) -> None:
        self._items.clear()

    def at(self, instant: float) -> T | None:
        return value_at(self.snapshot(), instant, self._between)

    def snapshot(self) -> tuple[tuple[float, T], ...]:
        """An unchanging copy that another thread may read."""
        return tuple(self._items)


def value_at(
    items: tuple[tuple[float, T], ...], instant: float, between: Callable[[T, T, float], T]
) -> T | None:
    """The value at that instant; None outside what is known."""
    if not items or not items[0][0] <= instant <= items[-1][0]:
        return None
    after = bisect_right(items, instant, key=lambda item: item[0])
    if after == len(items):
        return items[-1][1]
    (a_at, a), (b_at, b) = items[after - 1], items[after]
    return between(a, b, (instant - a_at) / (b_at - a_at))
