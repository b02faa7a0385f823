"""A closed hand measures a little under zero now and then: that is closed, and nothing else is changed."""

import math

import pytest

from robot_bridge.devices import finger_gap


@pytest.mark.parametrize("measured", [0.08, 0.0, 1e-6, -0.01, -math.inf])
def test_other_measurements_stay_as_they_are(measured: float) -> None:
    assert finger_gap(measured) == measured


def test_pressed_fingers_have_no_gap() -> None:
    assert finger_gap(-0.00024) == 0.0


def test_no_measurement_is_not_taken_for_a_closed_hand() -> None:
    assert math.isnan(finger_gap(math.nan))
