"""Nothing over a limit gets through, whatever comes in: 10^5 random ticks here, 10^6 by `make soak`."""

import numpy as np
import pytest

from robot_bridge.safety import filter as safety_filter
from robot_bridge.safety.recount import CHECKS
from robot_bridge.safety.soak import Outcome, soak

PARTS, TICKS = 10, 10_000
LONG_SEED = 20_261_121


def test_every_check_of_the_recount_is_counted_and_reached() -> None:
    outcome = soak(4000, seed=42)
    assert set(outcome.largest) == set(CHECKS)
    for name in ("speed", "acceleration", "jerk", "angular_speed", "angular_acceleration", "angular_jerk"):
        assert outcome.largest[name] > 0.8, name  # the abuse does reach the limits
    assert set(outcome.verdicts) == {"PASS", "CLAMP", "HOLD", "STOP"}


@pytest.mark.parametrize("seed", range(PARTS))
def test_random_abuse_never_gets_over_a_limit(seed: int) -> None:
    _expect_none(soak(TICKS, seed=seed))


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("part", range(20))
def test_a_million_random_ticks(part: int, capsys: pytest.CaptureFixture[str]) -> None:
    seed = LONG_SEED + part
    outcome = soak(50_000, seed=seed)
    with capsys.disabled():
        print(f"\nseed {seed}: {outcome.ticks} ticks, {outcome.violations.total()} over a limit")
    _expect_none(outcome)


def test_the_recount_sees_what_a_missing_guard_lets_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safety_filter.envelope, "crossed_walls", lambda *_: [])
    monkeypatch.setattr(safety_filter.envelope, "inside_walls", lambda goal, *_: (goal.position, []))
    assert soak(3000, seed=1).violations["walls"] > 0


def _expect_none(outcome: Outcome) -> None:
    assert not outcome.violations, {name: outcome.largest[name] for name in outcome.violations}
    assert all(np.isfinite(share) for share in outcome.largest.values())
