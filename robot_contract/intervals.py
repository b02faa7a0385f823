"""What k successes in n trials say about the rate, and no more than that: the exact binomial interval."""

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


def clopper_pearson(successes: int, trials: int, *, confidence: float = 0.95) -> Interval:
    """Clopper and Pearson (1934): covers the true rate at least `confidence` of the time, whatever it is.

    No trials give (0, 1): nothing is known.
    """
    if not 0 <= successes <= trials:
        raise StudyError(
            f"{successes} successes in {trials} trials, expected 0 <= successes <= trials, both whole"
        )
    if not 0.0 < confidence < 1.0:
        raise StudyError(f"confidence is {confidence!r}, expected a number between 0 and 1, such as 0.95")
    tail = 0.5 * (1.0 - confidence)
    low, high = 0.0, 1.0
    if successes > 0:  # the rate at which so many successes or more are this rare
        low = _rate_where(successes, trials, trials, tail, is_rising=True)
    if successes < trials:  # the rate at which so few successes or fewer are this rare
        high = _rate_where(0, successes, trials, tail, is_rising=False)
    return Interval(low=low, high=high)


def _rate_where(first: int, last: int, trials: int, tail: float, *, is_rising: bool) -> float:
    """The rate p with P(first <= X <= last | p) = tail, a monotonous function of p."""
    counts = np.arange(first, last + 1, dtype=np.float64)
    log_ways = np.array([_log_binomial(trials, int(count)) for count in counts])
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        if (_probability(counts, log_ways, trials, middle) < tail) == is_rising:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def _log_binomial(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _probability(counts: Vector, log_ways: Vector, trials: int, rate: float) -> float:
    logs = log_ways + counts * math.log(rate) + (trials - counts) * math.log1p(-rate)
    return float(np.exp(logs).sum())
