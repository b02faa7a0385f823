"""A token bucket: how often one session may send."""


class RateCap:
    def __init__(self, rate_hz: float, *, now: float) -> None:
        self._rate_hz = rate_hz
        self._burst = max(1.0, 0.25 * rate_hz)
        self._tokens = self._burst
        self._at = now

    def admit(self, now: float) -> bool:
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate_hz)
        self._at = now
        if not self._tokens >= 1.0:
            return False
        self._tokens -= 1.0
        return True

    @property
    def period(self) -> float:
        """[s] between admitted messages in the long run."""
        return 1.0 / self._rate_hz
