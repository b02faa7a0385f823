"""One suite for every driver: what the loop may rely on, whatever stands behind the protocols.

A rig joins by being named in `RIGS`. Positions and times are loose enough for a real arm's tracking.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest

from robot_bridge.kinematics import forward
from robot_bridge.open_devices import Devices, open_devices
from robot_bridge.rig import Rig
from robot_bridge.rig_file import find_rig, load_rig
from robot_contract.errors import DeviceFault
from robot_contract.pose import Pose, apply_delta, distance_between

STILL = np.zeros(3)
STEP = 0.01  # [s] between two targets
RIGS = ("mock", "mock, stepped", "twin", "twin, stepped")


def rig_of(name: str) -> Rig:
    driver, _, clock = name.partition(", ")
    rig = load_rig(find_rig(driver))
    assert rig.simulation is not None
    simulation = dataclasses.replace(rig.simulation, clock="stepped" if clock else "real")
    small = tuple(dataclasses.replace(camera, width=160, height=120) for camera in rig.cameras)
    return dataclasses.replace(rig, simulation=simulation, cameras=small)


@pytest.fixture(params=RIGS)
def devices(request: pytest.FixtureRequest) -> Iterator[Devices]:
    opened = open_devices(rig_of(request.param))
    yield opened
    opened.close()


def wait(devices: Devices, seconds: float) -> None:
    devices.clock.sleep_until(devices.clock.now() + seconds)


def sweep(devices: Devices, translation: list[float], steps: int) -> Pose:
    """Track a target that moves by `translation` [m] every 10 ms."""
    target = devices.arm.read().commanded_flange_pose
    for _ in range(steps):
        target = apply_delta(target, np.array(translation), STILL, "base")
        devices.arm.track(target, None)
        wait(devices, STEP)
    return target


def test_the_arm_reports_finite_states_on_the_bridges_clock(devices: Devices) -> None:
    before = devices.clock.now()
    state = devices.arm.read()
    assert before - 0.5 <= state.measured_at <= devices.clock.now()
    for values, length in (
        (state.joint_position, 7),
        (state.joint_velocity, 7),
        (state.external_wrench, 6),
    ):
        assert values.shape == (length,)
        assert np.isfinite(values).all()
        assert not values.flags.writeable, "a state is a value"
    assert state.flange_pose.is_finite()
    assert state.fault is None


def test_joints_and_flange_tell_the_same(devices: Devices) -> None:
    state = devices.arm.read()
    pose = forward(state.joint_position).flange_pose()
    assert distance_between(pose, state.flange_pose) < 1e-6


def test_time_of_states_goes_on(devices: Devices) -> None:
    first = devices.arm.read().measured_at
    wait(devices, 0.1)
    second = devices.arm.read().measured_at
    assert second > first
    assert devices.clock.now() - second < 0.5


def test_an_untouched_arm_stands(devices: Devices) -> None:
    before = devices.arm.read()
    wait(devices, 0.3)
    after = devices.arm.read()
    assert distance_between(before.flange_pose, after.flange_pose) < 0.001
    assert after.commanded_flange_pose == before.commanded_flange_pose


def test_it_follows_and_repeats_the_target_that_was_sent(devices: Devices) -> None:
    target = sweep(devices, [0.0, 0.001, 0.0005], 40)
    state = devices.arm.read()
    assert state.commanded_flange_pose == target
    assert distance_between(state.flange_pose, target) < 0.04, "within the leash"
    sweep(devices, [0.0, 0.0, 0.0], 80)
    assert distance_between(devices.arm.read().flange_pose, target) < 0.003


def test_when_targets_stop_coming_the_arm_comes_to_rest(devices: Devices) -> None:
    sweep(devices, [0.0, 0.002, 0.0], 20)
    wait(devices, 1.0)
    first = devices.arm.read()
    wait(devices, 0.2)
    second = devices.arm.read()
    assert distance_between(first.flange_pose, second.flange_pose) < 0.001
    assert np.abs(second.joint_velocity).max() < 0.02
    assert second.fault is None, "coming to rest is no fault"


def test_stop_brings_it_to_rest_and_only_recover_takes_the_fault_away(devices: Devices) -> None:
    moving = sweep(devices, [0.0, 0.002, 0.0], 20)
    devices.arm.stop()
    wait(devices, 0.6)
    stopped = devices.arm.read()
    assert stopped.fault is not None
    assert np.abs(stopped.joint_velocity).max() < 0.02
    assert distance_between(stopped.flange_pose, moving) < 0.05, "it goes nowhere else"
    with pytest.raises(DeviceFault, match=stopped.fault):
        devices.arm.track(moving, None)
    devices.arm.stop()  # a second stop is accepted
    assert devices.arm.read().fault == stopped.fault
    devices.arm.recover()
    recovered = devices.arm.read()
    assert recovered.fault is None
    assert distance_between(recovered.commanded_flange_pose, stopped.flange_pose) < 0.005, "no leap"
    sweep(devices, [0.0, -0.001, 0.0], 30)
    sweep(devices, [0.0, 0.0, 0.0], 40)
    assert devices.arm.read().flange_pose.position[1] < stopped.flange_pose.position[1] - 0.02


def test_what_is_not_finite_never_becomes_a_target(devices: Devices) -> None:
    before = devices.arm.read()
    for broken in (np.nan, np.inf):
        pose = Pose(position=[broken, 0.0, 0.5], quaternion=before.flange_pose.quaternion)
        with pytest.raises(DeviceFault):
            devices.arm.track(pose, None)
        with pytest.raises(DeviceFault):
            devices.gripper.move(broken)
    wait(devices, 0.2)
    assert devices.arm.read().commanded_flange_pose == before.commanded_flange_pose


def test_the_gripper_goes_where_it_is_told_in_its_own_time(devices: Devices) -> None:
    assert devices.gripper.read().width == pytest.approx(0.08, abs=0.002)
    devices.gripper.move(0.03)
    wait(devices, 0.1)
    moving = devices.gripper.read()
    assert moving.is_moving
    assert 0.031 < moving.width < 0.08
    wait(devices, 1.2)
    state = devices.gripper.read()
    assert state.width == pytest.approx(0.03, abs=0.002)
    assert not state.is_moving
    assert not state.is_grasping, "there is nothing between the fingers"
    assert state.fault is None


def test_the_gripper_takes_the_newest_wish(devices: Devices) -> None:
    devices.gripper.move(0.0)
    wait(devices, 0.1)
    devices.gripper.move(0.08)
    wait(devices, 1.2)
    assert devices.gripper.read().width == pytest.approx(0.08, abs=0.002)


def test_cameras_deliver_newer_and_newer_frames(devices: Devices) -> None:
    wait(devices, 0.5)
    for camera in devices.cameras.values():
        first = camera.latest()
        assert first is not None
        assert first.picture.dtype == np.uint8
        assert first.picture.shape == (120, 160, 3)
        assert not first.picture.flags.writeable
        assert first.exposed_at < devices.clock.now()
        until = devices.clock.now() + 10.0
        later = camera.latest()
        while later is not None and later.sequence == first.sequence and devices.clock.now() < until:
            wait(devices, 0.02)
            later = camera.latest()
        assert later is not None
        assert later.sequence > first.sequence
        assert later.exposed_at > first.exposed_at
        assert not np.array_equal(later.picture, first.picture)


def test_asking_twice_at_the_same_instant_gives_the_same_frame() -> None:
    for name in ("mock, stepped", "twin, stepped"):
        devices = open_devices(rig_of(name))
        wait(devices, 0.2)
        for camera in devices.cameras.values():
            assert camera.latest() is camera.latest()
        devices.close()
