"""Cells in worker processes: cell i lives in worker i modulo their number, and all workers run at once.

A worker that dies or hangs takes the episodes of all its cells with it, and theirs only.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from operator import methodcaller
from typing import Any, cast

from robot_contract.pose import Vector
from sim_train.simulation import Episode, Report
from sim_train.suites import Suite
from sim_train.vector import Question, T, View, Void, begin, view_of
from sim_train.worker import Lost, Worker


class WorkerCells:
    def __init__(
        self,
        suite: Suite,
        count: int,
        *,
        workers: int,
        patience: float = 120.0,
        start_patience: float = 300.0,
    ) -> None:
        """Patience [s] is for one question to one cell, and for a worker's start."""
        self._count = count
        workers = min(workers, count)
        self._workers = [
            Worker(
                suite,
                len(range(number, count, workers)),
                patience=patience,
                start_patience=start_patience,
            )
            for number in range(workers)
        ]
        self._void: dict[int, Void] = {}
        self._running: set[int] = set()  # cells with an episode

    @property
    def count(self) -> int:
        return self._count

    def reset(self, episodes: Mapping[int, Episode]) -> Mapping[int, str | Void]:
        for cell in episodes:
            self._void.pop(cell, None)
        self._running.update(episodes)
        return self._answers({cell: partial(begin, episode=episode) for cell, episode in episodes.items()})

    def step(self, actions: Mapping[int, Vector]) -> Mapping[int, Report | Void]:
        return self._answers({cell: methodcaller("step", chunk) for cell, chunk in actions.items()})

    def look(self, cells: Iterable[int]) -> Mapping[int, View | Void]:
        return self._answers(dict.fromkeys(cells, view_of))

    def ask(self, question: Question[T], cells: Iterable[int]) -> Mapping[int, T | Void]:
        return self._answers(dict.fromkeys(cells, question))

    def close(self) -> None:
        while self._workers:
            self._workers.pop().close()

    def _answers(self, questions: Mapping[int, Question[Any]]) -> dict[int, Any]:
        asked: dict[int, list[int]] = {}
        for cell in questions:
            if cell not in self._void:
                asked.setdefault(cell % len(self._workers), []).append(cell)
        for number, cells in asked.items():
            self._workers[number].send([(cell // len(self._workers), questions[cell]) for cell in cells])
        answers: dict[int, Any] = {}
        refusals: list[ValueError] = []
        for number, cells in asked.items():
            try:
                answers.update(zip(cells, self._workers[number].receive(), strict=True))
            except Lost as lost:
                self._void_cells_of(number, f"its worker {lost}")
            except ValueError as error:
                refusals.append(error)
        if refusals:
            raise refusals[0]
        return {
            cell: cast(Any, self._void[cell] if cell in self._void else answers[cell]) for cell in questions
        }

    def _void_cells_of(self, number: int, why: str) -> None:
        for cell in range(number, self._count, len(self._workers)):
            if cell in self._running:
                self._running.discard(cell)
                self._void[cell] = Void(why=why)
