"""What k successes in n trials say, and no more than that."""

from dataclasses import dataclass

from scipy.stats import beta

from robot_contract.errors import StudyError


@dataclass(frozen=True, kw_only=True)
class Interval:
    low: float
    high: float


def clopper_pearson(successes: int, trials: int, *, confidence: float = 0.95) -> Interval:
    """The exact binomial interval: it covers at least `confidence`, whatever the true rate is.

    No trials give (0, 1): nothing is known.
    """
    if not 0 <= successes <= trials:
        raise StudyError(
            f"{successes} successes in {trials} trials, expected 0 <= successes <= trials, both whole"
        )
    if not 0.0 < confidence < 1.0:
        raise StudyError(f"confidence is {confidence!r}, expected a number between 0 and 1, such as 0.95")
    tail = (1.0 - confidence) / 2.0
    low = 0.0 if successes == 0 else float(beta.ppf(tail, successes, trials - successes + 1))
    high = 1.0 if successes == trials else float(beta.ppf(1.0 - tail, successes + 1, trials - successes))
    return Interval(low=low, high=high)
