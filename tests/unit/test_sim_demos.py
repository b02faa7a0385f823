"""Demonstrations: what a frame is labelled with, what the folder holds, and that nothing but one episode is
lost when recording is interrupted."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from robot_bridge.scene.perturbation import draw_bursts, perturb
from robot_contract.errors import RecordingError, SceneError
from sim_train.demos.command import Wanted, demos
from sim_train.demos.contact_sheet import contact_sheet
from sim_train.demos.recording import Demonstration, Failed, demonstrate, recipe_for
from sim_train.seeds import FIRST_EVALUATION_SEED
from sim_train.simulation import Episode, Picture
from sim_train.stand_in import STAND_IN, StandIn

K = STAND_IN.chunk_length
EPISODES = 6
LONG = 100  # episodes of a recording that is interrupted


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every second attempt fails: its block is fixed."""
    place = tmp_path_factory.mktemp("demos") / "set"
    demos("stand-in/one,fixed", episodes=EPISODES, out=place)
    return place


def table_of(folder: Path) -> pa.Table:
    return pq.read_table(sorted((folder / "data").rglob("*.parquet")))


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return pq.read_table(folder / "meta/episodes/chunk-000/file-000.parquet").to_pylist()


def info_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "meta/info.json").read_text())


class Watched(StandIn):
    """Keeps what was asked of it and done to it."""

    def __init__(self) -> None:
        super().__init__()
        self.actions: list[Any] = []
        self.looked_at: list[int] = []

    def step(self, actions: Any) -> Any:
        self.actions += list(actions)
        return super().step(actions)

    def look(self) -> dict[str, Picture]:
        self.looked_at.append(len(self.actions))
        return dict(super().look())


def recorded(seed: int, *, every: int = 2, bursts: bool = True) -> tuple[Watched, Demonstration]:
    simulation = Watched()
    recipe = recipe_for(STAND_IN, every=every, with_bursts=bursts)
    episode = Episode(suite="stand-in", task="one", seed=seed)
    made = demonstrate(simulation, episode, recipe, burst_seed=seed)
    assert isinstance(made, Demonstration)
    return simulation, made


@pytest.mark.parametrize("seed", range(10))
def test_a_frame_is_labelled_with_the_clean_actions_that_were_carried_out_from_it(seed: int) -> None:
    simulation, made = recorded(seed)
    check = StandIn()
    check.reset(Episode(suite="stand-in", task="one", seed=seed))
    done = 0
    for step, chunk in zip(made.columns["step"], made.columns["action.expert_chunk"], strict=True):
        check.step(np.array(simulation.actions[done:step]).reshape(-1, 7))
        done = int(step)
        assert np.allclose(chunk, check.expert(K), atol=1e-7), "no burst is in a label"
        ahead = np.array(simulation.actions[step : step + K])
        assert np.allclose(chunk[: len(ahead)], ahead, atol=1e-7)


def test_bursts_are_carried_out_and_left_out() -> None:
    disturbed, calm = recorded(0)[1], recorded(0, bursts=False)[1]
    assert calm.columns["step"].tolist() == list(range(0, calm.steps, 2))
    assert disturbed.steps > calm.steps
    assert len(disturbed.columns["step"]) < (disturbed.steps + 1) // 2


def test_only_frames_that_are_kept_are_drawn() -> None:
    for seed in range(5):
        simulation, made = recorded(seed, every=3)
        assert simulation.looked_at == made.columns["step"].tolist()


def test_an_episode_that_fails_shows_nothing() -> None:
    recipe = recipe_for(STAND_IN, every=2, with_bursts=True)
    episode = Episode(suite="stand-in", task="fixed", seed=0)
    made = demonstrate(StandIn(), episode, recipe, burst_seed=0)
    assert made == Failed(steps=STAND_IN.episode_steps)


def test_bursts_keep_the_bounds_of_the_suite() -> None:
    bursts = draw_bursts(0, 400, rate=0.3, max_translation=0.05, max_rotation=0.5)
    pushed = np.array([perturb(np.full(7, 0.02), bursts, step) for step in np.flatnonzero(bursts.is_active)])
    ways, turns = np.linalg.norm(pushed[:, :3], axis=1), np.linalg.norm(pushed[:, 3:6], axis=1)
    assert 0.018 < ways.max() <= 0.05
    assert 0.04 < turns.max() <= 0.5


def test_the_columns_are_what_the_features_say(folder: Path) -> None:
    table, features = table_of(folder), info_of(folder)["features"]
    assert set(table.column_names) == set(features)
    rows = table.to_pylist()
    for name, feature in features.items():
        if feature["dtype"] == "image":
            picture = Image.open(io.BytesIO(rows[0][name]["bytes"]))
            assert [picture.height, picture.width, 3] == feature["shape"]
            assert picture.format == "JPEG"
            continue
        values = np.array([row[name] for row in rows])
        assert list(values.shape[1:] or (1,)) == feature["shape"], name
        expected = {"float32": "f", "int64": "i", "bool": "b"}[feature["dtype"]]
        assert values.dtype.kind == expected, name
    shapes = {name: feature["shape"] for name, feature in features.items()}
    assert shapes["observation.state"] == [9]
    assert shapes["observation.joint_position"] == [7]
    assert shapes["action"] == [7]
    assert shapes["action.expert_chunk"] == [K, 7]
    assert shapes["observation.marks"] == [2, 3]
    assert shapes["observation.mark_pixels.external"] == [2, 2]
    assert features["is_demonstration"]["dtype"] == "bool"


def test_the_numbers_of_frames_episodes_and_tasks_fit_together(folder: Path) -> None:
    table, rows, info = table_of(folder), rows_of(folder), info_of(folder)
    columns = {
        name: table[name].to_numpy() for name in ("index", "episode_index", "frame_index", "task_index")
    }
    assert info["total_frames"] == len(table)
    assert info["total_episodes"] == len(rows) == EPISODES
    assert columns["index"].tolist() == list(range(len(table)))
    tasks = pq.read_table(folder / "meta/tasks.parquet").to_pydict()
    assert info["total_tasks"] == len(tasks["task"])
    for row in rows:
        begin, end = row["dataset_from_index"], row["dataset_to_index"]
        assert end - begin == row["length"]
        assert set(columns["episode_index"][begin:end]) == {row["episode_index"]}
        assert columns["frame_index"][begin:end].tolist() == list(range(row["length"]))
        (number,) = set(columns["task_index"][begin:end])
        assert tasks["task"][tasks["task_index"].index(number)] == row["tasks"][0]
    assert info["fps"] == 5
    assert np.allclose(table["timestamp"].to_numpy(), columns["frame_index"] / info["fps"])


def test_failed_attempts_are_skipped_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demos("stand-in/one,fixed", episodes=2, out=tmp_path / "set", workers=1)
    assert [row["attempt"] for row in rows_of(tmp_path / "set")] == [0, 2]
    assert {row["task"] for row in rows_of(tmp_path / "set")} == {"one"}
    assert "the expert failed in 1 of 3 episodes" in capsys.readouterr().out


def test_statistics_are_those_of_the_rows(folder: Path) -> None:
    statistics, table = json.loads((folder / "meta/stats.json").read_text()), table_of(folder)
    for name in ("observation.state", "action", "action.expert_chunk", "observation.marks"):
        values = np.array(table[name].to_pylist(), dtype=np.float64)
        found = {key: np.array(value) for key, value in statistics[name].items()}
        assert found["count"].tolist() == [len(values)]
        assert np.allclose(found["min"], values.min(axis=0))
        assert np.allclose(found["max"], values.max(axis=0))
        assert np.allclose(found["mean"], values.mean(axis=0))
        assert np.allclose(found["std"], values.std(axis=0), atol=1e-6)
    colours = np.array(statistics["observation.images.external"]["mean"])
    assert colours.shape == (3, 1, 1)
    assert ((colours > 0) & (colours < 1)).all()


def test_a_longer_data_set_goes_on_and_equals_one_made_at_once(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "set"
    for episodes in (1, 4, EPISODES):
        demos("stand-in/one,fixed", episodes=episodes, out=place, workers=1)
        assert info_of(place)["total_episodes"] == episodes
    assert table_of(place).equals(table_of(folder))
    assert (place / "meta/stats.json").read_text() == (folder / "meta/stats.json").read_text()
    stated = info_of(place)
    assert stated == info_of(folder)


def test_other_settings_are_refused_with_what_differs(folder: Path) -> None:
    with pytest.raises(RecordingError, match=r"every 2 and not 3.*another folder"):
        demos("stand-in/one,fixed", episodes=EPISODES, out=folder, every=3)
    with pytest.raises(RecordingError, match="with_bursts True and not False"):
        demos("stand-in/one,fixed", episodes=EPISODES, out=folder, bursts=False)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RecordingError, match="is not empty"):
        demos("stand-in/one", episodes=1, out=tmp_path)


@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        ("stand-in/tow", "did you mean 'two'"),
        ("stand-in", "names no task of stand-in; there are one, two, fixed"),
        ("stand-out/one", "did you mean 'stand-in'"),
    ],
)
def test_a_wrong_name_is_refused_with_the_right_ones(tmp_path: Path, task: str, sentence: str) -> None:
    with pytest.raises(SceneError, match=sentence):
        demos(task, episodes=1, out=tmp_path / "set")


def test_seeds_that_are_kept_for_evaluation_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="kept for evaluation"):
        demos("stand-in/one", episodes=10, out=tmp_path / "set", seed=FIRST_EVALUATION_SEED - 5)


def test_a_suite_with_few_seeds_begins_again_with_other_bursts() -> None:
    suite = replace(STAND_IN, name="libero_object")
    recipe = recipe_for(suite, every=2, with_bursts=True)
    wanted = Wanted(suite=suite, tasks=("one", "two"), first_seed=49, recipe=recipe)
    assert [(wanted.episode(n).task, wanted.episode(n).seed) for n in range(4)] == [
        ("one", 49),
        ("two", 49),
        ("one", 0),
        ("two", 0),
    ]
    assert [wanted.burst_seed(n) for n in range(4)] == [49, 49, 50, 50]


def start(place: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "sim_train", "demos", "stand-in/one,two"]
    return subprocess.Popen(
        [*command, "--episodes", str(LONG), "--out", str(place)], stdout=subprocess.PIPE, text=True
    )


def attempts_in(place: Path) -> int:
    return len(list(place.glob("attempts/*.parquet")))


def await_attempts(place: Path, count: int) -> None:
    deadline = time.monotonic() + 120
    while attempts_in(place) < count:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def children_of(process: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def test_a_kill_costs_the_episodes_under_way_and_a_dead_worker_none(tmp_path: Path) -> None:
    place = tmp_path / "set"
    killed = start(place)
    await_attempts(place, 5)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    kept = attempts_in(place)
    assert 5 <= kept < LONG
    finishing = start(place)
    await_attempts(place, kept + 5)
    for child in children_of(finishing.pid):
        if b"resource_tracker" not in Path(f"/proc/{child}/cmdline").read_bytes():
            os.kill(child, signal.SIGKILL)
            break
    words, _ = finishing.communicate(timeout=120)
    assert finishing.returncode == 0
    failed = {int(path.stem) for path in place.glob("attempts/*.failed")}
    assert f"the expert failed in {len(failed)} of {LONG + len(failed)} episodes" in words
    rows = rows_of(place)
    assert [row["attempt"] for row in rows] == [n for n in range(LONG + len(failed)) if n not in failed]
    assert not list(place.glob("attempts/*.parquet"))
    whole = table_of(place)
    for row in rows[:: LONG // 10]:
        number = row["attempt"]
        recipe = recipe_for(STAND_IN, every=2, with_bursts=True)
        episode = Episode(suite="stand-in", task=("one", "two")[number % 2], seed=number // 2)
        made = demonstrate(StandIn(), episode, recipe, burst_seed=episode.seed)
        assert isinstance(made, Demonstration)
        part = whole.slice(row["dataset_from_index"], row["length"])
        assert np.array_equal(
            np.array(part["action.expert_chunk"].to_pylist()), made.columns["action.expert_chunk"]
        )
        jpegs = [picture["bytes"] for picture in part["observation.images.external"].to_pylist()]
        assert jpegs == made.pictures["external"]


def test_two_programs_do_not_record_into_one_folder(tmp_path: Path) -> None:
    place = tmp_path / "set"
    first = start(place)
    try:
        await_attempts(place, 1)
        with pytest.raises(RecordingError, match="another program is recording into it"):
            demos("stand-in/one,two", episodes=LONG, out=place)
    finally:
        first.kill()
        first.communicate()


def test_the_contact_sheet_shows_three_pictures_and_the_words_of_an_episode(folder: Path) -> None:
    contact_sheet(folder)
    page = (folder / "contact_sheet.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 3 * EPISODES
    for row in rows_of(folder):
        assert row["tasks"][0] in page
        assert f"seed {row['seed']}: {row['steps']} steps, {row['length']} frames" in page
    contact_sheet(folder, episodes=2, out=folder / "few.html")
    assert (folder / "few.html").read_text().count("<article") == 2
    with pytest.raises(RecordingError, match="has no camera 'wrist'; there are external"):
        contact_sheet(folder, camera="wrist")


def test_there_is_no_contact_sheet_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="holds no demonstrations yet"):
        contact_sheet(tmp_path)
