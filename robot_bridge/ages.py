"""How old things are when they arrive: the last few hundred ages, and their quantiles."""

import threading
from collections import deque

import numpy as np


class Ages:
    def __init__(self, remembered: int = 256) -> None:
        self._guard = threading.Lock()
        self._ages: deque[float] = deque(maxlen=remembered)  # [s]

    def add(self, age: float) -> None:
        with self._guard:
            self._ages.append(age)

    def __len__(self) -> int:
        with self._guard:
            return len(self._ages)

    def quantile(self, fraction: float) -> float:
        """[s]; infinite while nothing has arrived. Never between two measured ages: the larger one."""
        with self._guard:
            if not self._ages:
                return float("inf")
            return float(np.quantile(self._ages, fraction, method="higher"))
