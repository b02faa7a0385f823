"""How old things are when they arrive: the last few hundred ages, and their quantiles."""

import math
import threading
from collections import deque


class Ages:
    def __init__(self, remembered: int = 256) -> None:
        self._guard = threading.Lock()
        self._ages: deque[float] = deque(maxlen=remembered)  # [s]
        self._sorted: list[float] = []  # the same; made when somebody asks, not in every tick

    def add(self, age: float) -> None:
        with self._guard:
            self._ages.append(age)
            self._sorted = []

    def forget(self) -> None:
        """What was measured before says nothing about what is asked from now on."""
        with self._guard:
            self._ages.clear()
            self._sorted = []

    def __len__(self) -> int:
        with self._guard:
            return len(self._ages)

    def quantile(self, fraction: float) -> float:
        """[s]; infinite while nothing has arrived. Never between two measured ages: the larger one."""
        with self._guard:
            if not self._ages:
                return float("inf")
            if not self._sorted:
                self._sorted = sorted(self._ages)
            return self._sorted[math.ceil(fraction * (len(self._sorted) - 1))]
