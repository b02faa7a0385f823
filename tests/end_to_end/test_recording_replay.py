"""A recorded trial judged again: the same bit for bit, other limits shown, gaps and damage survived."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from robot_bridge.recording import record_pb2 as pb
from robot_bridge.recording.reading import messages, read_recording
from robot_bridge.recording.rehearsed import record_trials
from robot_bridge.recording.replay import judge_again, replay


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record_trials(tmp_path_factory.mktemp("trials"), ("t-1",), seconds=3.0, pause_at=1.5)[0]


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "robot_bridge", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_every_verdict_and_target_comes_out_the_same(recorded: Path) -> None:
    result = replay(recorded)
    assert result.ticks >= 330
    assert (result.skipped, result.gaps, result.cut, result.differences) == (0, 0, "", [])
    assert result.recorded["CLAMP"] > 0
    done = run("replay", recorded)
    assert done.returncode == 0, done.stderr
    assert "every verdict and every target is the same, bit for bit" in done.stdout


def test_memories_stand_whole_where_a_file_can_be_entered(recorded: Path) -> None:
    ticks = read_recording(recorded).ticks
    whole = [i for i, tick in enumerate(ticks) if tick.memory is not None]
    assert whole[0] == 0
    assert max(np.diff([*whole, len(ticks)])) <= 100


def test_a_changed_target_is_found(recorded: Path) -> None:
    recording = read_recording(recorded, with_pictures=False)
    changed = recording.ticks[200]
    position = changed.sent.flange_pose.position.copy()
    position[1] = np.nextafter(position[1], 1.0)
    object.__setattr__(changed.sent.flange_pose, "position", position)
    result = judge_again(recording)
    assert [difference.tick for difference in result.differences] == [changed.tick]


def test_a_missing_tick_is_a_gap_until_the_next_whole_memory(recorded: Path) -> None:
    recording = read_recording(recorded, with_pictures=False)
    del recording.ticks[130]
    result = judge_again(recording)
    assert result.gaps == 1
    assert 0 < result.skipped < 100
    assert result.differences == []


def test_other_limits_are_judged_from_the_same_proposals(recorded: Path) -> None:
    done = run("replay", recorded, "--profile", "normal")
    assert done.returncode == 0, "it is not the recording's own limits that differ"
    assert "ticks differ; their targets are up to" in done.stdout
    same = run("replay", recorded.parent, "--rig", "mock")
    assert "bit for bit" in same.stdout, "the rig that recorded it"


def test_own_limits_that_differ_are_exit_status_1(recorded: Path, tmp_path: Path) -> None:
    """A file whose limits were changed afterwards does not give its own verdicts again."""
    from mcap.writer import Writer
    from mcap_protobuf.schema import register_schema

    path = tmp_path / "forged.mcap"
    with path.open("wb") as file:
        writer = Writer(file)
        writer.start()
        channels: dict[str, int] = {}
        for topic, log_time, message in messages(recorded):
            if isinstance(message, pb.TrialBegins):
                message.limits_json = message.limits_json.replace('"speed":0.25', '"speed":0.02')
            if topic not in channels:
                schema = register_schema(writer, type(message))
                channels[topic] = writer.register_channel(topic, "protobuf", schema)
            writer.add_message(channels[topic], log_time, message.SerializeToString(), log_time)
        writer.finish()
    done = run("replay", path)
    assert done.returncode == 1
    assert "ticks differ" in done.stdout


def test_what_cannot_be_read_is_a_sentence_and_exit_status_2(tmp_path: Path) -> None:
    (tmp_path / "x.mcap").write_bytes(b"nothing")
    for place, words in (
        (tmp_path / "x.mcap", "x.mcap"),
        (tmp_path / "none.mcap", "no such file or folder"),
        (tmp_path.parent / "nowhere", "no such file or folder"),
    ):
        done = run("replay", place)
        assert done.returncode == 2
        assert words in done.stderr
        assert "Traceback" not in done.stderr


def test_the_file_holds_what_the_documentation_says(recorded: Path) -> None:
    topics = {topic for topic, _, _ in messages(recorded)}
    assert topics == {
        "/trial/begin",
        "/tick",
        "/chunk",
        "/event",
        "/trial/end",
        "/camera/external",
        "/camera/wrist",
        "/policy_view/external",
        "/policy_view/wrist",
    }
    recording = read_recording(recorded)
    assert recording.begin.instruction == "draw a circle"
    assert recording.begin.limits_digest
    assert recording.contract.name == "rehearsal"
    assert [(event.event.operator, event.mode_before, event.mode_after) for event in recording.events] == [
        ("ann", "ARMED", "RUNNING"),
        ("ann", "RUNNING", "HOLDING_FOR_START"),
        ("ann", "HOLDING_FOR_START", "RUNNING"),
        ("ann", "RUNNING", "IDLE"),
    ]
    assert recording.end is not None
    assert recording.end.why == "ann: disarm"
    assert sum(recording.end.verdict_counts.values()) <= len(recording.ticks)
    for pictures in recording.pictures.values():
        assert all(picture[:2] == b"\xff\xd8" for _, picture in pictures)
        exposed = [at for at, _ in pictures]
        assert exposed == sorted(exposed)
        assert recording.begin.at - 1.0 < exposed[0] < recording.end.at
