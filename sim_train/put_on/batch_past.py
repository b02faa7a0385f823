"""Where everything in one cell of a batch stood a little while ago: what an old picture shows."""

from collections import deque

from sim_train.put_on.batch_physics import Array
from sim_train.put_on.past import LONGEST


class BodyPast:
    def __init__(self) -> None:
        self._instants: deque[tuple[float, Array]] = deque()
        self._now = 0.0  # [s]

    def remember(self, seconds: float, bodies: Array) -> None:
        """(bodies, 7) after so much time since the last call."""
        self._now += seconds
        self._instants.append((self._now, bodies))
        while self._now - self._instants[0][0] > LONGEST:
            self._instants.popleft()

    def bodies(self, age: float) -> Array | None:
        """As they stood `age` seconds ago, as far as that is known; None where it is now."""
        if not (age > 0.0 and self._instants):
            return None
        return min(self._instants, key=lambda instant: abs(self._now - age - instant[0]))[1]
