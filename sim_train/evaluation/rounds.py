"""The evaluation's loop: every cell plays one episode after the other, all questions of a round in one batch.

An episode whose simulation died is no failure: it is played again, and only again and again is it an error.
"""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from operator import methodcaller

import numpy as np

from robot_bridge.scene.success import Stage
from robot_contract.errors import StudyError
from robot_contract.pose import Vector
from sim_train.evaluation.asking import Asked
from sim_train.evaluation.deciders import Decider
from sim_train.evaluation.outcome import Outcome, Played, first_grasp
from sim_train.evaluation.plan import Planned
from sim_train.evaluation.settings import Instruct
from sim_train.simulation import Report
from sim_train.vector import Cells, Void

MOST_VOIDS = 3  # of one episode


@dataclass(frozen=True, kw_only=True)
class Voided:
    planned: Planned
    why: str


@dataclass(frozen=True, kw_only=True)
class _Playing:
    planned: Planned
    instruction: str
    questions: int = 0  # asked so far
    steps: int = 0
    reward: float = 0.0
    actions: tuple[Vector, ...] = ()  # chunks, as far as they were carried out


def play(
    cells: Cells, plan: Sequence[Planned], decider: Decider, *, execute_steps: int, instruct: Instruct
) -> Iterator[Played | Voided]:
    """What came of every episode of the plan, as they end; an episode that was void comes again."""
    rounds = _Rounds(cells, plan, decider, execute_steps=execute_steps, instruct=instruct)
    while rounds.is_open:
        yield from rounds.next()


class _Rounds:
    def __init__(
        self,
        cells: Cells,
        plan: Sequence[Planned],
        decider: Decider,
        *,
        execute_steps: int,
        instruct: Instruct,
    ) -> None:
        self._cells = cells
        self._decider = decider
        self._execute_steps = execute_steps
        self._instruct: Instruct = instruct
        self._waiting = deque(plan)
        self._playing: dict[int, _Playing] = {}
        self._voids: Counter[Planned] = Counter()

    @property
    def is_open(self) -> bool:
        return bool(self._waiting or self._playing)

    def next(self) -> list[Played | Voided]:
        """Begin what can begin, then one question and one chunk for every cell."""
        ended: list[Played | Voided] = []
        self._begin(ended)
        actions = {cell: chunk[: self._execute_steps] for cell, chunk in self._ask(ended).items()}
        for cell, report in self._cells.step(actions).items():
            if isinstance(report, Void):
                self._void(cell, report, ended)
            else:
                self._follow(cell, report, actions[cell], ended)
        return ended

    def _begin(self, ended: list[Played | Voided]) -> None:
        free = [cell for cell in range(self._cells.count) if cell not in self._playing]
        starting = {cell: self._waiting.popleft() for cell in free[: len(self._waiting)]}
        told = self._cells.reset({cell: planned.episode for cell, planned in starting.items()})
        for cell, planned in starting.items():
            instruction = told[cell]
            self._playing[cell] = _Playing(
                planned=planned, instruction=instruction if isinstance(instruction, str) else ""
            )
            if isinstance(instruction, Void):
                self._void(cell, instruction, ended)
        if self._instruct == "other":
            self._tell_of_another([cell for cell in starting if cell in self._playing], ended)

    def _tell_of_another(self, cells: Sequence[int], ended: list[Played | Voided]) -> None:
        for cell, others in self._cells.ask(methodcaller("other_instructions"), cells).items():
            playing = self._playing[cell]
            if isinstance(others, Void):
                self._void(cell, others, ended)
                continue
            self._playing[cell] = replace(playing, instruction=another(others, playing.planned))

    def _ask(self, ended: list[Played | Voided]) -> dict[int, Vector]:
        asked: dict[int, Asked] = {}
        for cell, view in self._cells.look(list(self._playing)).items():
            if isinstance(view, Void):
                self._void(cell, view, ended)
                continue
            playing = self._playing[cell]
            episode = playing.planned.episode
            asked[cell] = Asked(
                view=view,
                instruction=playing.instruction,
                session=f"{episode.suite}.{episode.task}.{episode.seed}",
                sequence=playing.questions,
            )
        chunks: dict[int, Vector] = {}
        for cell, chunk in (self._decider.decide(asked) if asked else {}).items():
            if isinstance(chunk, Void):
                self._void(cell, chunk, ended)
            else:
                chunks[cell] = chunk
        return chunks

    def _follow(self, cell: int, report: Report, actions: Vector, ended: list[Played | Voided]) -> None:
        before = self._playing[cell]
        playing = replace(
            before,
            questions=before.questions + 1,
            steps=before.steps + report.steps,
            reward=before.reward + float(np.sum(report.rewards)),
            actions=(*before.actions, actions[: report.steps]),
        )
        self._playing[cell] = playing
        if report.is_over:
            del self._playing[cell]
            ended.append(Played(outcome=_outcome(playing, report), actions=np.concatenate(playing.actions)))
        elif report.steps < 1:
            raise StudyError(f"{playing.planned.episode}: carried out no step and is not over")

    def _void(self, cell: int, void: Void, ended: list[Played | Voided]) -> None:
        planned = self._playing.pop(cell).planned
        self._voids[planned] += 1
        if self._voids[planned] >= MOST_VOIDS:
            raise StudyError(
                f"{planned.episode}: its simulation died {MOST_VOIDS} times, the last time: {void.why}"
            )
        self._waiting.appendleft(planned)
        ended.append(Voided(planned=planned, why=void.why))


def another(others: Sequence[str], planned: Planned) -> str:
    """What is asked instead; the seed says which of several."""
    if not others:
        raise StudyError(
            f"split {planned.split}: {planned.episode.task} {planned.episode.seed} has one object only, so"
            " nothing else can be asked for; take a split with several, such as multi_object_seen"
        )
    return others[planned.episode.seed % len(others)]


def _outcome(playing: _Playing, report: Report) -> Outcome:
    episode = playing.planned.episode
    stage = report.notes.get("stage")
    return Outcome(
        split=playing.planned.split,
        task=episode.task,
        seed=episode.seed,
        instruction=playing.instruction,
        succeeded=report.succeeded,
        steps=playing.steps,
        reward=playing.reward,
        stage="" if stage is None else Stage(int(stage)).name.lower(),
        first_grasp=first_grasp(report.notes),
        notes=dict(report.notes),
    )
