"""Motions that the tests of this folder ask an arm for."""

import time

import numpy as np

from robot_bridge.open_devices import Devices
from robot_contract.pose import Pose, apply_delta

STEP = 0.01  # [s] between two targets
STILL = np.zeros(3)


def sweep(devices: Devices, translation: list[float], steps: int) -> Pose:
    """Track a target that moves by `translation` [m] every 10 ms; the last one."""
    target = devices.arm.read().commanded_flange_pose
    for _ in range(steps):
        target = apply_delta(target, np.array(translation), STILL, "base")
        devices.arm.track(target, None)
        time.sleep(STEP)
    return target


def away_and_back(devices: Devices, seconds: float) -> None:
    """To and fro along y at 0.1 m/s, so that the arm ends near where it began."""
    until, side = time.monotonic() + seconds, 1
    while time.monotonic() < until:
        sweep(devices, [0.0, 0.001 * side, 0.0], 40)
        side = -side
