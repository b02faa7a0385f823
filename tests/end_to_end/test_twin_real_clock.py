"""The twin paced by the machine's clock: it keeps up, its cameras deliver, its page and film can be seen."""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import simplejpeg

from robot_bridge.devices import Frame
from robot_bridge.scene.splits import draw_scene
from robot_bridge.twin import show
from robot_bridge.twin.command import Twin, run_twin
from robot_bridge.twin.viewer import Viewer
from robot_bridge.twin.world import TwinWorld
from robot_contract.errors import DeviceFault, SceneError
from robot_contract.pose import apply_delta, distance_between


@pytest.fixture
def world() -> Iterator[TwinWorld]:
    with TwinWorld(draw_scene("train", 3)) as world:
        yield world


def picture_of(world: TwinWorld) -> Frame:
    """The external camera's newest frame, as soon as there is one."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        frame = world.cameras["external"].latest()
        if frame is not None:
            return frame
        time.sleep(0.01)
    raise AssertionError("no picture within 30 s")


def test_it_follows_in_real_time_with_both_cameras_running(world: TwinWorld) -> None:
    target = world.arm.read().flange_pose
    began = due = world.clock.now()
    sequences: dict[str, set[int]] = {name: set() for name in world.cameras}
    # So long, or longer where other programs want this machine, too.
    while due < began + 2.0 or (due < began + 60 and min(map(len, sequences.values())) < 15):
        sideways = 0.0005 if int(due - began) % 2 == 0 else -0.0005
        target = apply_delta(target, np.array([0.0, sideways, 0.0]), np.zeros(3), "base")
        world.arm.track(target, None)
        due += 0.01
        world.clock.sleep_until(due)
        state = world.arm.read()
        assert state.fault is None
        assert state.measured_at <= world.clock.now()
        for name, camera in world.cameras.items():
            frame = camera.latest()
            if frame is not None:
                sequences[name].add(frame.sequence)
                assert frame.exposed_at < world.clock.now()
    assert world.real_time_factor is not None
    assert world.real_time_factor > 0.3
    assert all(len(numbers) >= 15 for numbers in sequences.values())
    assert distance_between(world.arm.read().flange_pose, target) < 0.04


def test_the_arm_comes_to_rest_when_nobody_sends_targets_any_more(world: TwinWorld) -> None:
    target = world.arm.read().flange_pose
    for _ in range(30):
        target = apply_delta(target, np.array([0.0, 0.002, 0.0]), np.zeros(3), "base")
        world.arm.track(target, None)
        time.sleep(0.01)
    time.sleep(1.5)
    assert np.abs(world.arm.read().joint_velocity).max() < 0.01


def test_a_reset_shows_the_new_scene_only(world: TwinWorld) -> None:
    old = picture_of(world)
    world.reset(replace(draw_scene("train", 3), table_texture="black_rubber"))
    new = picture_of(world)
    assert new.exposed_at > old.exposed_at
    assert new.picture[200:].mean() < old.picture[200:].mean() - 20


def test_faults_act_at_once_and_a_jump_of_the_clock_makes_everything_old(world: TwinWorld) -> None:
    before = world.arm.read()
    world.faults.jump_clock(5.0)
    assert world.clock.now() - before.measured_at > 5.0
    world.faults.drop_link()
    with pytest.raises(DeviceFault, match="link is down"):
        world.arm.read()


def test_what_ends_the_physics_is_heard_of(world: TwinWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ArithmeticError("not a number")

    monkeypatch.setattr(world._physics, "step", fail)
    time.sleep(0.2)
    with pytest.raises(DeviceFault, match="not a number"):
        world.arm.read()


def get(address: str, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(address.removeprefix("http://").rstrip("/"), timeout=20)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def first_picture(address: str) -> np.ndarray:
    connection = http.client.HTTPConnection(address.removeprefix("http://").rstrip("/"), timeout=20)
    connection.request("GET", "/stream")
    answer = connection.getresponse()
    assert "multipart/x-mixed-replace" in answer.headers["Content-Type"]
    length = 0
    while (line := answer.readline().strip()) or not length:
        if line.lower().startswith(b"content-length"):
            length = int(line.split(b":")[1])
    picture = simplejpeg.decode_jpeg(answer.read(length))
    connection.close()
    return picture


def test_the_page_shows_the_newest_picture_and_the_facts() -> None:
    with Viewer("a <twin>", lambda: {"stage": "lift"}) as viewer:
        viewer.show(np.full((48, 64, 3), (200, 30, 30), np.uint8))
        status, page = get(viewer.address, "/")
        assert status == 200
        assert b"a &lt;twin&gt;" in page
        assert json.loads(get(viewer.address, "/facts")[1]) == {"stage": "lift"}
        assert get(viewer.address, "/other")[0] == 404
        picture = first_picture(viewer.address)
        assert picture.shape == (48, 64, 3)
        np.testing.assert_allclose(picture.reshape(-1, 3).mean(axis=0), (200, 30, 30), atol=4)


def test_people_can_watch_the_expert_live(capsys: pytest.CaptureFixture[str]) -> None:
    ended = threading.Event()
    watching = threading.Thread(
        target=show.view, args=([draw_scene("train", 3)],), kwargs={"port": 0, "until": ended}
    )
    watching.start()
    try:
        address = ""
        until = time.monotonic() + 20
        while not address and time.monotonic() < until:
            time.sleep(0.1)
            words = capsys.readouterr().out.split()
            address = next((word for word in words if word.startswith("http://")), "")
        assert first_picture(address).shape == (720, 1440, 3)
        facts = json.loads(get(address, "/facts")[1])
        assert facts["task"] == draw_scene("train", 3).instruction
        assert facts["arm"] == "well"
    finally:
        ended.set()
        watching.join(timeout=30)
    assert not watching.is_alive()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (Twin(), "--view"),
        (Twin(view=True, scenes=0), "at least 1"),
        (Twin(view=True, split="trian"), "train"),
        (Twin(view=True, seed=-1), "seed: expected 0 or more, found -1"),
        (Twin(view=True, port=70000), "port: expected 0 to 65535, found 70000"),
        (Twin(view=True, record=Path("film.mp4")), "one of --view and --record"),
        (Twin(record=Path("film.gif")), r"ends in \.mp4, found film\.gif"),
        (Twin(record=Path("nowhere/film.mp4"), scenes=1), r"film\.mp4: cannot be written: No such file"),
    ],
)
def test_what_cannot_be_shown_is_said(command: Twin, message: str) -> None:
    with pytest.raises(SceneError, match=message):
        run_twin(command)


def test_a_port_that_is_taken_is_said() -> None:
    with Viewer("first", dict) as first, pytest.raises(SceneError, match="in use; 0 takes a free one"):
        Viewer("second", dict, int(first.address.rstrip("/").rpartition(":")[2]))


def test_a_film_is_made_of_an_episode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(show, "_LONGEST_EPISODE", 1.0)
    run_twin(Twin(record=tmp_path / "film.mp4", seed=3, scenes=1))
    with av.open(str(tmp_path / "film.mp4")) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert f"{len(frames)} pictures" in capsys.readouterr().out
    assert len(frames) >= 25
    assert frames[0].shape == (720, 1440, 3)
    assert np.abs(frames[0].astype(int) - frames[-1]).max() > 60, "something moved"


def test_a_film_that_is_interrupted_holds_what_there_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = list(range(5))

    def act_and_be_interrupted(world: TwinWorld) -> None:
        if not left:
            raise KeyboardInterrupt
        left.pop()
        world.clock.sleep_until(world.clock.now() + 0.1)

    monkeypatch.setattr(show, "act", act_and_be_interrupted)
    with pytest.raises(SystemExit, match="ended early"):
        run_twin(Twin(record=tmp_path / "film.mp4", seed=3, scenes=1))
    with av.open(str(tmp_path / "film.mp4")) as container:
        assert len(list(container.decode(video=0))) >= 10
