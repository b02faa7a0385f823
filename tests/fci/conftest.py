"""One simulated control interface for all tests of this folder; without its environment they are skipped."""

import dataclasses
import time
from collections.abc import Callable, Iterator

import pytest

from robot_bridge.franka.simulated import SimulatedFci, missing_environment
from robot_bridge.open_devices import Devices, open_devices
from robot_bridge.rig import Rig
from robot_bridge.rig_file import find_rig, load_rig
from robot_contract.errors import DeviceFault

Open = Callable[..., Devices]
CONNECT_SECONDS = 10.0  # after a client that died the simulated arm needs a second


def rig_at(address: str, *, tracking: str = "impedance") -> Rig:
    """The rig of the simulated control interface, blind."""
    rig = load_rig(find_rig("franka_simulated"))
    assert rig.franka is not None
    options = {**rig.arm.options, "address": address, "tracking": tracking}
    return dataclasses.replace(
        rig,
        arm=dataclasses.replace(rig.arm, options=options),
        cameras=(),
        franka=dataclasses.replace(rig.franka, twin_pictures=None),
    )


def open_when_free(rig: Rig) -> Devices:
    until = time.monotonic() + CONNECT_SECONDS
    while True:
        try:
            return open_devices(rig)
        except DeviceFault:
            if time.monotonic() >= until:
                raise
            time.sleep(0.3)


@pytest.fixture(scope="session")
def simulator() -> Iterator[SimulatedFci]:
    if missing := missing_environment():
        pytest.skip(missing)
    pytest.importorskip("franky", reason="the extra `franka` is not installed")
    with SimulatedFci() as fci:
        yield fci


@pytest.fixture
def fci(simulator: SimulatedFci) -> Iterator[SimulatedFci]:
    """With nothing left over from the test before."""
    simulator.ask("object none")
    yield simulator
    simulator.ask("mode Idle")


@pytest.fixture
def open_rig(fci: SimulatedFci) -> Iterator[Open]:
    """`open_rig(tracking=..., change=...)`: the devices of the simulated arm, closed in the end."""
    opened: list[Devices] = []

    def open_it(*, tracking: str = "impedance", change: Callable[[Rig], Rig] = lambda rig: rig) -> Devices:
        opened.append(open_when_free(change(rig_at(fci.address, tracking=tracking))))
        return opened[-1]

    yield open_it
    for devices in opened:
        devices.close()
