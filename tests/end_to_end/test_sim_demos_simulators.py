"""Demonstrations from the real simulators, by the command that people give."""

import json
import subprocess
import sys
from contextlib import closing
from operator import methodcaller
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from sim_train.demos.recording import Demonstration, demonstrate, recipe_for
from sim_train.simulation import Episode, Report
from sim_train.suites import suite_named
from sim_train.vector import LocalCells, View
from sim_train.worker_cells import WorkerCells

pytestmark = pytest.mark.filterwarnings("ignore")  # ManiSkill's dependencies warn when they are imported


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("task", ["put-on/train", "libero_object/0"])
def test_the_command_records_an_expert_that_finishes(task: str, tmp_path: Path) -> None:
    place = tmp_path / "set"
    command = [sys.executable, "-m", "sim_train", "demos", task, "--episodes", "1", "--out", str(place)]
    subprocess.run([*command, "--workers", "1"], check=True, timeout=1100)
    info = json.loads((place / "meta/info.json").read_text())
    table = pq.read_table(place / "data")
    suite = suite_named(task.partition("/")[0])
    assert info["total_episodes"] == 1
    assert info["total_frames"] == len(table) > 10
    for camera in suite.cameras:
        assert info["features"][f"observation.images.{camera.name}"]["shape"] == [
            camera.height,
            camera.width,
            3,
        ]
    moves = np.array(table["action"].to_pylist())[:, :3]
    assert (np.linalg.norm(moves, axis=1) <= suite.max_translation_per_step + 1e-6).all()
    assert np.isfinite(np.array(table["observation.state"].to_pylist())).all()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_put_on_is_the_same_in_a_worker_bit_for_bit() -> None:
    suite = suite_named("put-on")
    told: list[list[bytes]] = []
    for cells in (LocalCells(suite, 1), WorkerCells(suite, 1, workers=1, patience=600.0)):
        with closing(cells):
            cells.reset({0: Episode(suite="put-on", task="train", seed=11)})
            heard: list[bytes] = []
            for _ in range(3):
                actions = cells.ask(methodcaller("expert", 8), [0])
                report, view = cells.step(actions)[0], cells.look([0])[0]  # pyright: ignore[reportArgumentType]
                assert isinstance(report, Report)
                assert isinstance(view, View)
                heard += [view.reading.tcp_pose.position.tobytes(), report.rewards.tobytes()]
                heard += [picture.tobytes() for picture in view.pictures.values()]
            told.append(heard)
    assert told[0] == told[1]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_put_on_demonstrations_are_equal_whenever_they_are_made() -> None:
    suite = suite_named("put-on")
    simulation = suite.open_simulation()
    recipe = recipe_for(suite, every=2, with_bursts=True)
    made: list[Demonstration] = []
    for seed in (21, 22, 21):  # after itself and after another
        episode = Episode(suite="put-on", task="train", seed=seed)
        one = demonstrate(simulation, episode, recipe, burst_seed=seed)
        assert isinstance(one, Demonstration)
        made.append(one)
    simulation.close()
    first, _, again = made
    for name, values in first.columns.items():
        assert np.array_equal(values, again.columns[name]), name
    assert first.pictures == again.pictures
