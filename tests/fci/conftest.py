"""One simulated control interface for each file of this folder; without its environment they are skipped."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from robot_bridge.franka.simulated import SimulatedFci, missing_environment
from robot_bridge.open_devices import Devices
from robot_bridge.rig import Rig

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "contract"), str(HERE.parent / "faults")]

from simulated_rig import open_when_free, rig_at  # noqa: E402 - found by the line above

Open = Callable[..., Devices]


@pytest.fixture(scope="module", autouse=True)
def realtime() -> Iterator[None]:
    """Packets are due every millisecond: these tests go before other work, where the machine permits it."""
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(5))
    yield
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


@pytest.fixture(scope="module")  # it takes a third of a core while it runs
def simulator() -> Iterator[SimulatedFci]:
    if missing := missing_environment():
        pytest.skip(missing)
    pytest.importorskip("franky", reason="the extra `franka` is not installed")
    with SimulatedFci() as fci:
        yield fci


@pytest.fixture
def fci(simulator: SimulatedFci) -> SimulatedFci:
    """With nothing left over from the test before."""
    simulator.ask("fresh")
    return simulator


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
