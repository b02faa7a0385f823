"""Hold-to-run: only fresh echoes of the bridge's own nonces count, and a lost press never comes back."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_bridge.hold_to_run import LONGEST_AGE, HoldToRun
from robot_contract.messages import Heartbeat


def beat(hold: HoldToRun, nonce: int, press: int, now: float, *, held: bool = True) -> None:
    hold.beat(Heartbeat(nonce=nonce, press=press, held=held), now)


def test_is_held_while_echoes_are_fresh() -> None:
    hold = HoldToRun()
    for i in range(40):
        now = i * 0.05
        nonce = hold.issue(now).nonce
        beat(hold, nonce, 7, now + 0.02)
        assert hold.press(now + 0.02) == 7
    state = hold.issue(2.0)
    assert state.held
    assert state.press == 7
    assert np.isclose(state.age, 2.0 - 39 * 0.05)


def test_is_lost_after_250_ms_and_only_a_new_press_brings_it_back() -> None:
    hold = HoldToRun()
    beat(hold, hold.issue(0.0).nonce, 7, 0.01)
    assert hold.press(LONGEST_AGE) == 7
    assert hold.press(LONGEST_AGE + 0.001) == 0
    beat(hold, hold.issue(0.3).nonce, 7, 0.31)
    assert hold.press(0.31) == 0, "the same press again"
    beat(hold, hold.issue(0.4).nonce, 8, 0.41)
    assert hold.press(0.41) == 8


def test_expiry_counts_even_when_nobody_looked() -> None:
    hold = HoldToRun()
    beat(hold, hold.issue(0.0).nonce, 7, 0.01)
    nonce = hold.issue(5.0).nonce
    beat(hold, nonce, 7, 5.01)
    assert hold.press(5.01) == 0


def test_burst_of_late_heartbeats_is_worth_nothing() -> None:
    """A page asleep for seconds, then all its heartbeats at once, new press ids included."""
    hold = HoldToRun()
    nonces = [hold.issue(i * 0.05).nonce for i in range(60)]
    for i, nonce in enumerate(nonces[:-5]):
        beat(hold, nonce, 7 + i, 3.0 + i * 1e-4)
        assert hold.press(3.01) == 0


def test_repeating_one_nonce_does_not_keep_it_young() -> None:
    hold = HoldToRun()
    nonce = hold.issue(0.0).nonce
    for i in range(50):
        beat(hold, nonce, 7, i * 0.01)
    assert hold.press(0.26) == 0


def test_nonce_that_was_never_sent_counts_for_nothing() -> None:
    hold = HoldToRun()
    hold.issue(0.0)
    for nonce in (0, 2, 999, 2**63):
        beat(hold, nonce, 7, 0.01)
        assert hold.press(0.01) == 0


def test_release_ends_it_at_once_and_a_late_heartbeat_does_not_revive_it() -> None:
    hold = HoldToRun()
    first, second = hold.issue(0.0).nonce, hold.issue(0.05).nonce
    beat(hold, first, 7, 0.06)
    beat(hold, second, 7, 0.07, held=False)
    assert hold.press(0.07) == 0
    beat(hold, second, 7, 0.08)
    assert hold.press(0.08) == 0


def test_release_that_overtook_its_press_counts() -> None:
    hold = HoldToRun()
    nonce = hold.issue(0.0).nonce
    beat(hold, nonce, 7, 0.01, held=False)
    beat(hold, nonce, 7, 0.02)
    assert hold.press(0.02) == 0


def test_end_of_the_stream_ends_the_hold() -> None:
    hold = HoldToRun()
    nonce = hold.issue(0.0).nonce
    beat(hold, nonce, 7, 0.01)
    hold.drop()
    assert hold.press(0.01) == 0
    beat(hold, nonce, 8, 0.02)
    assert hold.press(0.02) == 0, "a nonce of the stream before"


def test_press_zero_is_no_press() -> None:
    hold = HoldToRun()
    beat(hold, hold.issue(0.0).nonce, 0, 0.01)
    assert hold.press(0.01) == 0


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_never_held_without_a_fresh_nonce(data: st.DataObject) -> None:
    """Over any order, delay and repetition: held means that a nonce younger than 250 ms was echoed by it."""
    hold, now = HoldToRun(), 0.0
    left_at: dict[int, float] = {}
    echoed: dict[int, float] = {}
    released: set[int] = set()
    for _ in range(data.draw(st.integers(1, 40))):
        now += data.draw(st.floats(0.0, 0.2))
        if data.draw(st.booleans()):
            left_at[hold.issue(now).nonce] = now
        else:
            nonce = data.draw(st.integers(0, len(left_at) + 1))
            press = data.draw(st.integers(1, 4))
            held = data.draw(st.booleans())
            hold.beat(Heartbeat(nonce=nonce, press=press, held=held), now)
            if not held:
                released.add(press)
            elif nonce in left_at:
                echoed[press] = max(echoed.get(press, -1.0), left_at[nonce])
        found = hold.press(now)
        if found:
            assert found not in released
            assert now - echoed[found] <= LONGEST_AGE
