"""A camera's stamps become instants on the bridge's clock: smooth, never from the future, stale when late."""

import itertools
import math

import pytest

from robot_bridge.realsense.frame_times import FrameTimes

LATENCY = 0.06  # [s]
PERIOD = 1.0 / 60.0  # [s]


def test_a_late_delivery_does_not_move_the_exposure() -> None:
    times = FrameTimes(latency=LATENCY)
    transits = [0.02, 0.03, 0.02, 0.07, 0.025]
    exposures = [
        times.exposed_at(
            stamp=5000.0 + k * PERIOD, arrived_at=100.0 + k * PERIOD + transit, domain="hardware"
        )
        for k, transit in enumerate(transits)
    ]
    for before, after in itertools.pairwise(exposures):
        assert after - before == pytest.approx(PERIOD, abs=1e-9)
    assert exposures[0] == pytest.approx(100.0 + 0.02 - LATENCY)


def test_a_frame_that_was_held_back_is_as_old_as_it_is() -> None:
    times = FrameTimes(latency=LATENCY)
    for k in range(60):
        times.exposed_at(stamp=k * PERIOD, arrived_at=10.0 + k * PERIOD, domain="hardware")
    late = times.exposed_at(stamp=60 * PERIOD, arrived_at=10.0 + 60 * PERIOD + 0.5, domain="hardware")
    assert 10.0 + 60 * PERIOD + 0.5 - late == pytest.approx(LATENCY + 0.5)


def test_no_exposure_is_later_than_its_arrival_less_the_latency() -> None:
    times = FrameTimes(latency=LATENCY)
    for k, stamp in enumerate([3.0, 1.0, math.nan, 900.0, math.inf, 4.0, -math.inf, 4.1]):
        arrived_at = 50.0 + k * PERIOD
        exposed_at = times.exposed_at(stamp=stamp, arrived_at=arrived_at, domain="global_time")
        assert exposed_at <= arrived_at - LATENCY + 1e-9


def test_another_clock_begins_a_new_mapping() -> None:
    times = FrameTimes(latency=LATENCY)
    times.exposed_at(stamp=1.7e9, arrived_at=20.0, domain="global_time")
    exposed_at = times.exposed_at(stamp=12.0, arrived_at=20.1, domain="hardware_clock")
    assert exposed_at == pytest.approx(20.1 - LATENCY)


@pytest.mark.parametrize("drift", [-100e-6, 100e-6])
def test_a_drifting_crystal_costs_less_than_two_milliseconds(drift: float) -> None:
    times = FrameTimes(latency=LATENCY)
    for k in range(3600):  # a minute
        arrived_at = 10.0 + k * PERIOD
        exposed_at = times.exposed_at(
            stamp=k * PERIOD * (1 + drift), arrived_at=arrived_at, domain="hardware"
        )
        assert abs(arrived_at - LATENCY - exposed_at) < 0.002


def test_a_clock_that_was_set_back_looks_stale_and_is_believed_again() -> None:
    times = FrameTimes(latency=0.0)
    ages = []
    for k in range(1200):
        arrived_at = 10.0 + k * PERIOD
        stamp = k * PERIOD - (30.0 if k >= 60 else 0.0)
        ages.append(arrived_at - times.exposed_at(stamp=stamp, arrived_at=arrived_at, domain="system_time"))
    assert max(ages[:60]) < 1e-6
    assert min(ages[60:200]) > 29.0  # refused, not believed
    assert ages[-1] < 1e-6
