"""A reflex of the simulated arm while the real loop moves it: physics, driver and bridge together."""

import time
from collections.abc import Callable, Iterator

import pytest

from robot_bridge.bridge import Bridge, Refused
from robot_bridge.drivers.twin_cell import TwinCell
from robot_bridge.open_devices import Devices
from robot_bridge.records import NoRecorder, Record, TickRecord
from robot_bridge.rehearsal import RehearsalPolicy, rehearsal_contract, small_circle
from robot_bridge.rig_file import find_rig, load_rig
from robot_contract.messages import JointGoal, OperatorEvent


class Tape(NoRecorder):
    def __init__(self) -> None:
        self.ticks: list[TickRecord] = []

    def write(self, record: Record) -> None:
        if isinstance(record, TickRecord):
            self.ticks.append(record)


@pytest.fixture
def moving() -> Iterator[tuple[Bridge, TwinCell, Tape]]:
    """A bridge that moves the twin's arm to a pose."""
    rig = load_rig(find_rig("twin_stepped"))
    assert rig.simulation is not None
    cell, tape = TwinCell(rig, rig.simulation), Tape()
    world = cell.world
    devices = Devices(
        arm=world.arm, gripper=world.gripper, cameras=dict(world.cameras), clock=world.clock, world=cell
    )
    contract = rehearsal_contract(rig)
    bridge = Bridge(rig, devices, RehearsalPolicy(contract, small_circle(contract)), recorder=tape)
    bridge.start()
    try:
        bridge.send(OperatorEvent(action="arm", operator="ann"))
        name = next(name for name in rig.poses if name != "home")
        bridge.move_to(JointGoal(name=name), "ann")
        until(lambda: bridge.snapshot().sensed.arm.joint_velocity.max() > 0.02, "it moves")
        yield bridge, cell, tape
    finally:
        bridge.close()


def until(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 20.0
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.001)


@pytest.mark.parametrize("reflex", ["cartesian_reflex", "user_stopped"])
def test_fault_11_reflex_of_the_twin(moving: tuple[Bridge, TwinCell, Tape], reflex: str) -> None:
    bridge, cell, tape = moving
    cell.world.faults.force_reflex(reflex)
    until(lambda: bridge.status().mode == "FAULT", "the reflex is heard of")
    assert reflex in bridge.status().why
    found = next(tick for tick in tape.ticks if tick.mode == "FAULT")
    reported = next(tick for tick in tape.ticks if tick.state.arm.fault)
    assert found.at - reported.at <= bridge.rig.tick_period * 1.5
    assert not any(tick.was_tracked for tick in tape.ticks if tick.at >= found.at)
    until(lambda: abs(bridge.snapshot().sensed.arm.joint_velocity).max() < 0.01, "the arm brakes by itself")
    time.sleep(0.6)
    assert bridge.status().mode == "FAULT"
    with pytest.raises(Refused, match=reflex):
        bridge.send(OperatorEvent(action="arm", operator="ann"))
    bridge.send(OperatorEvent(action="clear", operator="ann"))
    until(lambda: bridge.status().mode == "IDLE", "a person clears it")
    assert cell.world.arm.read().fault is None
