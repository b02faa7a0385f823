"""How long a batch takes: t(B) = a + b B, fitted online, with a margin for its scatter.

The batcher chooses sizes and rejects early by this line, so it must follow the machine (clocks, other load)
without being thrown by one slow batch.
"""

from collections.abc import Sequence

FORGETTING = 0.95  # weight of a batch shrinks by this with every later one
MARGIN_IN_DEVIATIONS = 3.0  # of the mean absolute error around the line
PRIOR_WEIGHT = 0.5  # of each warm-up measurement; never forgotten, so the slope stays defined


class BatchCost:
    def __init__(self, warm_up: Sequence[tuple[int, float]]) -> None:
        """Start from measured (batch size, seconds) pairs, of at least one size."""
        if not warm_up:
            raise ValueError("BatchCost needs at least one (batch size, seconds) measurement, got none")
        self._prior = tuple(warm_up)
        self._recent = _Sums()
        self._deviation = 0.0  # [s] mean absolute error of the newest batches
        self.a, self.b = self._fit()  # [s], [s]

    def seconds(self, batch_size: int) -> float:
        """Predicted time of a batch, without margin."""
        return self.a + self.b * batch_size

    def bound(self, batch_size: int) -> float:
        """Time that a batch of this size very probably stays within."""
        return self.seconds(batch_size) + MARGIN_IN_DEVIATIONS * self._deviation

    def observe(self, batch_size: int, seconds: float) -> None:
        error = abs(seconds - self.seconds(batch_size))
        # One stall of the machine must not make everybody else infeasible.
        error = min(error, self.seconds(batch_size))
        self._deviation = FORGETTING * self._deviation + (1.0 - FORGETTING) * error
        self._recent.scale(FORGETTING)
        self._recent.add(batch_size, seconds, 1.0)
        self.a, self.b = self._fit()

    def _fit(self) -> tuple[float, float]:
        sums = self._recent.copy()
        for size, seconds in self._prior:
            sums.add(size, seconds, PRIOR_WEIGHT)
        return sums.line()


class _Sums:
    """Weighted sums for a straight line."""

    def __init__(self, *values: float) -> None:
        self.w, self.x, self.y, self.xx, self.xy = values or (0.0,) * 5

    def copy(self) -> "_Sums":
        return _Sums(self.w, self.x, self.y, self.xx, self.xy)

    def scale(self, factor: float) -> None:
        self.w, self.x, self.y = self.w * factor, self.x * factor, self.y * factor
        self.xx, self.xy = self.xx * factor, self.xy * factor

    def add(self, x: float, y: float, weight: float) -> None:
        self.w += weight
        self.x += weight * x
        self.y += weight * y
        self.xx += weight * x * x
        self.xy += weight * x * y

    def line(self) -> tuple[float, float]:
        """Return (a, b), both at least zero: a batch is never faster for being larger."""
        mean_x, mean_y = self.x / self.w, self.y / self.w
        spread = self.xx / self.w - mean_x * mean_x
        if not spread > 1e-9:
            return max(mean_y, 0.0), 0.0
        slope = (self.xy / self.w - mean_x * mean_y) / spread
        slope = min(max(slope, 0.0), mean_y / mean_x)
        return mean_y - slope * mean_x, slope
