"""A bridge on the mock rig whose devices fail when its standard input says so; otherwise `robot-bridge run`.

python injectable_bridge.py RIG POLICY_SERVER RECORDINGS PORT [ARM_SOCKET]

Each line of input is a fault and its argument; the answer is `done at T`, by the bridge's clock. With
ARM_SOCKET the arm is the one of `arm_process.py`, which outlives this process.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from arm_process import distant_arm

from robot_bridge import running
from robot_bridge.clock import MonotonicClock
from robot_bridge.drivers.mock_cell import MockCell, mock_cell
from robot_bridge.rig_file import find_rig, load_rig
from robot_bridge.running import RunOptions, run_bridge


class LeapingClock(MonotonicClock):
    """The monotonic clock, which may leap ahead."""

    def __init__(self) -> None:
        self.ahead = 0.0  # [s]

    def now(self) -> float:
        return super().now() + self.ahead

    def sleep_until(self, t: float) -> None:
        super().sleep_until(t - self.ahead)


def hog(argument: str) -> None:
    """Let no other Python thread run for so long: work in C that does not give the lock back."""
    until = time.monotonic() + float(argument)
    sys.setswitchinterval(1e6)
    while time.monotonic() < until:
        sum(range(100_000))
    sys.setswitchinterval(0.005)


def shift_wall_clock(argument: str) -> None:
    real, shift = time.time, float(argument)
    time.time = lambda: real() + shift  # type: ignore[assignment]


def faults_of(cell: MockCell, clock: LeapingClock) -> dict[str, Callable[[str], object]]:
    faults = cell.faults
    return {
        "silence": faults.silent_cameras.add,
        "freeze": faults.frozen_cameras.add,
        "restore": lambda name: (faults.silent_cameras.discard(name), faults.frozen_cameras.discard(name)),
        "trip": cell.arm.trip,
        "link": lambda state: setattr(faults, "link_down", state == "down"),
        "freeze_state": lambda flag: setattr(faults, "state_frozen", flag == "on"),
        "hog": hog,
        "wall_clock": shift_wall_clock,
        "leap": lambda seconds: setattr(clock, "ahead", clock.ahead + float(seconds)),
    }


def main() -> None:
    rig, server, recordings, port, *arm = sys.argv[1:]
    clock = LeapingClock()
    cell = mock_cell(load_rig(find_rig(rig)), clock)
    devices = cell.devices()
    if arm:
        devices = replace(devices, arm=distant_arm(arm[0]))
    running.open_devices = lambda rig: devices
    faults = faults_of(cell, clock)

    def listen() -> None:
        for line in sys.stdin:
            name, _, argument = line.strip().partition(" ")
            faults[name](argument)
            print(f"done at {clock.now()!r}", flush=True)

    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    threading.Thread(target=listen, daemon=True).start()
    options = RunOptions(policy_server=server, address=f"127.0.0.1:{port}", recordings=Path(recordings))
    run_bridge(load_rig(find_rig(rig)), options, ending, is_up=lambda port: print(f"port {port}", flush=True))
    os._exit(0)  # the listening thread waits for input that nobody sends


if __name__ == "__main__":
    main()
