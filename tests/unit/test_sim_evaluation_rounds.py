"""The evaluator's loop on the stand-in: known rates come out, void episodes never count, greedy is greedy."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from operator import methodcaller
from pathlib import Path

import numpy as np
import pytest
import torch

from policy_server.checkpoint import open_checkpoint
from policy_server.loading import load_model
from robot_bridge.observation import encode_for_policy
from robot_contract.errors import ContractError, PolicyUnavailable, StudyError
from robot_contract.messages import ActionChunk, Observation, Timings
from robot_contract.policy_contract import PolicyContract
from robot_contract.pose import Vector
from sim_train.evaluation.asking import Asked, observation_of, suite_problems
from sim_train.evaluation.deciders import (
    CheckpointPolicy,
    ExpertDecider,
    PolicyDecider,
    ServedPolicy,
    require_greedy,
)
from sim_train.evaluation.outcome import Played
from sim_train.evaluation.plan import Planned, plan_episodes
from sim_train.evaluation.rounds import MOST_VOIDS, Voided, play
from sim_train.evaluation.settings import Instruct
from sim_train.simulation import Episode, Report
from sim_train.stand_in import STAND_IN
from sim_train.untrained import make_untrained_checkpoint
from sim_train.vector import Cells, LocalCells, Question, T, View, Void


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("checkpoints")
    for head in ("l1", "tokens", "laplace"):
        make_untrained_checkpoint(root / head, STAND_IN, head=head)
    return {path.name: path for path in root.iterdir()}


def plan(split: str, episodes: int) -> list[Planned]:
    return plan_episodes(STAND_IN.name, STAND_IN.tasks, splits=[split], episodes=episodes)


def play_all(
    cells: Cells, episodes: Sequence[Planned], *, execute_steps: int = 8, instruct: Instruct = "named"
) -> list[Played | Voided]:
    decider = ExpertDecider(cells, 8)
    return list(play(cells, episodes, decider, execute_steps=execute_steps, instruct=instruct))


@pytest.mark.parametrize("robots", [1, 3])
def test_the_expert_has_its_known_rate(robots: int) -> None:
    with closing(LocalCells(STAND_IN, robots)) as cells:
        ended = play_all(cells, plan("all", 30))
    outcomes = [one.outcome for one in ended if isinstance(one, Played)]
    assert len(outcomes) == 30
    for outcome in outcomes:
        assert outcome.succeeded == (outcome.task != "fixed"), outcome
        assert outcome.stage == ("start" if outcome.task == "fixed" else "place")
        assert outcome.first_grasp == ("none" if outcome.task == "fixed" else "named")
        assert outcome.steps == 80 if outcome.task == "fixed" else 20 < outcome.steps < 60


def test_an_outcome_does_not_depend_on_who_plays_beside_it() -> None:
    def outcomes(robots: int) -> set[str]:
        with closing(LocalCells(STAND_IN, robots)) as cells:
            return {str(one.outcome) for one in play_all(cells, plan("two", 9)) if isinstance(one, Played)}

    assert outcomes(1) == outcomes(4)


def test_only_the_first_steps_of_a_chunk_are_carried_out() -> None:
    with closing(LocalCells(STAND_IN, 1)) as cells:
        counting = Counting(cells)
        play_all(counting, plan("one", 1), execute_steps=3)
    assert max(counting.chunks) == 3


def test_what_was_done_is_kept_action_by_action() -> None:
    with closing(LocalCells(STAND_IN, 1)) as cells:
        (played,) = play_all(cells, plan("one", 1))
        assert isinstance(played, Played)
        assert played.actions is not None
        assert played.actions.shape == (played.outcome.steps, 7)
        cells.reset({0: plan("one", 1)[0].episode})
        report = cells.step({0: played.actions})[0]
    assert isinstance(report, Report)
    assert (report.succeeded, report.steps) == (True, played.outcome.steps)


class Counting:
    """Cells that note how long the chunks were, and die when told to."""

    def __init__(self, cells: Cells, *, dies: Mapping[int, int] | None = None, where: str = "step") -> None:
        self._cells = cells
        self._deaths = dict(dies or {})  # seed: how often
        self._where = where
        self._seeds: dict[int, int] = {}
        self.chunks: list[int] = []

    @property
    def count(self) -> int:
        return self._cells.count

    def _is_dead(self, cell: int, where: str) -> bool:
        seed = self._seeds[cell]
        if where != self._where or not self._deaths.get(seed, 0):
            return False
        self._deaths[seed] -= 1
        return True

    def reset(self, episodes: Mapping[int, Episode]) -> Mapping[int, str | Void]:
        self._seeds |= {cell: episode.seed for cell, episode in episodes.items()}
        told = self._cells.reset(episodes)
        return {cell: self._void() if self._is_dead(cell, "reset") else told[cell] for cell in episodes}

    def step(self, actions: Mapping[int, Vector]) -> Mapping[int, Report | Void]:
        self.chunks += [len(chunk) for chunk in actions.values()]
        reports = self._cells.step(actions)
        return {cell: self._void() if self._is_dead(cell, "step") else reports[cell] for cell in actions}

    def look(self, cells: Iterable[int]) -> Mapping[int, View | Void]:
        views = self._cells.look(cells)
        return {cell: self._void() if self._is_dead(cell, "look") else views[cell] for cell in views}

    def ask(self, question: Question[T], cells: Iterable[int]) -> Mapping[int, T | Void]:
        answers = self._cells.ask(question, cells)
        return {cell: self._void() if self._is_dead(cell, "ask") else answers[cell] for cell in answers}

    def _void(self) -> Void:
        return Void(why="its worker died")

    def close(self) -> None:
        self._cells.close()


@pytest.mark.parametrize("where", ["reset", "look", "ask", "step"])
def test_a_void_episode_is_played_again_and_never_counted(where: str) -> None:
    episodes = plan("one", 4)
    sick = episodes[1].episode.seed
    with closing(Counting(LocalCells(STAND_IN, 2), dies={sick: 2}, where=where)) as cells:
        ended = play_all(cells, episodes)
    voids = [one for one in ended if isinstance(one, Voided)]
    outcomes = [one.outcome for one in ended if isinstance(one, Played)]
    assert [void.planned.episode.seed for void in voids] == [sick, sick]
    assert sorted(outcome.seed for outcome in outcomes) == [planned.episode.seed for planned in episodes]
    assert all(outcome.succeeded for outcome in outcomes)


def test_an_episode_that_is_always_void_is_an_error_and_not_a_failure() -> None:
    episodes = plan("one", 2)
    dies = {episodes[0].episode.seed: MOST_VOIDS}
    with (
        closing(Counting(LocalCells(STAND_IN, 1), dies=dies)) as cells,
        pytest.raises(StudyError, match=f"died {MOST_VOIDS} times, the last time: its worker died"),
    ):
        play_all(cells, episodes)


# told of another object


class Noting:
    """A decider that does what the expert does, and notes what it was told."""

    def __init__(self, cells: Cells) -> None:
        self._expert = ExpertDecider(cells, 8)
        self.told: set[str] = set()
        self.batches: list[int] = []

    def decide(self, asked: Mapping[int, Asked]) -> Mapping[int, Vector | Void]:
        self.told |= {one.instruction for one in asked.values()}
        self.batches.append(len(asked))
        return self._expert.decide(asked)


def test_the_policy_is_told_of_another_object() -> None:
    with closing(LocalCells(STAND_IN, 1)) as cells:
        noting = Noting(cells)
        episodes = plan("two", 3)
        ended = list(play(cells, episodes, noting, execute_steps=8, instruct="other"))
        others: set[str] = set()
        for planned in episodes:
            own = cells.reset({0: planned.episode})[0]
            (answer,) = cells.ask(methodcaller("other_instructions"), [0]).values()
            assert not isinstance(answer, Void)
            others |= set(answer)
            assert own not in answer
    assert noting.told == others
    # The stand-in's expert reads nothing, so what it grasps is the scene's own object.
    assert {one.outcome.first_grasp for one in ended if isinstance(one, Played)} == {"named"}
    assert {one.outcome.instruction for one in ended if isinstance(one, Played)} == others


def test_with_one_object_there_is_no_other_to_be_told_of() -> None:
    with (
        closing(LocalCells(STAND_IN, 1)) as cells,
        pytest.raises(StudyError, match="one object only"),
    ):
        play_all(cells, plan("one", 1), instruct="other")


def test_all_robots_ask_in_one_batch() -> None:
    with closing(LocalCells(STAND_IN, 4)) as cells:
        noting = Noting(cells)
        list(play(cells, plan("fixed", 8), noting, execute_steps=8, instruct="named"))
    assert noting.batches == [4] * 20  # 80 steps in chunks of 8, two rounds of four


# greedy


def test_a_greedy_checkpoint_passes_for_greedy(folders: dict[str, Path]) -> None:
    for folder in folders.values():
        require_greedy(CheckpointPolicy(load_model(folder, device="cpu", dtype="")))


@pytest.mark.parametrize("head", ["tokens", "laplace"])
def test_a_policy_that_samples_is_not_called_greedy(folders: dict[str, Path], head: str) -> None:
    policy = CheckpointPolicy(load_model(folders[head], device="cpu", dtype=""), temperature=1.0)
    with pytest.raises(ContractError, match="it samples"):
        require_greedy(policy)


class Slippery:
    """Says nothing of sampling, and draws from torch's own generator all the same."""

    def __init__(self, policy: CheckpointPolicy) -> None:
        self.contract: PolicyContract = policy.contract
        self._policy = policy

    def answer(self, observations: Sequence[Observation]) -> Sequence[Vector]:
        return [
            chunk + 1e-9 * torch.randn(chunk.shape).numpy() for chunk in self._policy.answer(observations)
        ]

    def probe(self) -> Observation:
        return self._policy.probe()

    def close(self) -> None:
        self._policy.close()


def test_hidden_sampling_is_found_however_small(folders: dict[str, Path]) -> None:
    policy = Slippery(CheckpointPolicy(load_model(folders["l1"], device="cpu", dtype="")))
    with pytest.raises(ContractError, match="it samples"):
        require_greedy(policy)


def test_a_head_without_likelihood_cannot_be_sampled(folders: dict[str, Path]) -> None:
    policy = CheckpointPolicy(load_model(folders["l1"], device="cpu", dtype=""), temperature=1.0)
    with pytest.raises(ContractError, match="no likelihood to sample"):
        policy.answer([policy.probe()])


def test_sampling_repeats_with_its_seed(folders: dict[str, Path]) -> None:
    model = load_model(folders["tokens"], device="cpu", dtype="")
    first, second, other = (
        CheckpointPolicy(model, temperature=1.0, sampling_seed=seed) for seed in (3, 3, 4)
    )
    probe = first.probe()
    one, same, differing = (policy.answer([probe])[0] for policy in (first, second, other))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, differing)


# the serving pipeline


def views(count: int) -> list[View]:
    with closing(LocalCells(STAND_IN, count)) as cells:
        cells.reset({cell: Episode(suite="stand-in", task="two", seed=cell) for cell in range(count)})
        return [view for view in cells.look(range(count)).values() if isinstance(view, View)]


def test_a_chunk_is_what_the_plain_policy_answers_to_a_robots_observation(folders: dict[str, Path]) -> None:
    checkpoint = open_checkpoint(folders["l1"])
    eager = checkpoint.load_eager()
    policy = CheckpointPolicy(load_model(folders["l1"], device="cpu", dtype=""))
    asked = {
        cell: Asked(view=view, instruction=view.instruction, session="s", sequence=0)
        for cell, view in enumerate(views(3))
    }
    chunks = PolicyDecider(policy, STAND_IN).decide(asked)
    for cell, one in asked.items():
        observation = observation_of(one, checkpoint.contract, STAND_IN)
        assert observation.images["external"].jpeg == encode_for_policy(one.view.pictures["external"])
        np.testing.assert_allclose(chunks[cell], eager.predict(observation), atol=1e-6)


def test_an_answer_does_not_depend_on_what_else_is_asked(folders: dict[str, Path]) -> None:
    policy = CheckpointPolicy(load_model(folders["l1"], device="cpu", dtype=""))
    probe = policy.probe()
    longer = replace(
        probe, instruction="put the blue block on the white pad and the red block on the blue pad"
    )
    alone = policy.answer([probe])[0]
    for batch in ([probe, longer], [longer, probe, longer]):
        assert np.array_equal(policy.answer(batch)[batch.index(probe)], alone)


def test_a_policy_that_means_something_else_is_refused_with_every_reason(folders: dict[str, Path]) -> None:
    contract = open_checkpoint(folders["l1"]).contract
    assert suite_problems(contract, STAND_IN) == []
    camera = replace(contract.cameras[0], width=96, height=96)
    odd = replace(
        contract,
        reference="measured_each_step",
        frame="tool",
        step_period=0.2,
        time_stretch=2.0,
        max_translation_per_step=0.03,
        max_rotation_per_step=0.1,
        gripper=replace(contract.gripper, max_width=0.1),
        cameras=(camera, replace(camera, name="wrist", mount="wrist")),
    )
    problems = "; ".join(suite_problems(odd, STAND_IN))
    for word in (
        "reference",
        "frame",
        "steps of 0.2 s",
        "time_stretch",
        "30 mm a step",
        "0.1 rad",
        "gripper",
    ):
        assert word in problems
    assert "camera external of 96 x 96 px" in problems
    assert "no camera 'wrist'" in problems


# a served policy


class Moody:
    """A client that cannot reach its server a few times."""

    def __init__(self, contract: PolicyContract, failures: int) -> None:
        self._contract = contract
        self.failures = failures
        self.asked: list[Observation] = []

    def predict(self, observation: Observation) -> ActionChunk:
        self.asked.append(observation)
        if self.failures:
            self.failures -= 1
            raise PolicyUnavailable("policy server 127.0.0.1:1: UNAVAILABLE: ping timeout")
        return ActionChunk(
            session=observation.session,
            sequence=observation.sequence,
            observed_at=observation.observed_at,
            actions=np.zeros((self._contract.chunk_length, 7)),
            interface_digest=self._contract.interface_digest,
            policy_digest=self._contract.policy_digest,
            timings=Timings(queue=0.0, preprocess=0.0, model=0.0, total=0.0, batch_size=1),
        )

    def close(self) -> None:
        """There is nothing to give back."""


def test_a_hiccup_of_the_server_is_asked_over_and_an_outage_is_raised(folders: dict[str, Path]) -> None:
    contract = open_checkpoint(folders["l1"]).contract
    client = Moody(contract, failures=2)
    with closing(ServedPolicy(client, contract, name="arm", robots=1, pauses=(0.0, 0.0))) as policy:
        assert policy.answer([policy.probe()])[0].shape == (8, 7)
        assert [observation.policy for observation in client.asked] == ["arm"] * 3
        client.failures = 3
        with pytest.raises(PolicyUnavailable, match="ping timeout"):
            policy.answer([policy.probe()])


def test_a_policy_that_is_replaced_during_an_evaluation_ends_it(folders: dict[str, Path]) -> None:
    contract = open_checkpoint(folders["l1"]).contract
    client = Moody(replace(contract, weights_digest="1" * 64), failures=0)
    with (
        closing(ServedPolicy(client, contract, name="arm", robots=1)) as policy,
        pytest.raises(ContractError, match="became another policy"),
    ):
        policy.answer([policy.probe()])
