"""Maps a camera's own frame stamps to the bridge's monotonic clock.

A stamp tells exactly how far apart two exposures are, by a clock that nobody set; the arrival tells the time
by our clock, late by a varying transit. The least transit of the last seconds joins the two, and the
calibrated latency says what that least transit is. The wall clock is never asked, so that it may step.
"""

import math
from dataclasses import dataclass, field

_WINDOW = 5.0  # [s] one to two of these are remembered: shorter than what crystals drift apart in


@dataclass(kw_only=True, eq=False)
class FrameTimes:
    latency: float  # [s] from exposure to arrival when nothing is in the way
    _domain: str | None = None
    _before: float = math.inf  # [s] least (arrival - stamp) of the window before this one
    _least: float = math.inf  # [s] of this window
    _window_from: float = field(default=-math.inf)  # [s], bridge clock

    def exposed_at(self, *, stamp: float, arrived_at: float, domain: str) -> float:
        """The exposure on the bridge clock [s] of a frame stamped `stamp` [s] by the clock `domain`.

        Never later than `arrived_at - latency`. A stamp that is not a number counts as no stamp.
        """
        if domain != self._domain:
            self._domain = domain
            self.forget()
        if not math.isfinite(stamp):
            return arrived_at - self.latency
        if not arrived_at - self._window_from < _WINDOW:
            self._before, self._least = self._least, math.inf
            self._window_from = arrived_at
        transit = arrived_at - stamp  # [s] on top of an unknown constant
        self._least = min(self._least, transit)
        late = transit - min(self._least, self._before)
        return arrived_at - late - self.latency

    def forget(self) -> None:
        """The camera began anew: its clock too."""
        self._before = self._least = math.inf
        self._window_from = -math.inf
