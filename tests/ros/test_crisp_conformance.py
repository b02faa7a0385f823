"""The suite of every driver on an arm behind ROS topics: real DDS, its controller in another process."""

from collections.abc import Iterator

import pytest
from crisp_controller import crisp_controller, crisp_rig
from test_device_conformance import (  # noqa: F401 - collected here
    test_an_untouched_arm_stands,
    test_it_follows_and_repeats_the_target_that_was_sent,
    test_joints_and_flange_tell_the_same,
    test_stop_brings_it_to_rest_and_only_recover_takes_the_fault_away,
    test_the_arm_reports_finite_states_on_the_bridges_clock,
    test_the_gripper_goes_where_it_is_told_in_its_own_time,
    test_the_gripper_takes_the_newest_wish,
    test_time_of_states_goes_on,
    test_what_is_not_finite_never_becomes_a_target,
    test_when_targets_stop_coming_the_arm_comes_to_rest,
)

from robot_bridge.open_devices import Devices, open_devices


@pytest.fixture(scope="module")
def controller() -> Iterator[None]:
    with crisp_controller():
        yield


@pytest.fixture
def devices(controller: None) -> Iterator[Devices]:
    del controller
    opened = open_devices(crisp_rig())
    yield opened
    opened.close()
