"""How the twin's arm follows, rests, refuses and recovers; all on the stepped clock."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from robot_bridge.scene.scene import Scene
from robot_bridge.scene.splits import draw_scene
from robot_bridge.twin.settings import ArmSettings, TwinSettings
from robot_bridge.twin.world import TwinWorld
from robot_contract.errors import DeviceFault
from robot_contract.pose import Pose, angle_between, apply_delta, distance_between

STILL = np.zeros(3)
BLIND = TwinSettings(clock="stepped", cameras={})


@pytest.fixture(scope="module")
def scene() -> Scene:
    scene = draw_scene("train", 3)
    aside = replace(scene.objects[0], name=scene.target_object, x=0.65, y=0.3)
    plate = replace(scene.receptacles[0], name=scene.target_receptacle, x=0.65, y=-0.3)
    return replace(scene, objects=(aside,), receptacles=(plate,))


@pytest.fixture
def world(scene: Scene) -> Iterator[TwinWorld]:
    with TwinWorld(scene, BLIND) as world:
        yield world


def wait(world: TwinWorld, seconds: float) -> None:
    world.clock.sleep_until(world.clock.now() + seconds)


def hold(world: TwinWorld, target: Pose, seconds: float) -> None:
    for _ in range(round(seconds / 0.01)):
        world.arm.track(target, None)
        wait(world, 0.01)


def sweep(world: TwinWorld, translation: list[float], steps: int) -> Pose:
    """Move by `translation` [m] at each of so many steps of 10 ms."""
    target = world.arm.read().commanded_flange_pose
    for _ in range(steps):
        target = apply_delta(target, np.array(translation), STILL, "base")
        world.arm.track(target, None)
        wait(world, 0.01)
    return target


def test_it_starts_where_the_scene_says(scene: Scene, world: TwinWorld) -> None:
    tcp = world.truth().tcp_pose
    np.testing.assert_allclose(tcp.position, [scene.start.x, scene.start.y, scene.start.z], atol=1e-4)
    np.testing.assert_allclose(tcp.matrix()[:3, 2], [0, 0, -1], atol=1e-4)


def test_it_follows_a_moving_target_closely_and_arrives(world: TwinWorld) -> None:
    target = sweep(world, [0.001, 0.001, -0.001], 60)
    assert distance_between(world.arm.read().flange_pose, target) < 0.020
    hold(world, target, 1.0)
    state = world.arm.read()
    assert distance_between(state.flange_pose, target) < 0.0015
    assert angle_between(state.flange_pose, target) < 0.005
    assert state.commanded_flange_pose == target
    assert state.fault is None


def test_it_turns_as_well_as_it_moves(world: TwinWorld) -> None:
    target = apply_delta(world.arm.read().flange_pose, STILL, np.array([0.1, -0.2, 0.3]), "base")
    hold(world, target, 1.2)
    assert angle_between(world.arm.read().flange_pose, target) < 0.01


def test_the_posture_moves_the_elbow_and_leaves_the_flange(world: TwinWorld) -> None:
    before = world.arm.read()
    posture = np.array(before.joint_position)
    posture[2] += 0.5
    for _ in range(200):
        world.arm.track(before.flange_pose, posture)
        wait(world, 0.01)
    after = world.arm.read()
    assert abs(after.joint_position[2] - before.joint_position[2]) > 0.15
    assert distance_between(after.flange_pose, before.flange_pose) < 0.003


def test_without_further_targets_it_rests_within_the_last_hop(world: TwinWorld) -> None:
    start = world.arm.read().flange_pose
    far = apply_delta(start, np.array([0.0, 0.35, 0.0]), STILL, "base")
    world.arm.track(far, None)
    wait(world, 1.5)
    state = world.arm.read()
    # In the 100 ms that a target lives the reference goes 100 mm at 1 m/s, not the whole way.
    assert 0.05 < distance_between(start, state.flange_pose) < 0.12
    assert np.abs(state.joint_velocity).max() < 0.01
    assert distance_between(state.commanded_flange_pose, state.flange_pose) < 0.003


def test_stop_decelerates_along_the_path_and_latches(world: TwinWorld) -> None:
    sweep(world, [0.0, 0.0025, 0.0], 40)
    moving = world.arm.read()
    world.arm.stop()
    assert world.arm.read().fault == "stopped_by_command"
    with pytest.raises(DeviceFault, match="stopped_by_command"):
        world.arm.track(moving.flange_pose, None)
    wait(world, 1.0)
    rest = world.arm.read()
    offset = rest.flange_pose.position - moving.flange_pose.position
    assert 0 < offset[1] < 0.03
    assert np.abs(offset[[0, 2]]).max() < 0.003
    assert np.abs(rest.joint_velocity).max() < 0.01


def test_only_recover_accepts_motion_again_and_nothing_leaps(world: TwinWorld) -> None:
    sweep(world, [0.0, 0.0025, 0.0], 40)
    world.faults.force_reflex("cartesian_reflex")
    wait(world, 0.5)
    stopped = world.arm.read()
    assert stopped.fault == "cartesian_reflex"
    assert np.abs(stopped.joint_velocity).max() < 0.01
    world.arm.recover()
    wait(world, 0.5)
    recovered = world.arm.read()
    assert recovered.fault is None
    assert distance_between(stopped.flange_pose, recovered.flange_pose) < 0.002
    sweep(world, [0.0, -0.001, 0.0], 50)
    hold(world, world.arm.read().commanded_flange_pose, 0.5)
    assert world.arm.read().flange_pose.position[1] < recovered.flange_pose.position[1] - 0.045


def test_running_into_the_table_is_felt_and_trips_the_collision_reflex(world: TwinWorld) -> None:
    with pytest.raises(DeviceFault, match="cartesian_reflex"):
        sweep(world, [0.0, 0.0, -0.0015], 240)
    state = world.arm.read()
    assert state.fault == "cartesian_reflex"
    assert world.truth().tcp_pose.position[2] > -0.01


def test_a_gentle_touch_is_felt_as_a_force_from_below(scene: Scene) -> None:
    with TwinWorld(scene, replace(BLIND, arm=ArmSettings(force_threshold=200.0))) as world:
        height = world.truth().tcp_pose.position[2]
        sweep(world, [0.0, 0.0, -0.001], round(height / 0.001) + 25)
        hold(world, world.arm.read().commanded_flange_pose, 0.5)
        state = world.arm.read()
        below = state.flange_pose.position[2] - state.commanded_flange_pose.position[2]
        assert below > 0.01
        # Standing still, the table carries what the spring presses with.
        assert state.external_wrench[2] == pytest.approx(800.0 * below, rel=0.15)


def test_the_end_of_a_joint_trips_its_reflex(world: TwinWorld) -> None:
    state = world.arm.read()
    target = state.flange_pose
    for _ in range(400):
        target = apply_delta(target, STILL, np.array([0.0, 0.0, 0.012]), "base")
        if world.arm.read().fault is not None:
            break
        world.arm.track(target, None)
        wait(world, 0.01)
    assert world.arm.read().fault == "joint_position_limits_violation"


def test_what_is_not_finite_is_refused(world: TwinWorld) -> None:
    pose = world.arm.read().flange_pose
    broken = Pose(position=[np.nan, 0.0, 0.0], quaternion=pose.quaternion)
    with pytest.raises(DeviceFault, match="finite"):
        world.arm.track(broken, None)
    with pytest.raises(DeviceFault, match="posture"):
        world.arm.track(pose, np.full(7, np.inf))
    with pytest.raises(DeviceFault, match="width"):
        world.gripper.move(float("nan"))
