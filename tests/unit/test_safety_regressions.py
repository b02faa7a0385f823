"""Mistakes that published robot stacks have made, each kept from coming back."""

import numpy as np
import pytest

from robot_bridge.safety import ARM_TABLES, PROFILES, Box, SafetyLimits
from robot_bridge.safety.rehearsal import Rehearsal
from robot_contract.pose import Pose, apply_delta

ROOM = Box(name="room", low=np.full(3, -1.2), high=np.full(3, 1.2))
LIMITS = SafetyLimits(profile=PROFILES["reduced"], arm=ARM_TABLES["fr3"], workspace=ROOM, table_height=0.0)
BAD = (np.nan, np.inf, -np.inf, 1e30, -1e30, 1e300)


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("place", range(7))
def test_nan_does_not_pass_through_a_clip(bad: float, place: int) -> None:
    """np.clip(nan, low, high) is nan: a check for finiteness has to come before every bound."""
    run = Rehearsal(LIMITS)
    for k in range(1, 40):
        run.tick(apply_delta(run.start, np.array([0.05 * (1 - np.cos(k * 0.02)), 0, 0]), np.zeros(3), "base"))
    values = [*run.sent.position, *run.sent.quaternion]
    values[place] = bad
    broken = Pose(position=np.array(values[:3]), quaternion=np.array(values[3:]))
    assert run.tick(broken).kind == "STOP"
    for _ in range(30):
        run.tick(broken)
        assert run.sent.is_finite()
    assert run.memory.is_at_rest()


@pytest.mark.parametrize("length", [0.0, 0.5, 1.1, -1.002])
def test_a_quaternion_that_is_no_rotation_is_not_repaired(length: float) -> None:
    run = Rehearsal(LIMITS)
    bent = Pose(position=run.sent.position, quaternion=run.sent.quaternion * length)
    assert run.tick(bent).codes == ("not_finite",)


def test_a_state_that_is_not_finite_stops() -> None:
    run = Rehearsal(LIMITS)
    run.measured = Pose(position=np.array([0.3, np.nan, 0.5]), quaternion=run.sent.quaternion)
    run.follows = 0.0
    assert run.tick(run.sent).codes == ("arm_not_finite",)


def test_an_age_that_is_not_a_number_is_no_age() -> None:
    run = Rehearsal(LIMITS)
    assert run.tick(run.sent, age=np.nan).codes == ("arm_age",)


def test_a_state_from_the_future_is_not_believed() -> None:
    """Two clocks: a state that is stamped by another one looks newer than now."""
    run = Rehearsal(LIMITS)
    assert run.tick(run.sent, age=-3600.0).codes == ("arm_age",)


def test_a_fault_is_not_cleared_by_the_next_command() -> None:
    """Clearing errors before every command makes the arm push again one step after a reflex."""
    run = Rehearsal(LIMITS)
    run.tick(run.sent, arm_fault="cartesian_reflex")
    for _ in range(50):
        assert run.tick(apply_delta(run.start, np.array([1e-5, 0, 0]), np.zeros(3), "base")).kind == "STOP"
    assert run.sent == run.start


def test_nothing_moves_on_exit() -> None:
    """A stop goes nowhere: no retreat, no homing, whatever is proposed meanwhile."""
    run = Rehearsal(LIMITS)
    home = apply_delta(run.start, np.array([0.0, 0.0, 0.1]), np.zeros(3), "base")
    for _ in range(100):
        run.tick(home, stopping=True)
        assert run.sent == run.start


def test_sagging_is_not_followed_while_holding() -> None:
    """Holding repeats what was sent; repeating the measured pose would creep with the load."""
    run = Rehearsal(LIMITS)
    run.follows = 0.0
    for _ in range(60):
        run.measured = apply_delta(run.measured, np.array([0, 0, -0.0005]), np.zeros(3), "base")
        run.tick(None)
        assert run.sent == run.start


@pytest.mark.parametrize("age", [0.051, 0.2, 5.0])
def test_a_stale_state_holds_and_clears_by_itself(age: float) -> None:
    run = Rehearsal(LIMITS)
    near = apply_delta(run.start, np.array([1e-5, 0, 0]), np.zeros(3), "base")
    assert run.tick(near, age=age).kind == "HOLD"
    assert run.tick(near).kind == "PASS"
