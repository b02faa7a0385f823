"""What the arm reports is named, latches, and goes away by a person's act only."""

import dataclasses
import time

import numpy as np
import pytest
from motion import away_and_back, sweep
from simulated_rig import rig_at

from robot_bridge.franka.simulated import SimulatedFci
from robot_bridge.open_devices import Devices, open_devices
from robot_bridge.rig import Rig
from robot_bridge.safety import arm_table
from robot_contract.errors import DeviceFault
from robot_contract.pose import distance_between


def until_fault(devices: Devices, name: str, seconds: float = 3.0) -> str:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        fault = devices.arm.read().fault
        if fault is not None:
            assert name in fault
            return fault
        time.sleep(0.005)
    raise AssertionError(f"no {name} within {seconds:g} s")


@pytest.mark.parametrize("name", ["cartesian_reflex", "joint_velocity_violation"])
def test_a_reflex_in_motion_is_named_latched_and_cleared_by_recover_only(
    fci: SimulatedFci, open_rig, name: str
) -> None:
    devices = open_rig()
    away_and_back(devices, 0.5)
    target = sweep(devices, [0.0, 0.001, 0.0], 20)
    fci.ask(f"reflex {name}")
    fault = until_fault(devices, name)
    assert ";" in fault, "and it says what to do"
    with pytest.raises(DeviceFault, match=name):
        devices.arm.track(target, None)
    time.sleep(1.0)
    assert devices.arm.read().fault == fault, "nothing clears it by itself"
    assert fci.state().mode == "Reflex"
    stood = devices.arm.read().flange_pose
    devices.arm.recover()
    state = devices.arm.read()
    assert state.fault is None
    assert distance_between(state.commanded_flange_pose, stood) < 0.005, "no leap"
    target = sweep(devices, [0.0, -0.001, 0.0], 20)
    sweep(devices, [0.0, 0.0, 0.0], 40)
    assert distance_between(devices.arm.read().flange_pose, target) < 0.004


def test_a_reflex_at_rest_is_seen_too(fci: SimulatedFci, open_rig) -> None:
    devices = open_rig()
    fci.ask("reflex joint_reflex")
    until_fault(devices, "joint_reflex")
    devices.arm.recover()
    assert devices.arm.read().fault is None


def test_a_user_stop_stays_a_fault_after_it_was_released(fci: SimulatedFci, open_rig) -> None:
    devices = open_rig()
    fci.ask("mode UserStopped")
    until_fault(devices, "user_stopped")
    with pytest.raises(DeviceFault, match="release it"):
        devices.arm.recover()
    fci.ask("mode Idle")
    time.sleep(0.5)
    assert "user_stopped" in str(devices.arm.read().fault)
    devices.arm.recover()
    assert devices.arm.read().fault is None


def test_no_more_recoveries_than_the_rig_allows(fci: SimulatedFci, open_rig) -> None:
    def once(rig: Rig) -> Rig:
        assert rig.franka is not None
        return dataclasses.replace(rig, franka=dataclasses.replace(rig.franka, recoveries=1))

    devices = open_rig(change=once)
    for _ in range(2):  # a stop is no reflex and costs none
        devices.arm.stop()
        devices.arm.recover()
    fci.ask("reflex cartesian_reflex")
    until_fault(devices, "cartesian_reflex")
    devices.arm.recover()
    fci.ask("reflex cartesian_reflex")
    until_fault(devices, "cartesian_reflex")
    with pytest.raises(DeviceFault, match="the rig allows 1 recoveries"):
        devices.arm.recover()
    assert "cartesian_reflex" in str(devices.arm.read().fault)


def test_an_arm_that_starts_with_an_error_waits_for_a_person(fci: SimulatedFci, open_rig) -> None:
    """The simulated arm forgets its errors with a connection, so here it is the user stop."""
    devices = open_rig()
    fci.ask("mode UserStopped")
    until_fault(devices, "user_stopped")
    with pytest.raises(DeviceFault, match="user_stopped"):
        devices.arm.track(devices.arm.read().commanded_flange_pose, None)


def test_a_lost_line_is_told_and_clear_connects_anew(fci: SimulatedFci, open_rig) -> None:
    devices = open_rig()
    sweep(devices, [0.0, 0.0005, 0.0], 30)
    fci.ask("hang up")
    with pytest.raises(DeviceFault, match="CLEAR connects anew"):  # noqa: PT012 - it takes a moment
        for _ in range(800):
            devices.arm.read()
            time.sleep(0.005)
    for attempt in range(5):
        try:
            devices.arm.recover()
            break
        except DeviceFault:
            if attempt == 4:
                raise
            time.sleep(0.5)
    state = devices.arm.read()
    assert state.fault is None
    assert np.abs(state.joint_velocity).max() < 0.02
    target = sweep(devices, [0.0, -0.0005, 0.0], 30)
    sweep(devices, [0.0, 0.0, 0.0], 40)
    assert distance_between(devices.arm.read().flange_pose, target) < 0.004


def test_a_second_program_is_told_who_is_in_the_way(fci: SimulatedFci, open_rig) -> None:
    open_rig()
    with pytest.raises(DeviceFault, match="another program"):
        open_devices(rig_at(fci.address))


def test_an_arm_of_another_kind_is_refused(fci: SimulatedFci) -> None:
    rig = rig_at(fci.address)
    slower = dataclasses.replace(rig.limits, arm=arm_table("panda"))
    with pytest.raises(DeviceFault, match="is not the rig's"):
        open_devices(dataclasses.replace(rig, limits=slower))


def test_nobody_there_is_told_in_words() -> None:
    pytest.importorskip("franky", reason="the extra `franka` is not installed")
    with pytest.raises(DeviceFault, match="no arm answers at 127"):
        open_devices(rig_at("127.255.255.1"))
