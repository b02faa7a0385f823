"""The twin's world: truth and success by the shared definitions, determinism, resets and faults."""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from robot_bridge.scene.expert import expert_action
from robot_bridge.scene.scene import Move, Scene
from robot_bridge.scene.scene_json import scene_from_json
from robot_bridge.scene.splits import draw_scene, split_names
from robot_bridge.scene.success import Stage, is_success
from robot_bridge.twin.arm import received
from robot_bridge.twin.expert_trial import carry_out
from robot_bridge.twin.settings import TwinSettings
from robot_bridge.twin.world import TwinWorld
from robot_contract.errors import DeviceFault, SceneError
from robot_contract.pose import apply_delta

BLIND = TwinSettings(clock="stepped", cameras={})


@pytest.fixture(scope="module")
def scene() -> Scene:
    return draw_scene("train", 3)


@pytest.fixture
def world(scene: Scene) -> Iterator[TwinWorld]:
    with TwinWorld(scene, BLIND) as world:
        yield world


def wait(world: TwinWorld, seconds: float) -> None:
    world.clock.sleep_until(world.clock.now() + seconds)


def wander(world: TwinWorld, seed: int, steps: int) -> list[bytes]:
    """Random commands; what the arm and the truth say after each of them."""
    rng = np.random.default_rng(seed)
    target = world.arm.read().commanded_flange_pose
    heard = []
    for _ in range(steps):
        target = apply_delta(target, rng.uniform(-0.003, 0.003, 3), rng.uniform(-0.01, 0.01, 3), "base")
        world.arm.track(target, None)
        world.gripper.move(float(rng.uniform(0, 0.08)))
        wait(world, float(rng.uniform(0.005, 0.03)))
        state, truth = world.arm.read(), world.truth()
        heard.append(state.joint_position.tobytes() + state.external_wrench.tobytes())
        heard.append(b"".join(pose.matrix().tobytes() for pose in truth.poses.values()))
    return heard


def test_the_same_scene_and_commands_give_the_same_world_bit_for_bit(scene: Scene) -> None:
    with TwinWorld(scene, BLIND) as first, TwinWorld(scene, BLIND) as second:
        wander(second, 9, 10)
        second.reset(scene)
        assert wander(first, 1, 60) == wander(second, 1, 60)
        assert wander(first, 1, 5) != wander(second, 2, 5)


def test_time_passes_only_when_somebody_waits_and_never_falls_short(world: TwinWorld) -> None:
    began = world.clock.now()
    assert world.clock.now() == began
    for wanted in (0.0101, 0.02, 0.0333333, 1.0):
        world.clock.sleep_until(began + wanted)
        assert wanted <= world.clock.now() - began + 1e-9 <= wanted + 0.0011
    world.clock.sleep_until(began)
    assert world.clock.now() - began == pytest.approx(1.0)
    assert world.arm.read().measured_at == world.clock.now()


def test_things_stand_where_the_scene_puts_them(scene: Scene, world: TwinWorld) -> None:
    truth = world.truth()
    for placement in (*scene.objects, *scene.receptacles):
        pose = truth.poses[placement.name]
        np.testing.assert_allclose(pose.position, [placement.x, placement.y, 0.0], atol=0.003)
        assert pose.matrix()[2, 2] > 0.998, "upright"
        assert truth.speeds[placement.name] < 0.01
        assert truth.touches(placement.name, "table")
    assert world.progress.furthest is Stage.START


@pytest.mark.parametrize("split", split_names())
def test_every_split_stands_still_before_anybody_moves(split: str) -> None:
    with TwinWorld(draw_scene(split, 11), replace(BLIND)) as world:
        before = world.truth()
        wait(world, 0.3)
        after = world.truth()
        for name, pose in before.poses.items():
            assert np.linalg.norm(after.poses[name].position - pose.position) < 0.002, name
            assert after.speeds[name] < 0.015, name
        assert world.arm.read().fault is None
        assert not world.collisions


def test_the_expert_finishes_and_every_stage_is_seen_on_the_way(scene: Scene, world: TwinWorld) -> None:
    stages = []
    for _ in range(120):
        if world.progress.succeeded_at is not None:
            break
        carry_out(world, expert_action(world.truth(), scene))
        stages.append(world.progress.furthest)
        if stages[-1] is Stage.OVER:
            state = world.gripper.read()
            assert state.is_grasping
            assert state.width == pytest.approx(scene.target.grasp_width, abs=0.012)
    assert world.progress.succeeded_at is not None
    wait(world, 0.5)
    assert is_success(world.truth(), scene)
    assert stages == sorted(stages)
    assert world.progress.first_grasped == scene.target_object


def test_something_is_moved_in_the_middle_of_an_episode(scene: Scene) -> None:
    start = scene.objects[0]
    to = replace(start, x=0.64, y=0.26 if start.y < 0 else -0.26)
    with TwinWorld(replace(scene, move=Move(after=0.5, to=to)), BLIND) as world:
        wait(world, 0.49)
        np.testing.assert_allclose(world.truth().poses[to.name].position[:2], [start.x, start.y], atol=0.003)
        wait(world, 0.2)
        np.testing.assert_allclose(world.truth().poses[to.name].position[:2], [to.x, to.y], atol=0.003)
        world.start_episode()
        world.place(start)
        wait(world, 0.6)
        np.testing.assert_allclose(world.truth().poses[to.name].position[:2], [to.x, to.y], atol=0.003)


def test_a_scene_file_gives_the_same_world(scene: Scene, world: TwinWorld) -> None:
    with TwinWorld(scene_from_json(scene.to_json()), BLIND) as other:
        assert wander(world, 4, 10) == wander(other, 4, 10)


def test_a_reset_is_quick_and_takes_everything_back(
    world: TwinWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.faults.force_reflex()
    world.faults.jam_gripper()
    world.faults.drop_link()
    wait(world, 0.5)
    now = world.clock.now()
    seen: list[float] = []
    settle = world._physics.settle

    def watched(seconds: float) -> None:
        settle(seconds)
        seen.append(world.clock.now())

    monkeypatch.setattr(world._physics, "settle", watched)
    began = time.perf_counter()
    world.reset(draw_scene("train", 5))
    assert time.perf_counter() - began < 5.0, "a loaded machine; what it takes is measured in benchmarks"
    assert [*seen, world.clock.now()] == [now, now], "time goes on from where it was"
    assert world.arm.read().fault is None
    assert world.scene == draw_scene("train", 5)
    assert set(world.truth().poses) == {p.name for p in (*world.scene.objects, *world.scene.receptacles)}


def test_what_is_not_there_cannot_be_placed(scene: Scene, world: TwinWorld) -> None:
    with pytest.raises(SceneError, match="not in the scene"):
        world.place(replace(scene.objects[0], name="anvil"))


def test_a_collision_of_the_arm_is_noticed(scene: Scene) -> None:
    """The palm comes down on a carton that is taller than the fingers are long."""
    start = scene.start
    carton = replace(scene.objects[0], name="milk_carton", x=start.x, y=start.y, yaw=start.yaw)
    bowl = replace(scene.receptacles[0], name=scene.target_receptacle, x=0.65, y=-0.3)
    tall = replace(scene, target_object="milk_carton", objects=(carton,), receptacles=(bowl,))
    with TwinWorld(tall, BLIND) as world:
        target = world.arm.read().flange_pose
        while world.arm.read().fault is None and world.truth().time < 5.0:
            target = apply_delta(target, np.array([0.0, 0.0, -0.001]), np.zeros(3), "base")
            world.arm.track(target, None)
            wait(world, 0.01)
        assert world.arm.read().fault == "cartesian_reflex"
        assert [collision.what for collision in world.collisions] == ["milk_carton"]
        assert 1.0 < world.collisions[0].time < world.truth().time


# Faults


def test_a_dropped_link_raises_and_the_arm_rests(world: TwinWorld) -> None:
    target = world.arm.read().flange_pose
    for _ in range(20):
        target = apply_delta(target, np.array([0.0, 0.002, 0.0]), np.zeros(3), "base")
        world.arm.track(target, None)
        wait(world, 0.01)
    world.faults.drop_link()
    for call in (world.arm.read, world.arm.stop, world.gripper.read, lambda: world.arm.track(target, None)):
        with pytest.raises(DeviceFault, match="link is down"):
            call()
    wait(world, 1.0)
    world.faults.restore_link()
    assert np.abs(world.arm.read().joint_velocity).max() < 0.01


def test_a_slow_link_delays_states_and_targets(world: TwinWorld) -> None:
    start = world.arm.read().flange_pose
    world.faults.slow_link(0.08)
    for _ in range(20):
        wait(world, 0.01)
    assert world.clock.now() - world.arm.read().measured_at == pytest.approx(0.08, abs=0.011)
    world.arm.track(apply_delta(start, np.array([0.0, 0.02, 0.0]), np.zeros(3), "base"), None)
    wait(world, 0.07)
    world.faults.restore_link()
    assert abs(world.arm.read().flange_pose.position[1] - start.position[1]) < 1e-4
    wait(world, 0.08)
    assert world.arm.read().flange_pose.position[1] > start.position[1] + 0.002


def test_a_frozen_arm_state_gets_old(world: TwinWorld) -> None:
    world.faults.freeze_arm_state()
    before = world.arm.read()
    wait(world, 0.2)
    assert world.arm.read().measured_at == before.measured_at
    world.faults.clear()
    assert world.arm.read().measured_at == world.clock.now()


def test_a_jammed_gripper_stays_where_it_is(world: TwinWorld) -> None:
    world.gripper.move(0.03)
    wait(world, 0.2)
    world.faults.jam_gripper()
    width = world.gripper.read().width
    wait(world, 1.0)
    assert world.gripper.read().width == pytest.approx(width, abs=0.002)
    world.faults.free_gripper()
    wait(world, 1.0)
    assert world.gripper.read().width == pytest.approx(0.03, abs=0.001)


def test_pressed_fingers_have_no_gap(world: TwinWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed(*of: Any) -> Any:
        return replace(received(*of), width=-0.00024)

    monkeypatch.setattr("robot_bridge.twin.arm.received", pressed)
    assert world.gripper.read().width == 0.0


def test_the_gripper_takes_its_time(world: TwinWorld) -> None:
    world.gripper.move(0.0)
    wait(world, 0.3)
    state = world.gripper.read()
    assert state.is_moving
    assert state.width == pytest.approx(0.05, abs=0.005)
    wait(world, 0.8)
    state = world.gripper.read()
    assert not state.is_moving
    assert not state.is_grasping
    assert state.width < 0.001


def test_the_clock_leaps_and_the_world_does_not(world: TwinWorld) -> None:
    state = world.arm.read()
    world.faults.jump_clock(0.7)
    assert world.clock.now() - state.measured_at == pytest.approx(0.7)
    assert world.arm.read().joint_position.tobytes() == state.joint_position.tobytes()
    with pytest.raises(ValueError, match="ahead"):
        world.faults.jump_clock(-1.0)


def test_cameras_fall_silent_freeze_and_go_black(scene: Scene) -> None:
    settings = TwinSettings(clock="stepped")
    small = {name: replace(camera, width=64, height=48) for name, camera in settings.cameras.items()}
    with TwinWorld(scene, replace(settings, cameras=small)) as world:
        camera = world.cameras["external"]

        def after(seconds: float) -> tuple[int, np.ndarray]:
            wait(world, seconds)
            frame = camera.latest()
            assert frame is not None
            return frame.sequence, frame.picture

        number, picture = after(0.2)
        world.faults.silence_camera("external")
        assert after(0.5)[0] == number
        world.faults.freeze_camera("external")
        later, frozen = after(0.5)
        assert later > number + 10
        assert np.array_equal(frozen, picture)
        world.faults.black_camera("external")
        number, black = after(0.2)
        assert number > later
        assert black.max() == 0
        world.faults.restore_camera("external")
        assert after(0.2)[1].max() > 0
        with pytest.raises(DeviceFault, match="did you mean 'external'"):
            world.faults.freeze_camera("externl")
