"""The modes table, exhaustively: what is allowed where, and what can never happen."""

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_bridge.modes import COOL_DOWN, TABLE, Event, Modes, State, after, refusal, table_for_people

EVENTS: tuple[Event, ...] = get_args(Event)
MOVES = {State.RUNNING}

# The whole table once more, written out by hand: (state, event) to what follows. All else is refused.
EXPECTED = {
    (State.IDLE, "arm"): State.ARMED,
    (State.ARMED, "disarm"): State.IDLE,
    (State.ARMED, "start"): State.RUNNING,
    (State.ARMED, "move"): State.RUNNING,
    (State.RUNNING, "disarm"): State.IDLE,
    (State.RUNNING, "pause"): State.HOLDING_FOR_START,
    (State.RUNNING, "released"): State.HOLDING_FOR_PRESS,
    (State.RUNNING, "watchdog"): State.HOLDING_FOR_RELEASE,
    (State.RUNNING, "finished"): State.ARMED,
    (State.HOLDING_FOR_PRESS, "disarm"): State.IDLE,
    (State.HOLDING_FOR_PRESS, "pause"): State.HOLDING_FOR_START,
    (State.HOLDING_FOR_PRESS, "pressed"): State.RUNNING,
    (State.HOLDING_FOR_RELEASE, "disarm"): State.IDLE,
    (State.HOLDING_FOR_RELEASE, "released"): State.HOLDING_FOR_START,
    (State.HOLDING_FOR_START, "disarm"): State.IDLE,
    (State.HOLDING_FOR_START, "start"): State.RUNNING,
    (State.FAULT, "clear"): State.IDLE,
}


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("event", EVENTS)
def test_every_cell_of_the_table(state: State, event: Event) -> None:
    modes = Modes(state=state, why="before", since=1.0)
    found = after(modes, event, why="because", now=10.0)
    if event in ("stop", "fault"):
        assert found.state is State.FAULT
        assert found.faulted_at == 10.0
    elif (state, event) in EXPECTED:
        assert found == Modes(state=EXPECTED[state, event], why="because", since=10.0)
    else:
        assert found is modes
        sentence = refusal(modes, event, now=10.0)
        assert sentence is not None
        assert event in sentence
        assert "possible are" in sentence


def test_stop_and_fault_are_in_every_row() -> None:
    for state in State:
        for event in ("stop", "fault"):
            assert TABLE[state][event] is State.FAULT


def test_only_clear_leaves_a_fault() -> None:
    assert {event for event, to in TABLE[State.FAULT].items() if to is not State.FAULT} == {"clear"}
    assert TABLE[State.FAULT]["clear"] is State.IDLE, "clearing never arms"


def test_running_is_entered_by_a_person_only() -> None:
    entering = {event for row in TABLE.values() for event, to in row.items() if to is State.RUNNING}
    assert entering == {"start", "move", "pressed"}


@pytest.mark.parametrize(("waited", "is_possible"), [(0.0, False), (0.49, False), (0.5, True), (60.0, True)])
def test_clear_comes_after_the_newest_fault_and_a_cool_down(waited: float, is_possible: bool) -> None:
    modes = after(Modes(), "fault", why="reflex", now=5.0)
    modes = after(modes, "stop", why="somebody", now=20.0)
    assert modes.why == "reflex", "the first cause stays on the display"
    assert (refusal(modes, "clear", now=20.0 + waited) is None) == is_possible


def test_clear_with_a_broken_clock_is_refused() -> None:
    modes = after(Modes(), "fault", why="reflex", now=5.0)
    assert refusal(modes, "clear", now=float("nan")) is not None
    assert refusal(modes, "clear", now=1.0) is not None, "a clear from before the fault"


@settings(max_examples=200, deadline=None)
@given(steps=st.lists(st.tuples(st.sampled_from(EVENTS), st.floats(0.0, 1.0)), max_size=60))
def test_fault_stays_until_a_person_clears_it(steps: list[tuple[Event, float]]) -> None:
    """Over any history: after a stop nothing but a clear, later than the cool-down, leads out of FAULT."""
    modes, now = Modes(), 0.0
    for event, elapsed in steps:
        now += elapsed
        before = modes
        modes = after(before, event, why=event, now=now)
        if before.state is State.FAULT and modes.state is not State.FAULT:
            assert event == "clear"
            assert now - before.faulted_at >= COOL_DOWN
        if modes.state in MOVES and before.state not in MOVES:
            assert event in ("start", "move", "pressed")
        if before.state is State.HOLDING_FOR_RELEASE and modes.state is not before.state:
            assert event in ("released", "disarm", "stop", "fault"), (
                "a watchdog needs a release, then a start"
            )


def test_table_for_people_has_every_cell() -> None:
    text = table_for_people()
    assert text.count("\n") == len(EVENTS) + 1
    for state in State:
        assert state.needs in text
    assert text.count("FAULT") >= 2 * len(State)
