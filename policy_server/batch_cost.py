"""How long a batch takes: t(B) = a + b B, fitted online, with a margin for its scatter.

The batcher chooses sizes and rejects early by this line, so it must follow the machine (clocks, other load)
without being thrown by one slow batch.
"""

from collections.abc import Iterator, Sequence

FORGETTING = 0.95  # weight of a batch shrinks by this with every later one
MARGIN_IN_DEVIATIONS = 3.0  # of the mean absolute error around the line
STALL = 3.0  # a batch counts as at most this many times what was predicted
PRIOR_WEIGHT = 0.5  # of each warm-up measurement at the start
LEAST_PRIOR_WEIGHT = 0.005  # later: enough for a slope when all batches have one size


class BatchCost:
    def __init__(self, warm_up: Sequence[tuple[int, float]]) -> None:
        """Start from measured (batch size, seconds) pairs, of at least one size."""
        if not warm_up:
            raise ValueError("BatchCost needs at least one (batch size, seconds) measurement, got none")
        self._prior = _Sums()
        for size, seconds in warm_up:
            self._prior.add(size, seconds, 1.0)
        self._prior_line = self._prior.line()
        self._prior_weight = PRIOR_WEIGHT
        self._recent = _Sums()
        self._deviation = 0.0  # [s] mean absolute error of the newest batches
        self.a, self.b = self._prior_line  # [s], [s]

    def seconds(self, batch_size: int) -> float:
        """Predicted time of a batch, without margin."""
        return self.a + self.b * batch_size

    def bound(self, batch_size: int) -> float:
        """Time that a batch of this size very probably stays within."""
        return self.seconds(batch_size) + MARGIN_IN_DEVIATIONS * self._deviation

    def observe(self, batch_size: int, seconds: float) -> None:
        seconds = min(seconds, STALL * self.seconds(batch_size))
        self._recent.scale(FORGETTING)
        self._recent.add(batch_size, seconds, 1.0)
        self._prior_weight = max(LEAST_PRIOR_WEIGHT, FORGETTING * self._prior_weight)
        self.a, self.b = self._fit()
        error = abs(seconds - self.seconds(batch_size))
        self._deviation = FORGETTING * self._deviation + (1.0 - FORGETTING) * error

    def _fit(self) -> tuple[float, float]:
        """The newest batches, and the warm-up at the level of the newest batches."""
        a, b = self._prior_line
        level = self._recent.y / (a * self._recent.w + b * self._recent.x)
        sums = _Sums(*self._prior)
        sums.scale(self._prior_weight)
        sums.y, sums.xy = level * sums.y, level * sums.xy
        return sums.plus(self._recent).line()


class _Sums:
    """Weighted sums for a straight line."""

    def __init__(self, *values: float) -> None:
        self.w, self.x, self.y, self.xx, self.xy = values or (0.0, 0.0, 0.0, 0.0, 0.0)

    def __iter__(self) -> Iterator[float]:
        return iter((self.w, self.x, self.y, self.xx, self.xy))

    def plus(self, other: "_Sums") -> "_Sums":
        return _Sums(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))

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
