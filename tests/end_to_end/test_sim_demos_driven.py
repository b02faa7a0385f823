"""A policy drives by turns: what is shown is the expert's way on from there, and nothing of the policy's."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from robot_contract.errors import ContractError, RecordingError
from robot_contract.messages import Observation
from robot_contract.pose import Vector
from sim_train.demos.command import demos
from sim_train.demos.driving import Driver, Wheel, draw_turns, find_driver
from sim_train.demos.recording import Demonstration, Recipe, demonstrate, recipe_for
from sim_train.put_on.suite import put_on_suite
from sim_train.simulation import Episode
from sim_train.stand_in import STAND_IN, StandIn
from sim_train.suite_contract import contract_of_suite
from sim_train.untrained import make_untrained_checkpoint

K = STAND_IN.chunk_length
LONG = 400  # steps of an episode: there and back again


@pytest.fixture
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim_train.stand_in.STEPS", LONG)


def recipe(*, every: int, with_bursts: bool) -> Recipe:
    return replace(recipe_for(STAND_IN, every=every, with_bursts=with_bursts), episode_steps=LONG)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoints") / "untrained"
    make_untrained_checkpoint(path, STAND_IN)
    return path


class Nudging:
    """Moves a little to one side, whatever it is asked."""

    def __init__(self) -> None:
        self.contract = contract_of_suite(STAND_IN, name="nudging", cameras=[STAND_IN.cameras[0].name])

    def answer(self, observations: Sequence[Observation]) -> Sequence[Vector]:
        return [np.tile([0.001, 0.0005, 0.0, 0.0, 0.0, 0.0, 1.0], (K, 1)) for _ in observations]

    def probe(self) -> Observation:
        raise NotImplementedError

    def close(self) -> None: ...


@dataclass(frozen=True, kw_only=True, eq=False)
class NudgingDriver(Driver):
    def take_wheel(self, session: str) -> Wheel:
        return Wheel(Nudging(), self.suite, session)


NUDGING = NudgingDriver(folder=Path("nudging"), digest="", execute_steps=K, suite=STAND_IN)


def test_turns_are_whole_chunks_and_leave_room_to_show_something() -> None:
    for seed in range(20):
        drives = draw_turns(seed, 400, K)
        assert drives[0]
        edges = np.flatnonzero(np.diff(drives.astype(int))) + 1
        lengths = np.diff(edges, prepend=0)
        assert all(length % K == 0 for length in lengths[::2])
        assert all(length > K for length in lengths[1::2])
    assert (draw_turns(1, 400, K) != draw_turns(2, 400, K)).any()
    assert (draw_turns(1, 400, K) == draw_turns(1, 400, K)).all()


@pytest.mark.usefixtures("_patient")
@pytest.mark.parametrize("seed", range(5))
def test_labels_are_the_experts_from_where_the_policy_got_to(seed: int) -> None:
    episode = Episode(suite="stand-in", task="one", seed=seed)
    done: list[Any] = []

    class Watched(StandIn):
        def step(self, actions: Any) -> Any:
            done.extend(actions)
            return super().step(actions)

    how = recipe(every=1, with_bursts=False)
    made = demonstrate(Watched(), episode, how, burst_seed=seed, driver=NUDGING)
    assert isinstance(made, Demonstration)
    check = StandIn()
    check.reset(episode)
    by_policy = 0
    shown = made.columns["step"].tolist()
    for step, action in enumerate(done):
        if step in shown:
            chunk = made.columns["action.expert_chunk"][shown.index(step)]
            assert np.allclose(chunk, check.expert(K), atol=1e-6)
        by_policy += not np.allclose(action, check.expert(1)[0], atol=1e-6)
        check.step(action[None])
    assert by_policy >= K
    assert shown[0] >= K, "the policy begins"


@pytest.mark.usefixtures("_patient")
def test_an_episode_with_a_driver_is_repeated_exactly() -> None:
    episode = Episode(suite="stand-in", task="two", seed=3)
    how = recipe(every=2, with_bursts=True)
    first, again = (demonstrate(StandIn(), episode, how, burst_seed=3, driver=NUDGING) for _ in range(2))
    assert isinstance(first, Demonstration)
    assert isinstance(again, Demonstration)
    for name, values in first.columns.items():
        assert np.array_equal(values, again.columns[name], equal_nan=values.dtype.kind == "f"), name
    assert first.pictures == again.pictures


def test_the_command_keeps_to_one_driver(checkpoint: Path, tmp_path: Path) -> None:
    demos("stand-in/one", episodes=2, out=tmp_path / "set", driver=checkpoint, workers=1)
    settings = json.loads((tmp_path / "set/meta/demonstrations.json").read_text())
    assert settings["driver"] == find_driver(checkpoint, STAND_IN).digest
    rows = pq.read_table(sorted((tmp_path / "set/data").rglob("*.parquet"))).to_pylist()
    assert min(row["step"] for row in rows) >= K
    with pytest.raises(RecordingError, match="driver"):
        demos("stand-in/one", episodes=3, out=tmp_path / "set", workers=1)


def test_a_policy_of_another_suite_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="does not fit suite put-on"):
        find_driver(checkpoint, put_on_suite())
    with pytest.raises(ContractError):
        find_driver(tmp_path, STAND_IN)
