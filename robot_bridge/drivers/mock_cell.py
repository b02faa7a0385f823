"""Everything that the `mock` rig opens, on the computer's clock or on a stepped one."""

from dataclasses import dataclass

import numpy as np

from robot_bridge.clock import Clock, MonotonicClock
from robot_bridge.drivers.mock import MockArm, MockCamera, MockFaults, MockGripper
from robot_bridge.open_devices import Devices
from robot_bridge.rig import Rig
from robot_contract.errors import RigError

_START = 100.0  # [s] where stepped time begins


class SteppedClock:
    """Simulated time: it passes only when somebody sleeps."""

    def __init__(self) -> None:
        self._now = _START  # [s]

    def now(self) -> float:
        return self._now

    def sleep_until(self, t: float) -> None:
        self._now = max(self._now, t)


@dataclass(frozen=True, kw_only=True, eq=False)
class MockCell:
    """The mock devices by their own types, for tests that inject faults."""

    arm: MockArm
    gripper: MockGripper
    cameras: dict[str, MockCamera]
    clock: Clock
    faults: MockFaults

    def devices(self) -> Devices:
        return Devices(
            arm=self.arm, gripper=self.gripper, cameras=dict(self.cameras), clock=self.clock, world=None
        )


def mock_cell(rig: Rig, clock: Clock | None = None) -> MockCell:
    for camera in rig.cameras:
        if camera.driver != "mock":
            raise RigError(f"{rig.file.name}: camera {camera.name}: the mock arm stands before mock cameras")
    clock = clock or (SteppedClock() if rig.is_stepped else MonotonicClock())
    faults = MockFaults()
    return MockCell(
        arm=MockArm(clock, np.array(rig.pose("home")), faults),
        gripper=MockGripper(clock, rig.gripper.max_width, faults),
        cameras={camera.name: MockCamera(clock, camera, faults) for camera in rig.cameras},
        clock=clock,
        faults=faults,
    )


def open_mock(rig: Rig) -> Devices:
    return mock_cell(rig).devices()
