"""The twin's cameras: exposure times, latency, noise, geometry, and a scene's disturbances of the picture."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from robot_bridge.scene.scene import Overlay, Scene
from robot_bridge.scene.scene_json import scene_from_json
from robot_bridge.scene.splits import draw_scene
from robot_bridge.twin.settings import CameraSettings, TwinSettings, looking_at
from robot_bridge.twin.world import TwinWorld
from robot_contract.pose import Pose

EXTERNAL = CameraSettings(
    mount="base", mount_from_camera=looking_at((1.05, 0.42, 0.62), (0.47, 0.0, 0.06)), width=160, height=120
)
WRIST = replace(TwinSettings().cameras["wrist"], width=160, height=120)
SMALL = TwinSettings(clock="stepped", cameras={"external": EXTERNAL, "wrist": WRIST})


@pytest.fixture(scope="module")
def scene() -> Scene:
    return draw_scene("train", 3)


@pytest.fixture
def world(scene: Scene) -> Iterator[TwinWorld]:
    with TwinWorld(scene, SMALL) as world:
        yield world


def wait(world: TwinWorld, seconds: float) -> None:
    world.clock.sleep_until(world.clock.now() + seconds)


def test_the_first_picture_is_there_at_once(world: TwinWorld) -> None:
    for camera in world.cameras.values():
        frame = camera.latest()
        assert frame is not None
        assert frame.exposed_at == world.clock.now()
        assert frame.picture.shape == (120, 160, 3)
        assert frame.picture.dtype == np.uint8
        assert not frame.picture.flags.writeable
        assert frame.picture.std() > 15, "a picture of something"


def test_a_frame_is_as_old_as_its_latency_and_comes_at_its_rate(world: TwinWorld) -> None:
    frames = {}
    ages = []
    for _ in range(1000):
        wait(world, 0.001)
        frame = world.cameras["external"].latest()
        assert frame is not None
        if frame.sequence not in frames and frames:
            ages.append(world.clock.now() - frame.exposed_at)
        frames[frame.sequence] = frame
    assert len(frames) in (29, 30, 31)
    assert list(frames) == list(range(1, len(frames) + 1))
    settings = EXTERNAL
    assert min(ages) >= settings.latency - 2 * settings.latency_jitter
    assert max(ages) <= settings.latency + 2 * settings.latency_jitter + 0.002
    exposures = np.array([frame.exposed_at for frame in frames.values()])
    np.testing.assert_allclose(np.diff(exposures), 1 / 30, atol=0.003)


def test_a_picture_shows_the_state_at_its_exposure_not_at_its_delivery(scene: Scene) -> None:
    slow = replace(EXTERNAL, latency=0.3, latency_jitter=0.0, noise=0.0, gain_drift=0.0)
    with TwinWorld(scene, replace(SMALL, cameras={"external": slow})) as world:
        first = world.cameras["external"].latest()
        wait(world, 0.05)
        placement = scene.objects[0]
        world.place(replace(placement, x=0.5, y=0.0 if abs(placement.y) > 0.1 else 0.2))
        wait(world, 0.2)
        before = world.cameras["external"].latest()
        wait(world, 0.3)
        after = world.cameras["external"].latest()
    assert first is not None
    assert before is not None
    assert after is not None
    assert np.abs(first.picture.astype(int) - before.picture).max() <= 3
    assert np.abs(first.picture.astype(int) - after.picture).max() > 40


def test_noise_and_gain_are_what_the_settings_say(scene: Scene) -> None:
    def pictures(**changes: float) -> list[np.ndarray]:
        camera = replace(EXTERNAL, gain_drift=0.0, exposure_jitter=0.0, **changes)
        with TwinWorld(scene, replace(SMALL, cameras={"external": camera})) as world:
            taken = []
            for _ in range(3):
                wait(world, 0.1)
                frame = world.cameras["external"].latest()
                assert frame is not None
                taken.append(frame.picture.astype(float))
            return taken

    clean = pictures(noise=0.0)[0]
    inside = (clean > 40) & (clean < 200)
    noisy = pictures(noise=4.0)
    assert (noisy[0] - clean)[inside].std() == pytest.approx(4.0, rel=0.1)
    assert abs((noisy[0] - clean)[inside].mean()) < 0.2
    assert not np.array_equal(noisy[0], noisy[1]), "noise is fresh in every picture"
    bright = pictures(noise=0.0, gain=1.2)[0]
    np.testing.assert_allclose(bright[inside], 1.2 * clean[inside], atol=1.5)


def test_the_intrinsics_project_the_tcp_to_where_it_is_seen(scene: Scene) -> None:
    """A red ball of light at a known place appears where fx, fy, cx, cy and the pose say."""
    plain = replace(EXTERNAL, noise=0.0, gain_drift=0.0)
    apple = replace(scene.objects[0], name="apple", x=0.5, y=0.1, yaw=0.0)
    plate = replace(scene.receptacles[0], x=0.6, y=-0.2)
    lone = replace(
        scene,
        target_object="apple",
        objects=(apple,),
        receptacles=(plate,),
        target_receptacle=plate.name,
        table_texture="white_laminate",
        external_camera=replace(scene.external_camera, translation=(0, 0, 0), rotation=(0, 0, 0)),
    )
    with TwinWorld(lone, replace(SMALL, cameras={"external": plain})) as world:
        frame = world.cameras["external"].latest()
    assert frame is not None
    red = frame.picture.astype(int)
    rows, columns = np.nonzero((red[..., 0] > 90) & (red[..., 1] < 60) & (red[..., 2] < 60))
    assert len(rows) > 20
    centre = plain.mount_from_camera.inverse().matrix() @ [0.5, 0.1, 0.032, 1.0]
    fx, fy, cx, cy = plain.intrinsics()
    assert columns.mean() == pytest.approx(cx + fx * centre[0] / centre[2], abs=1.5)
    assert rows.mean() == pytest.approx(cy + fy * centre[1] / centre[2], abs=1.5)


def test_the_wrist_camera_moves_with_the_hand_and_sees_the_fingers(world: TwinWorld) -> None:
    opened = world.cameras["wrist"].latest()
    world.gripper.move(0.0)
    wait(world, 1.5)
    closed = world.cameras["wrist"].latest()
    assert opened is not None
    assert closed is not None
    changed = np.abs(opened.picture.astype(int) - closed.picture).max(axis=2) > 60
    assert changed[80:].mean() > 0.03
    assert changed[:60].mean() < 0.01


def test_the_same_scene_gives_the_same_first_picture_and_another_seed_other_noise(scene: Scene) -> None:
    def first(of: Scene) -> np.ndarray:
        with TwinWorld(of, SMALL) as world:
            frame = world.cameras["external"].latest()
            assert frame is not None
            return frame.picture

    again = first(scene_from_json(scene.to_json()))
    assert np.array_equal(first(scene), again)
    assert not np.array_equal(first(replace(scene, seed=scene.seed + 1)), again)


def test_the_same_commands_give_the_same_pictures_bit_for_bit(scene: Scene) -> None:
    def seen() -> list[bytes]:
        with TwinWorld(scene, SMALL) as world:
            pictures = []
            target = world.arm.read().flange_pose
            downwards = np.array([0.001, 0.0, -0.001])
            for _ in range(30):
                target = Pose(position=target.position + downwards, quaternion=target.quaternion)
                world.arm.track(target, None)
                wait(world, 0.01)
                for camera in world.cameras.values():
                    frame = camera.latest()
                    assert frame is not None
                    pictures.append(frame.picture.tobytes())
            return pictures

    first = seen()
    assert len(set(first)) > 10
    assert first == seen()


def test_a_dynamic_texture_covers_arm_and_things_only_and_changes_with_every_frame(scene: Scene) -> None:
    calm = replace(EXTERNAL, noise=0.0, gain_drift=0.0)
    settings = replace(SMALL, cameras={"external": calm})

    def two(of: Scene) -> tuple[np.ndarray, np.ndarray]:
        with TwinWorld(of, settings) as world:
            a = world.cameras["external"].latest()
            wait(world, 0.1)
            b = world.cameras["external"].latest()
            assert a is not None
            assert b is not None
            return a.picture.astype(int), b.picture.astype(int)

    plain, _ = two(scene)
    overlay = Overlay(texture="blue_stripes", strength=0.5)
    textured, later = two(replace(scene, dynamic_texture=overlay))
    touched = np.abs(textured - plain).max(axis=2) > 8
    assert 0.02 < touched.mean() < 0.5, "not the whole picture"
    assert np.abs(textured - later)[touched].mean() > 5
    everywhere, _ = two(replace(scene, image_noise=overlay))
    assert (np.abs(everywhere - plain).max(axis=2) > 3).mean() > 0.8
