"""The hand: grasp and move, what is held, homing by request."""

import time

import pytest

from robot_bridge.devices import GripperState
from robot_bridge.franka.simulated import SimulatedFci
from robot_bridge.open_devices import Devices


def settled(devices: Devices, seconds: float = 3.0) -> GripperState:
    until = time.monotonic() + seconds
    time.sleep(0.05)
    while devices.gripper.read().is_moving:
        assert time.monotonic() < until
        time.sleep(0.01)
    time.sleep(0.1)  # its state comes at 60 Hz
    return devices.gripper.read()


def test_closing_on_something_holds_it_until_opened(fci: SimulatedFci, open_rig) -> None:
    devices = open_rig()
    fci.ask("object 0.03")
    devices.gripper.move(0.0)
    held = settled(devices)
    assert held.is_grasping
    assert held.width == pytest.approx(0.03, abs=0.001)
    assert held.fault is None
    devices.gripper.move(0.0)  # the same wish again is not another grasp
    assert not devices.gripper.read().is_moving
    devices.gripper.move(0.08)
    opened = settled(devices)
    assert not opened.is_grasping
    assert opened.width == pytest.approx(0.08, abs=0.001)


def test_closing_on_nothing_is_neither_a_grasp_nor_a_fault(open_rig) -> None:
    devices = open_rig()
    devices.gripper.move(0.0)
    closed = settled(devices)
    assert not closed.is_grasping
    assert closed.width == pytest.approx(0.0, abs=0.001)
    assert closed.fault is None
    devices.gripper.move(0.08)
    settled(devices)


def test_fingers_that_do_not_get_there_are_a_fault_until_cleared(fci: SimulatedFci, open_rig) -> None:
    devices = open_rig()
    fci.ask("object 0.05")
    devices.gripper.move(0.03)  # a plain move, and something is in the way
    state = settled(devices)
    assert state.fault is not None
    assert "gripper_blocked" in state.fault
    devices.arm.recover()
    assert devices.gripper.read().fault is None
    devices.gripper.move(0.08)
    assert settled(devices).fault is None


def test_homing_moves_from_end_to_end_and_finds_the_width(fci: SimulatedFci) -> None:
    from robot_bridge.franka.hand import home_hand

    assert home_hand(fci.address) == pytest.approx(0.08)
    assert fci.state().width == pytest.approx(0.08, abs=0.001)
