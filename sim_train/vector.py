"""Several simulated cells of one suite at once; the same calls in this process, over workers, and over Ray.

A call goes to any of the cells, by number, and carries plain values only. Nothing is drawn but by `look`, and
every cell has its own episode: which one comes next, and when, is the caller's to say.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from robot_contract.pose import Vector
from sim_train.simulation import Episode, Picture, Reading, Report, Simulation
from sim_train.suites import Suite

T = TypeVar("T")
Question = Callable[[Simulation], T]  # to be sent elsewhere: `operator.methodcaller`, or a module's function


@dataclass(frozen=True, kw_only=True)
class Void:
    """The cell's process died or hung, so its episode is neither a failure nor a success.

    The cell has a new process by then, and answers with this until its next reset.
    """

    why: str


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """What a policy is asked with."""

    instruction: str
    reading: Reading
    pictures: Mapping[str, Picture]


class Cells(Protocol):
    @property
    def count(self) -> int: ...

    def reset(self, episodes: Mapping[int, Episode]) -> Mapping[int, str | Void]:
        """Begin these episodes, the other cells go on with theirs; what each is asked to do."""
        ...

    def step(self, actions: Mapping[int, Vector]) -> Mapping[int, Report | Void]:
        """Carry out a chunk of (n, 7) actions in each of these cells, no picture drawn."""
        ...

    def look(self, cells: Iterable[int]) -> Mapping[int, View | Void]: ...

    def ask(self, question: Question[T], cells: Iterable[int]) -> Mapping[int, T | Void]:
        """Anything else of a simulation: `ask(methodcaller("expert", 8), [0, 3])`."""
        ...

    def close(self) -> None: ...


class LocalCells:
    """All in this process, one after the other; what goes wrong there is raised here."""

    def __init__(self, suite: Suite, count: int) -> None:
        self._simulations = [suite.open_simulation() for _ in range(count)]

    @property
    def count(self) -> int:
        return len(self._simulations)

    def reset(self, episodes: Mapping[int, Episode]) -> Mapping[int, str | Void]:
        return {cell: begin(self._simulations[cell], episode) for cell, episode in episodes.items()}

    def step(self, actions: Mapping[int, Vector]) -> Mapping[int, Report | Void]:
        return {cell: self._simulations[cell].step(chunk) for cell, chunk in actions.items()}

    def look(self, cells: Iterable[int]) -> Mapping[int, View | Void]:
        return {cell: view_of(self._simulations[cell]) for cell in cells}

    def ask(self, question: Question[T], cells: Iterable[int]) -> Mapping[int, T | Void]:
        return {cell: question(self._simulations[cell]) for cell in cells}

    def close(self) -> None:
        while self._simulations:
            self._simulations.pop().close()


def begin(simulation: Simulation, episode: Episode) -> str:
    """Reset it; the instruction."""
    simulation.reset(episode)
    return simulation.instruction


def view_of(simulation: Simulation) -> View:
    return View(
        instruction=simulation.instruction, reading=simulation.read(), pictures=dict(simulation.look())
    )
