"""Recorded trials as data sets: LeRobotDataset v3.0 and RLDS, failures and unjudged trials included."""

import json
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq
import pytest

from robot_bridge.recording.episodes import episode_from
from robot_bridge.recording.outcomes import read_outcomes
from robot_bridge.recording.reading import read_recording
from robot_bridge.recording.rehearsed import record_trials
from robot_bridge.recording.tfrecord import read_records
from robot_contract.errors import RecordingError
from robot_contract.pose import apply_delta

CAMERAS = ("external", "wrist")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("trials")
    record_trials(made, ("t-1", "t-2", "t-3"), seconds=2.0, pause_at=1.0)
    cut = (made / "t-3.mcap").read_bytes()
    (made / "t-3.mcap.part").write_bytes(cut[: len(cut) // 2])
    (made / "t-3.mcap").unlink()
    (made / "outcomes.csv").write_text("trial_id,success,note\nt-1,yes,\nt-2,0,knocked over\nt-3,,\n")
    return made


def export(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "robot_bridge", "export", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def lerobot(folder: Path) -> Path:
    done = export("--format", "lerobot", "--outcomes", folder / "outcomes.csv", folder, folder / "lerobot")
    assert done.returncode == 0, done.stderr
    assert "[1/3] t-1:" in done.stdout
    assert "success" in done.stdout
    assert "nobody judged it, cut off" in done.stdout
    return folder / "lerobot"


def test_layout_is_that_of_version_3(lerobot: Path) -> None:
    files = {path.relative_to(lerobot).as_posix() for path in lerobot.rglob("*") if path.is_file()}
    assert files == {
        "meta/info.json",
        "meta/stats.json",
        "meta/tasks.parquet",
        "meta/episodes/chunk-000/file-000.parquet",
        "data/chunk-000/file-000.parquet",
        *(f"videos/observation.images.{name}/chunk-000/file-000.mp4" for name in CAMERAS),
    }
    info = json.loads((lerobot / "meta/info.json").read_text())
    assert info["codebase_version"] == "v3.0"
    assert (info["fps"], info["total_episodes"], info["splits"]) == (10, 3, {"train": "0:3"})
    table = pq.read_table(lerobot / "data/chunk-000/file-000.parquet")
    columns = {key for key, feature in info["features"].items() if feature["dtype"] != "video"}
    assert set(table.column_names) == columns
    assert info["total_frames"] == table.num_rows
    for key in columns:
        assert len(np.atleast_1d(table[key][0].as_py())) == info["features"][key]["shape"][0]
    tasks = pq.read_table(lerobot / "meta/tasks.parquet")
    assert tasks.to_pylist() == [{"task_index": 0, "task": "draw a circle"}]


def test_frames_are_numbered_and_timed(lerobot: Path) -> None:
    data = pq.read_table(lerobot / "data/chunk-000/file-000.parquet").to_pydict()
    episodes = pq.read_table(lerobot / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert data["index"] == list(range(len(data["index"])))
    for episode in episodes:
        rows = range(episode["dataset_from_index"], episode["dataset_to_index"])
        assert len(rows) == episode["length"]
        assert {data["episode_index"][row] for row in rows} == {episode["episode_index"]}
        assert [data["frame_index"][row] for row in rows] == list(range(len(rows)))
        assert np.allclose([data["timestamp"][row] for row in rows], np.arange(len(rows)) / 10)
        assert [data["next.done"][row] for row in rows] == [False] * (len(rows) - 1) + [True]
    assert [episode["length"] >= 15 for episode in episodes] == [True, True, False]


def test_failures_and_unjudged_trials_are_kept(lerobot: Path) -> None:
    episodes = pq.read_table(lerobot / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    found = [(episode["trial_id"], episode["success"], episode["recording"]) for episode in episodes]
    assert found == [("t-1", True, "t-1.mcap"), ("t-2", False, "t-2.mcap"), ("t-3", None, "t-3.mcap.part")]
    info = json.loads((lerobot / "meta/info.json").read_text())
    assert "next.success" not in info["features"], "it is not known of every trial"


def test_success_is_a_column_where_every_trial_was_judged(folder: Path, tmp_path: Path) -> None:
    outcomes = folder / "outcomes.csv"
    places = (folder / "t-1.mcap", folder / "t-2.mcap")
    done = export("--format", "lerobot", "--outcomes", outcomes, *places, tmp_path / "judged")
    assert done.returncode == 0, done.stderr
    data = pq.read_table(tmp_path / "judged/data/chunk-000/file-000.parquet").to_pydict()
    ends = [data["next.success"][row] for row, is_last in enumerate(data["next.done"]) if is_last]
    assert ends == [True, False]
    assert sum(data["next.success"]) == 1


@pytest.mark.parametrize("camera", CAMERAS)
def test_films_have_a_picture_per_frame_at_its_time(lerobot: Path, camera: str) -> None:
    key = f"observation.images.{camera}"
    episodes = pq.read_table(lerobot / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    with av.open(str(lerobot / f"videos/{key}/chunk-000/file-000.mp4")) as film:
        times = [frame.time for frame in film.decode(video=0)]
        assert film.streams.video[0].codec_context.name == "h264"
    assert np.allclose(times, np.arange(sum(episode["length"] for episode in episodes)) / 10, atol=1e-6)
    for episode in episodes:
        assert episode[f"videos/{key}/from_timestamp"] == pytest.approx(episode["dataset_from_index"] / 10)
        assert episode[f"videos/{key}/to_timestamp"] == pytest.approx(episode["dataset_to_index"] / 10)


def test_statistics_are_those_of_the_values(lerobot: Path) -> None:
    statistics = json.loads((lerobot / "meta/stats.json").read_text())
    data = pq.read_table(lerobot / "data/chunk-000/file-000.parquet").to_pydict()
    for key in ("observation.state", "action", "timestamp", "verdict"):
        values = np.array(data[key], dtype=np.float64).reshape(len(data[key]), -1)
        for name in ("min", "max", "mean", "std"):
            assert np.allclose(statistics[key][name], getattr(values, name)(axis=0), atol=1e-9), (key, name)
        assert statistics[key]["count"] == [len(values)]
    for camera in CAMERAS:
        found = statistics[f"observation.images.{camera}"]
        assert np.shape(found["mean"]) == (3, 1, 1)
        assert 0.0 <= np.min(found["min"]) <= np.max(found["max"]) <= 1.0


def test_proposed_and_sent_actions_are_both_there(folder: Path) -> None:
    """What was sent adds up to where the arm was sent, within every stretch of driving."""
    recording = read_recording(folder / "t-1.mcap")
    episode = episode_from(recording, {})
    assert episode.left_out == 0
    chunks = {
        chunk.chunk.sequence: np.array(chunk.chunk.actions).reshape(-1, 7) for chunk in recording.chunks
    }
    proposed = np.concatenate(list(chunks.values()))
    for frame in episode.frames:
        assert (np.abs(proposed - frame.action).max(axis=1) == 0.0).any(), "as the policy gave it"
    tcp = recording.contract.flange_from_tcp
    by_time = {tick.at: i for i, tick in enumerate(recording.ticks)}
    starts = [by_time[frame.at] for frame in episode.frames]
    joined = 0
    for frame, begin, end in zip(episode.frames, starts, starts[1:], strict=False):
        if end - begin != 10:
            continue  # a pause lies between
        before = recording.ticks[begin - 1].sent.flange_pose @ tcp
        after = recording.ticks[end - 1].sent.flange_pose @ tcp
        reached = apply_delta(before, frame.executed[:3], frame.executed[3:6], recording.contract.frame)
        assert np.allclose(reached.position, after.position, atol=1e-12)
        assert abs(float(reached.quaternion @ after.quaternion)) == pytest.approx(1.0, abs=1e-12)
        joined += 1
    assert joined >= 15


def test_rlds_holds_every_step(folder: Path, tmp_path: Path) -> None:
    done = export("--format", "rlds", "--outcomes", folder / "outcomes.csv", folder, tmp_path / "rlds")
    assert done.returncode == 0, done.stderr
    place = tmp_path / "rlds/touchdown/1.0.0"
    info = json.loads((place / "dataset_info.json").read_text())
    assert info["splits"][0]["shardLengths"] == ["3"]
    features = json.loads((place / "features.json").read_text())["featuresDict"]["features"]
    steps = features["steps"]["sequence"]["feature"]["featuresDict"]["features"]
    assert set(steps["observation"]["featuresDict"]["features"]) == {"state", "joint_position", *CAMERAS}
    with (place / "touchdown-train.tfrecord-00000-of-00001").open("rb") as file:
        records = list(read_records(file))
    assert len(records) == 3
    for data in records:
        for name in (b"steps/action", b"steps/action_executed", b"steps/observation/wrist", b"steps/is_last"):
            assert name in data
        assert data.count(b"draw a circle") >= 5


def test_what_cannot_be_exported_is_a_sentence(folder: Path, tmp_path: Path) -> None:
    for arguments, words in (
        ((folder / "t-1.mcap",), "the folder to write"),
        ((folder / "t-1.mcap", tmp_path), "exists already"),
        ((tmp_path / "none.mcap", tmp_path / "x"), "no such file or folder"),
        ((folder / "t-1.mcap", tmp_path / "y", "--outcomes", tmp_path / "no.csv"), "no.csv: cannot be read"),
    ):
        done = export("--format", "rlds", *arguments)
        assert done.returncode == 2
        assert words in done.stderr
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "y").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("trial,success\nx,1\n", "expected the columns"),
        ("trial_id,success\nx,maybe\n", "2: success is 'maybe'"),
    ],
)
def test_a_wrong_outcomes_file_is_a_sentence(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "outcomes.csv"
    path.write_text(text)
    with pytest.raises(RecordingError, match=words):
        read_outcomes(path)
