"""What every driver promises, run against each one that needs no hardware: the mock and the twin."""

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from robot_bridge.kinematics import flange_pose
from robot_bridge.open_devices import Devices, open_devices
from robot_bridge.rig import Rig
from robot_bridge.rig_file import find_rig, load_rig
from robot_contract.errors import DeviceFault
from robot_contract.pose import Pose, angle_between, distance_between

PERIOD = 0.01  # [s] between two targets
_RIGS = {"mock": "mock", "twin": "twin_stepped"}


def stepped(name: str) -> Rig:
    rig = load_rig(find_rig(_RIGS[name]))
    assert rig.simulation is not None
    small = tuple(dataclasses.replace(camera, width=64, height=48) for camera in rig.cameras)
    simulation = dataclasses.replace(rig.simulation, clock="stepped")
    return dataclasses.replace(rig, simulation=simulation, cameras=small)


@pytest.fixture(params=list(_RIGS))
def devices(request: pytest.FixtureRequest) -> Iterator[Devices]:
    opened = open_devices(stepped(request.param))
    opened.clock.sleep_until(opened.clock.now() + 0.2)
    yield opened
    opened.close()


def run(devices: Devices, seconds: float, each: Callable[[], None] = lambda: None) -> None:
    clock = devices.clock
    until = clock.now() + seconds
    while clock.now() < until - 1e-9:
        each()
        clock.sleep_until(clock.now() + PERIOD)


def moved(pose: Pose, *offset: float) -> Pose:
    return Pose(position=pose.position + np.array(offset), quaternion=pose.quaternion)


def speed(devices: Devices) -> float:
    """[m/s] measured over one period."""
    before = devices.arm.read().flange_pose
    run(devices, PERIOD)
    return distance_between(before, devices.arm.read().flange_pose) / PERIOD


def test_state_is_whole_fresh_and_consistent(devices: Devices) -> None:
    state = devices.arm.read()
    assert state.fault is None
    assert state.joint_position.shape == state.joint_velocity.shape == (7,)
    assert state.external_wrench.shape == (6,)
    assert np.isfinite(state.joint_position).all()
    assert abs(devices.clock.now() - state.measured_at) <= 0.01
    computed = flange_pose(state.joint_position)
    assert distance_between(computed, state.flange_pose) < 0.001
    assert angle_between(computed, state.flange_pose) < 0.005
    for array in (state.joint_position, state.joint_velocity, state.external_wrench):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0


def test_state_grows_no_older_than_its_reading(devices: Devices) -> None:
    first = devices.arm.read().measured_at
    run(devices, 0.1)
    assert devices.arm.read().measured_at >= first + 0.09


def test_arm_follows_and_reports_what_was_commanded(devices: Devices) -> None:
    start = devices.arm.read().flange_pose
    targets = [moved(start, 0.0, 0.0, 0.03 * min(i / 50, 1.0)) for i in range(120)]
    for target in targets:
        devices.arm.track(target, None)
        run(devices, PERIOD)
    state = devices.arm.read()
    assert state.commanded_flange_pose == targets[-1]
    assert distance_between(state.flange_pose, targets[-1]) < 0.004
    assert distance_between(state.flange_pose, start) > 0.02


def test_target_is_good_for_a_short_time_only(devices: Devices) -> None:
    """When nobody calls `track` any more, the arm comes to rest by itself, far from a distant target."""
    start = devices.arm.read().flange_pose
    x = 0.0
    for _ in range(40):
        x += 0.0015
        devices.arm.track(moved(start, 0.0, x, 0.0), None)
        run(devices, PERIOD)
    run(devices, 0.6)
    assert speed(devices) < 0.005
    assert distance_between(devices.arm.read().flange_pose, start) < 0.1


def test_stop_rests_latches_and_only_recover_clears_it(devices: Devices) -> None:
    start = devices.arm.read().flange_pose
    for i in range(30):
        devices.arm.track(moved(start, 0.0, 0.0, 0.001 * i), None)
        run(devices, PERIOD)
    devices.arm.stop()
    run(devices, 0.6)
    assert devices.arm.read().fault is not None
    assert speed(devices) < 0.005
    with pytest.raises(DeviceFault, match="recover"):
        devices.arm.track(start, None)
    devices.arm.stop()
    run(devices, 0.2)
    assert devices.arm.read().fault is not None
    devices.arm.recover()
    run(devices, 0.1)
    state = devices.arm.read()
    assert state.fault is None
    assert speed(devices) < 0.005, "recovering moves nothing"
    devices.arm.track(state.flange_pose, None)


def test_recovered_arm_stands_on_what_it_would_be_commanded(devices: Devices) -> None:
    """Holding repeats the commanded pose: after a recovery that must not be a pose from before the stop."""
    start = devices.arm.read().flange_pose
    for i in range(30):
        devices.arm.track(moved(start, 0.0, 0.0, 0.001 * i), None)
        run(devices, PERIOD)
    devices.arm.stop()
    run(devices, 0.5)
    devices.arm.recover()
    run(devices, 0.1)
    state = devices.arm.read()
    assert distance_between(state.commanded_flange_pose, state.flange_pose) < 0.01
    run(devices, 0.3, lambda: devices.arm.track(state.commanded_flange_pose, None))
    assert distance_between(devices.arm.read().flange_pose, state.flange_pose) < 0.01


def test_pose_that_is_not_finite_is_refused(devices: Devices) -> None:
    pose = devices.arm.read().flange_pose
    with pytest.raises(DeviceFault, match="finite"):
        devices.arm.track(moved(pose, float("nan"), 0.0, 0.0), None)


def test_gripper_opens_and_closes(devices: Devices) -> None:
    for width in (0.0, 0.08, 0.02):
        devices.gripper.move(width)
        run(devices, 1.5)
        state = devices.gripper.read()
        assert state.width == pytest.approx(width, abs=0.002)
        assert not state.is_moving
        assert state.fault is None
    with pytest.raises(DeviceFault, match="width"):
        devices.gripper.move(float("nan"))


def test_gripper_returns_at_once(devices: Devices) -> None:
    before = devices.clock.now()
    devices.gripper.move(0.0)
    assert devices.clock.now() == before
    run(devices, 0.05)
    assert devices.gripper.read().is_moving


def test_frames_count_up_and_have_been_exposed_before_they_are_seen(devices: Devices) -> None:
    assert set(devices.cameras) == {"external", "wrist"}
    for camera in devices.cameras.values():
        frames = []
        for _ in range(8):
            run(devices, 0.05)
            frame = camera.latest()
            assert frame is not None
            assert frame.picture.shape == (48, 64, 3)
            assert frame.picture.dtype == np.uint8
            assert 0.0 < devices.clock.now() - frame.exposed_at < 0.15
            frames.append(frame)
        sequences = [frame.sequence for frame in frames]
        assert sequences == sorted(set(sequences))
        exposures = [frame.exposed_at for frame in frames]
        assert exposures == sorted(set(exposures))
        with pytest.raises(ValueError, match="read-only"):
            frames[0].picture[0, 0] = 0


def test_latest_does_not_wait_for_the_next_frame(devices: Devices) -> None:
    for camera in devices.cameras.values():
        before = devices.clock.now()
        first, second = camera.latest(), camera.latest()
        assert first is second
        assert devices.clock.now() == before
