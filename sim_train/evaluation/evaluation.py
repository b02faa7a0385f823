"""One evaluation from its plan to its figures: what is missing is played, what was played is kept."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from robot_contract.errors import StudyError
from sim_train.evaluation.asking import require_fit
from sim_train.evaluation.bridge_way import CellPlan, run_bridged
from sim_train.evaluation.deciders import (
    Answering,
    Decider,
    ExpertDecider,
    PolicyDecider,
    require_greedy,
)
from sim_train.evaluation.films import Filmed, film_failures, keep_actions, worth_seeing
from sim_train.evaluation.journal import JOURNAL_FILE, Journal
from sim_train.evaluation.outcome import Outcome, Played, file_name
from sim_train.evaluation.plan import Planned
from sim_train.evaluation.rounds import Voided, play
from sim_train.evaluation.settings import Instruct, Settings, Way
from sim_train.evaluation.source import Source, bridge_connector
from sim_train.suites import Suite
from sim_train.vector import Cells, LocalCells
from sim_train.worker_cells import WorkerCells

_log = logging.getLogger(__name__)

Physics = Literal["cpu", "gpu"]

KEPT = Path("runs/evaluations")
ACTIONS, FILMS = "actions", "films"  # folders, of failures only


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    suite: Suite
    source: Source
    plan: Sequence[Planned]
    out: Path | None = None  # where its journal and films are; None: by its conditions, under `KEPT`
    workers: int = 1  # processes; with one the cells are in this one
    robots: int = 1  # cells, whose questions make one batch
    execute_steps: int | None = None  # None: as the policy's contract says
    instruct: Instruct = "named"
    latency: float | None = None  # [s] through the bridge, with this latency; None: in the suite's simulator
    physics: Physics = "cpu"  # gpu: all cells in one simulation

    def __post_init__(self) -> None:
        if not (self.workers >= 1 and self.robots >= 1):
            raise StudyError(f"{self.workers} workers and {self.robots} robots, expected at least 1 of each")
        if self.latency is not None and not self.suite.name.startswith("put-on"):
            raise StudyError(f"the bridge's twin knows the put-on task only, found {self.suite.name}")
        if self.physics == "gpu":
            if self.suite.open_batch is None:
                raise StudyError(f"suite {self.suite.name} has no physics on a GPU; put-on has")
            if self.latency is not None:
                raise StudyError("through the bridge there is the twin's physics, and that runs on a CPU")
            if self.workers > 1:
                raise StudyError(
                    f"physics on a GPU moves all cells in one process: give {self.robots} robots, and not"
                    f" {self.workers} workers"
                )
        if self.source.is_expert and (self.source.temperature is not None or self.instruct == "other"):
            raise StudyError("the expert neither samples nor reads instructions")

    @property
    def way(self) -> Way:
        if self.latency is not None:
            return "bridge"
        return "gpu" if self.physics == "gpu" else "simulation"


@dataclass(frozen=True, kw_only=True, eq=False)
class Result:
    settings: Settings
    outcomes: Sequence[Outcome]  # in the plan's order
    voided: int
    folder: Path  # where all this is kept
    is_plain: bool  # greedy, told the truth, in the suite's simulator, as many steps as the contract says


Progress = Callable[[Sequence[Outcome], int], None]  # so far, and how many there will be


def run_evaluation(evaluation: Evaluation, *, progress: Progress = lambda outcomes, total: None) -> Result:
    with _Subject(evaluation) as subject, Journal(subject.folder / JOURNAL_FILE, subject.settings) as kept:
        wanted = {_key(planned): planned for planned in evaluation.plan}
        missing = [planned for key, planned in wanted.items() if key not in kept.outcomes]
        so_far = [kept.outcomes[key] for key in wanted if key in kept.outcomes]
        progress(so_far, len(wanted))
        for ended in subject.play(missing):
            if isinstance(ended, Voided):
                episode = ended.planned.episode
                _log.warning("%s %d is void and played again: %s", episode.task, episode.seed, ended.why)
                kept.void(ended.planned.split, episode.task, episode.seed, ended.why)
                continue
            keep_actions(ended, subject.folder / ACTIONS)
            kept.add(ended.outcome)
            so_far.append(ended.outcome)
            progress(so_far, len(wanted))
        return Result(
            settings=subject.settings,
            outcomes=[kept.outcomes[key] for key in wanted],
            voided=kept.voided,
            folder=subject.folder,
            is_plain=subject.is_plain,
        )


def film_result(evaluation: Evaluation, result: Result, *, most: int) -> list[Filmed]:
    """Films of failures, from every part in turn."""
    chosen = worth_seeing(result.outcomes, most)
    films = result.folder / FILMS
    if evaluation.latency is not None:  # through the bridge they were made on the way
        made = [Filmed(outcome=outcome, file=films / file_name(outcome, "mp4")) for outcome in chosen]
        return [film for film in made if film.file.exists()]
    if not chosen:
        return []
    cells = _open_cells(evaluation, robots=1)
    try:
        return list(
            film_failures(
                cells,
                chosen,
                suite=evaluation.suite.name,
                actions=result.folder / ACTIONS,
                films=films,
                rate_hz=1.0 / evaluation.suite.step_period,
            )
        )
    finally:
        cells.close()


def _key(planned: Planned) -> tuple[str, str, int]:
    return (planned.split, planned.episode.task, planned.episode.seed)


def _open_cells(evaluation: Evaluation, *, robots: int) -> Cells:
    if evaluation.physics == "gpu" and evaluation.suite.open_batch is not None:
        return evaluation.suite.open_batch(robots)
    if evaluation.workers == 1:
        return LocalCells(evaluation.suite, robots)
    return WorkerCells(evaluation.suite, robots, workers=evaluation.workers)


class _Subject:
    """The policy under evaluation, opened and found to be what it is said to be."""

    def __init__(self, evaluation: Evaluation) -> None:
        self._evaluation = evaluation
        source = evaluation.source
        self._policy: Answering | None = None if source.is_expert else source.open()
        suite, contract = evaluation.suite, None if self._policy is None else self._policy.contract
        steps = evaluation.execute_steps
        trained_steps = suite.chunk_length if contract is None else contract.execute_steps
        longest = suite.chunk_length if contract is None else contract.chunk_length
        self.execute_steps = trained_steps if steps is None else steps
        if not 1 <= self.execute_steps <= longest:
            raise StudyError(f"{self.execute_steps} steps of each chunk, expected 1 to {longest}")
        if self._policy is not None:
            if evaluation.latency is None:
                require_fit(self._policy.contract, suite)
            if source.temperature is None:
                require_greedy(self._policy)
        self.settings = Settings(
            checkpoint=source.name,
            policy_digest="" if contract is None else contract.policy_digest,
            suite=suite.name,
            decoding="expert" if contract is None else "greedy" if source.temperature is None else "sampled",
            temperature=source.temperature,
            sampling_seed=None if source.temperature is None else source.sampling_seed,
            execute_steps=self.execute_steps,
            instruct=evaluation.instruct,
            way=evaluation.way,
            latency=evaluation.latency,
            served=bool(source.server),
        )
        self.folder = evaluation.out or KEPT / f"{self.settings.checkpoint}-{self.settings.key[:12]}"
        self.is_plain = (
            self.settings.decoding == "greedy"
            and self.settings.instruct == "named"
            and self.settings.way == "simulation"
            and not self.settings.served
            and self.execute_steps == trained_steps
        )

    def play(self, plan: Sequence[Planned]) -> Iterator[Played | Voided]:
        evaluation = self._evaluation
        if not plan:
            return
        if evaluation.latency is not None:
            cell_plan = CellPlan(
                open_policy=partial(bridge_connector, evaluation.source, self.execute_steps),
                latency=evaluation.latency,
                execute_steps=self.execute_steps,
                instruct=evaluation.instruct,
                films=self.folder / FILMS,
            )
            yield from run_bridged(cell_plan, plan, workers=evaluation.workers)
            return
        cells = _open_cells(evaluation, robots=min(evaluation.robots, len(plan)))
        try:
            yield from play(
                cells,
                plan,
                self.decider(cells),
                execute_steps=self.execute_steps,
                instruct=evaluation.instruct,
            )
        finally:
            cells.close()

    def decider(self, cells: Cells) -> Decider:
        if self._policy is None:
            return ExpertDecider(cells, self.execute_steps)
        return PolicyDecider(self._policy, self._evaluation.suite)

    def __enter__(self) -> "_Subject":
        return self

    def __exit__(self, *error: object) -> None:
        if self._policy is not None:
            self._policy.close()
