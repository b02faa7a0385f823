"""Time as the loop sees it: one clock, asked for now and waited on until an instant.

The real one is the machine's monotonic clock. The twin's stepped clock has the same two methods, and there
waiting is what moves the physics on; code written against `Clock` runs on both.
"""

import time
from typing import Protocol


class Clock(Protocol):
    def now(self) -> float:
        """The present instant [s]; never goes back."""
        ...

    def sleep_until(self, t: float) -> None:
        """Return when now() is at least t [s]; at once when t is past."""
        ...


class MonotonicClock:
    def now(self) -> float:
        return time.monotonic()

    def sleep_until(self, t: float) -> None:
        while (left := t - time.monotonic()) > 0:
            time.sleep(left)
