"""A policy's kind of motion, some seconds of it, without a reflex; `benchmarks/fci.py` takes a minute."""

import time

import numpy as np
import pytest

from robot_bridge.franka.simulated import SimulatedFci
from robot_contract.pose import apply_delta, distance_between, interpolate


@pytest.mark.parametrize("tracking", ["impedance", "velocity"])
def test_random_deltas_at_10_hz_end_where_they_were_sent(fci: SimulatedFci, open_rig, tracking: str) -> None:
    devices = open_rig(tracking=tracking)
    rng = np.random.default_rng(7)
    start = before = devices.arm.read().commanded_flange_pose
    errors = []
    for step in range(30):
        after = apply_delta(before, rng.uniform(-0.005, 0.005, 3), rng.uniform(-0.015, 0.015, 3), "base")
        if step % 10 == 9:
            after = start
        for tick in range(10):
            wanted = interpolate(before, after, (tick + 1) / 10)
            devices.arm.track(wanted, None)
            time.sleep(0.01)
            errors.append(distance_between(devices.arm.read().flange_pose, wanted))
        before = after
    assert devices.arm.read().fault is None
    assert fci.state().mode in ("Move", "Idle")
    assert float(np.sqrt(np.mean(np.square(errors)))) < 0.012
