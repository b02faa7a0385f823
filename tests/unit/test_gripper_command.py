"""Hysteresis, latch and duration of the one gripper rule."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_bridge.gripper_command import (
    GripperCommand,
    gripper_at_start,
    gripper_width,
    next_gripper_command,
)
from robot_contract.policy_contract import GripperContract

CONTRACT = GripperContract(max_width=0.08, close_below=0.4, open_above=0.6)
OPENED = GripperCommand(closed=False, changed_at=float("-inf"))


def follow(openings: list[float | None], *, dwell: float = 0.0, period: float = 0.1) -> list[float]:
    command, found = OPENED, []
    for i, wanted in enumerate(openings):
        command = next_gripper_command(wanted, command, CONTRACT, now=i * period, dwell=dwell)
        found.append(command.opening)
    return found


def test_nothing_changes_between_the_thresholds() -> None:
    assert follow([1.0, 0.5, 0.41, 0.39, 0.5, 0.59, 0.61, 0.5]) == [1, 1, 1, 0, 0, 0, 1, 1]


def test_command_is_latched_when_the_policy_says_nothing_or_nonsense() -> None:
    assert follow([0.0, None, None, float("nan"), None]) == [0, 0, 0, 0, 0]


def test_next_change_waits_for_the_dwell() -> None:
    assert follow([0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0], dwell=0.25) == [0, 0, 0, 1, 1, 1, 0]


def test_start_leaves_the_gripper_as_it_is() -> None:
    assert not gripper_at_start(0.9).closed
    assert gripper_at_start(0.1).closed
    assert gripper_at_start(float("nan")).closed, "what cannot be read is not opened"


def test_width_is_all_or_nothing() -> None:
    assert gripper_width(OPENED, CONTRACT) == 0.08
    assert gripper_width(GripperCommand(closed=True, changed_at=0.0), CONTRACT) == 0.0


@settings(max_examples=100, deadline=None)
@given(
    openings=st.lists(st.floats(0, 1), min_size=1, max_size=50),
    dwell=st.floats(0.0, 0.5),
    period=st.floats(0.005, 0.1),
)
def test_changes_are_never_closer_than_the_dwell(openings: list[float], dwell: float, period: float) -> None:
    found = follow([*openings], dwell=dwell, period=period)
    changes = np.flatnonzero(np.diff(found)) * period
    assert (np.diff(changes) >= dwell - 1e-9).all()
