"""The client dies, freezes, or is only busy: the arm comes to rest, and nobody has to be there for it."""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from motion import sweep

from robot_bridge.franka.simulated import SimulatedFci
from robot_bridge.kinematics import flange_pose
from robot_contract.pose import Pose, distance_between

CLIENT = Path(__file__).parent / "arm_client.py"
SPEED = 0.1  # [m/s] of the client
OVERSHOOT = 0.012  # [m] a reference that is fed forward leaves the arm this far past its last target


@contextlib.contextmanager
def moving_client(fci: SimulatedFci, tracking: str = "impedance") -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, str(CLIENT), fci.address, tracking],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as client:
        try:
            assert client.stdout is not None
            assert client.stdout.readline().strip() == "moving"
            yield client
        finally:
            client.kill()


def flange(fci: SimulatedFci) -> Pose:
    return flange_pose(np.array(fci.state().joint_position))


def expect_rest(fci: SimulatedFci, seconds: float) -> None:
    """The flange comes to rest within this time, and stays there."""
    until = time.monotonic() + seconds
    before, now = flange(fci), time.monotonic()
    while now < until:
        time.sleep(0.1)
        after = flange(fci)
        if distance_between(before, after) < 0.001:
            return
        before, now = after, time.monotonic()
    raise AssertionError("the arm still moves")


def test_a_frozen_client_ends_in_the_arms_own_reflex(fci: SimulatedFci) -> None:
    with moving_client(fci) as client:
        client.send_signal(signal.SIGSTOP)
        expect_rest(fci, 1.0)
        assert fci.state().mode == "Reflex"
        client.send_signal(signal.SIGCONT)
        time.sleep(0.3)
        assert fci.state().mode == "Reflex", "and nobody has cleared it"
        answer, _ = client.communicate("what is it\n", timeout=20.0)
        assert "communication_constraints_violation" in answer


def test_a_frozen_client_in_velocity_mode_leaves_a_resting_arm(fci: SimulatedFci) -> None:
    """By the reflex, or between two commands by the end of the last one."""
    with moving_client(fci, "velocity") as client:
        client.send_signal(signal.SIGSTOP)
        expect_rest(fci, 1.0)
        assert fci.state().mode in ("Reflex", "Idle")


def test_a_killed_client_leaves_a_resting_arm_that_the_next_one_can_have(fci: SimulatedFci, open_rig) -> None:
    with moving_client(fci) as client:
        client.kill()
        expect_rest(fci, 1.0)
    stood = fci.state().joint_position
    devices = open_rig()
    assert np.abs(devices.arm.read().joint_position - stood).max() < 0.002, "connecting moves nothing"
    sweep(devices, [0.0, 0.0005, 0.0], 20)
    assert devices.arm.read().fault is None


@pytest.mark.parametrize("tracking", ["impedance", "velocity"])
def test_a_blocked_control_thread_leaves_the_target_standing(open_rig, tracking: str) -> None:
    """franky's thread lives on: it pulls to a target that stands, and then gives control back."""
    devices = open_rig(tracking=tracking)
    target = sweep(devices, [0.0, 0.001, 0.0], 40)
    time.sleep(0.5)  # no target comes, whatever the reason
    state = devices.arm.read()
    assert distance_between(state.flange_pose, target) < 0.004, "no farther than the last target"
    assert np.abs(state.joint_velocity).max() < 0.02
    time.sleep(1.5)
    state = devices.arm.read()
    assert state.fault is None, "being busy is no fault of the arm"
    assert distance_between(state.flange_pose, target) < 0.01
    target = sweep(devices, [0.0, -0.001, 0.0], 40)
    assert distance_between(devices.arm.read().flange_pose, target) < 0.02, "it goes on when targets come"


@pytest.mark.parametrize("tracking", ["impedance", "velocity"])
def test_even_without_an_interpreter_the_arm_comes_to_rest(fci: SimulatedFci, tracking: str) -> None:
    """No Python thread runs for two seconds, the watchdog's neither; the 1 kHz loop goes on in C++."""
    with moving_client(fci, tracking) as client:
        assert client.stdin is not None
        client.stdin.write("hog 2.0\n")
        client.stdin.flush()
        time.sleep(0.2)
        began = flange(fci)
        expect_rest(fci, 1.5)
        assert distance_between(began, flange(fci)) < OVERSHOOT + 0.2 * SPEED
        assert client.stdout is not None
        fault = client.stdout.readline().strip()  # None, unless the machine itself was away for 20 ms
        assert fault == "None" or "communication_constraints_violation" in fault
