"""What k successes in n episodes say about the rate, and no more than that: the exact binomial interval."""

import math
from dataclasses import dataclass

import numpy as np

from robot_contract.errors import StudyError
from robot_contract.pose import Vector

_HALVINGS = 60  # of 0..1: below the last digit of a float


@dataclass(frozen=True, kw_only=True)
class Interval:
    low: float
    high: float


def clopper_pearson(successes: int, episodes: int, *, confidence: float = 0.95) -> Interval:
    """Clopper and Pearson (1934): covers the true rate at least `confidence` of the time, whatever it is.

    No episodes give (0, 1): nothing is known.
    """
    if not 0 <= successes <= episodes:
        raise StudyError(
            f"{successes} successes in {episodes} episodes, expected 0 <= successes <= episodes, both whole"
        )
    if not 0.0 < confidence < 1.0:
        raise StudyError(f"confidence is {confidence!r}, expected a number between 0 and 1, such as 0.95")
    tail = 0.5 * (1.0 - confidence)
    low, high = 0.0, 1.0
    if successes > 0:  # the rate at which so many successes or more are this rare
        low = _rate_where(successes, episodes, episodes, tail, is_rising=True)
    if successes < episodes:  # the rate at which so few successes or fewer are this rare
        high = _rate_where(0, successes, episodes, tail, is_rising=False)
    return Interval(low=low, high=high)


def _rate_where(first: int, last: int, episodes: int, tail: float, *, is_rising: bool) -> float:
    """The rate p with P(first <= X <= last | p) = tail, a monotonous function of p."""
    counts = np.arange(first, last + 1, dtype=np.float64)
    log_ways = np.array([_log_binomial(episodes, int(count)) for count in counts])
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        if (_probability(counts, log_ways, episodes, middle) < tail) == is_rising:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def _log_binomial(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _probability(counts: Vector, log_ways: Vector, episodes: int, rate: float) -> float:
    logs = log_ways + counts * math.log(rate) + (episodes - counts) * math.log1p(-rate)
    return float(np.exp(logs).sum())
