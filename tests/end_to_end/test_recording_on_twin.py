"""A trial of the scripted expert on the twin, through the whole bridge: recorded, judged again, exported."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from robot_bridge.bridge import Bridge
from robot_bridge.drivers.twin_cell import TwinCell, open_twin
from robot_bridge.modes import State
from robot_bridge.recording.episodes import episode_from
from robot_bridge.recording.reading import Recording, read_recording
from robot_bridge.recording.recorder import TrialRecorder
from robot_bridge.recording.rehearsed import wait_for
from robot_bridge.recording.replay import replay
from robot_bridge.rehearsal import rehearsal_contract
from robot_bridge.rig_file import find_rig, load_rig
from robot_bridge.scene.scene_json import scene_from_json
from robot_bridge.twin.expert_bridge import ExpertPolicy
from robot_contract.messages import OperatorEvent, SceneSetup, TrialSetup


def send(bridge: Bridge, action: str) -> None:
    bridge.send(OperatorEvent(action=action, operator="ann"))  # type: ignore[arg-type]


def record_expert_trial(folder: Path, *, seed: int = 0) -> Path:
    rig = load_rig(find_rig("twin_stepped"))
    devices = open_twin(rig)
    cell = devices.world
    assert isinstance(cell, TwinCell)
    contract = replace(rehearsal_contract(rig, chunk_length=4, execute_steps=4), name="expert")
    recorder = TrialRecorder(folder, free_space_floor=0)
    bridge = Bridge(rig, devices, ExpertPolicy(cell.world, contract), recorder=recorder)
    try:
        bridge.start()
        bridge.prepare(
            TrialSetup(
                trial_id="expert",
                policy="expert",
                instruction="",
                start_pose="home",
                time_limit=40.0,
                record=True,
                scene=SceneSetup(split="train", seed=seed),
            )
        )
        send(bridge, "arm")
        send(bridge, "start")
        until = time.monotonic() + 200.0
        while bridge.snapshot().modes.state is State.RUNNING and time.monotonic() < until:
            if cell.truth().success:
                send(bridge, "disarm")
            time.sleep(0.005)
        wait_for(lambda: not recorder.status().active)
        assert recorder.status().dropped == 0
    finally:
        bridge.close()
    return folder / "expert.mcap"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record_expert_trial(tmp_path_factory.mktemp("trials"))


@pytest.fixture(scope="module")
def recording(recorded: Path) -> Recording:
    return read_recording(recorded)


def test_success_scene_and_instruction_are_in_the_file(recording: Recording) -> None:
    assert recording.end is not None
    assert recording.end.success
    assert recording.end.stage
    assert recording.begin.instruction
    assert scene_from_json(recording.begin.scene).instruction == recording.begin.instruction
    assert recording.end.why == "ann: disarm"


def test_physics_does_not_keep_it_from_being_judged_again(recorded: Path) -> None:
    result = replay(recorded)
    assert result.ticks > 300
    assert (result.skipped, result.gaps, result.differences) == (0, 0, [])


def test_a_synchronous_policy_gives_a_frame_per_action(recording: Recording) -> None:
    episode = episode_from(recording, {})
    assert episode.success is True
    used = {(tick.chunk_sequence, tick.chunk_step) for tick in recording.ticks if tick.chunk_step >= 0}
    assert len(episode.frames) == len(used)
    assert episode.left_out == 0
    assert {len(frame.jpegs) for frame in episode.frames} == {2}
    closing = [frame for frame in episode.frames if frame.executed[6] < 0.5]
    assert closing, "it grasped something"
