"""The interval against scipy's own exact test, and by the promise that defines it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from robot_contract.errors import StudyError
from robot_contract.intervals import clopper_pearson

COUNTS = st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(COUNTS, st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_agrees_with_scipys_exact_test(counts: tuple[int, int], confidence: float) -> None:
    k, n = counts
    ours = clopper_pearson(k, n, confidence=confidence)
    theirs = binomtest(k, n).proportion_ci(confidence_level=confidence, method="exact")
    assert ours.low == pytest.approx(theirs.low, abs=1e-9)
    assert ours.high == pytest.approx(theirs.high, abs=1e-9)


@pytest.mark.parametrize("n", [3, 10, 40])
@pytest.mark.parametrize("truth", [0.02, 0.3, 0.5, 0.97])
def test_covers_the_truth_as_often_as_it_says(n: int, truth: float) -> None:
    covered = sum(
        float(binom.pmf(k, n, truth))
        for k in range(n + 1)
        if clopper_pearson(k, n).low <= truth <= clopper_pearson(k, n).high
    )
    assert covered >= 0.95


def test_published_intervals() -> None:
    assert clopper_pearson(446, 500).low == pytest.approx(0.8613, abs=5e-4)
    assert clopper_pearson(0, 30).high == pytest.approx(0.1157, abs=5e-4)


def test_no_trials_say_nothing() -> None:
    interval = clopper_pearson(0, 0)
    assert (interval.low, interval.high) == (0.0, 1.0)


@pytest.mark.parametrize(("k", "n"), [(-1, 3), (4, 3), (0, -1), (float("nan"), 3)])
def test_impossible_counts_are_refused(k: int, n: int) -> None:
    with pytest.raises(StudyError, match="expected 0 <= successes <= trials"):
        clopper_pearson(k, n)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0, float("nan")])
def test_impossible_confidence_is_refused(confidence: float) -> None:
    with pytest.raises(StudyError, match="confidence"):
        clopper_pearson(1, 3, confidence=confidence)
