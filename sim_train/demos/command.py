"""`sim-train demos`: the scripted expert's episodes as a data set, recorded by several processes."""

import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from robot_contract.errors import SceneError, SimulationUnavailable, nearest_name
from sim_train.demos.attempts import Attempts
from sim_train.demos.data_set import assemble, open_folder, read_rows
from sim_train.demos.driving import Driver, find_driver
from sim_train.demos.recording import Demonstration, Failed, Recipe, demonstrate, recipe_for
from sim_train.seeds import FIRST_EVALUATION_SEED, is_for_training, seeds_of
from sim_train.simulation import Episode
from sim_train.suites import Suite, suite_named
from sim_train.vector import Question
from sim_train.worker import Lost, Worker, answered

_PATIENCE = 600.0  # [s] for an episode
_LOST = 3  # times that one episode may lose its worker


@dataclass(frozen=True, kw_only=True)
class Wanted:
    suite: Suite
    tasks: tuple[str, ...]
    first_seed: int
    recipe: Recipe
    driver: Driver | None = None

    def episode(self, number: int) -> Episode:
        """Of an attempt: the tasks take turns, and a suite's seeds begin again when all have been."""
        seed, there_are = self.burst_seed(number), seeds_of(self.suite.name)
        if not is_for_training(seed):
            raise SceneError(
                f"seed {seed} would be used; those from {FIRST_EVALUATION_SEED} on are kept for evaluation,"
                " and there are none below 0"
            )
        return Episode(
            suite=self.suite.name,
            task=self.tasks[number % len(self.tasks)],
            seed=seed if there_are is None else seed % there_are,
        )

    def burst_seed(self, number: int) -> int:
        """Of an attempt: where a seed comes again, other bursts disturb it."""
        return self.first_seed + number // len(self.tasks)

    def question(self, number: int) -> Question[Demonstration | Failed]:
        return partial(
            demonstrate,
            episode=self.episode(number),
            recipe=self.recipe,
            burst_seed=self.burst_seed(number),
            driver=self.driver,
        )

    def settings(self) -> dict[str, object]:
        return {
            "suite": self.suite.name,
            "cameras": [camera.name for camera in self.suite.cameras],
            "tasks": list(self.tasks),
            "seed": self.first_seed,
            "driver": None if self.driver is None else self.driver.digest,
            **asdict(self.recipe),
        }


def demos(
    task: Annotated[str, tyro.conf.Positional],
    /,
    *,
    episodes: int,
    out: Path,
    every: int = 2,
    workers: int = 2,
    seed: int = 0,
    bursts: bool = True,
    driver: Path | None = None,
) -> None:
    """Record demonstrations of the scripted expert as a LeRobotDataset v3.0.

    Only episodes that succeed are kept, until there are as many as asked for. A command that was interrupted
    goes on where it was when it is given again, and with more episodes it makes the data set longer.

    Args:
        task: SUITE/TASK, such as put-on/train; several tasks of a suite with commas between.
        episodes: How many the data set shall hold.
        out: Its folder.
        every: Control steps between two frames.
        workers: Processes that record; one per core.
        seed: Of the first episode; the others follow it.
        bursts: Push the hand away now and then, and show how the expert comes back.
        driver: A checkpoint folder. That policy drives by turns, and only how the expert goes on is shown.
    """
    if episodes < 1 or every < 1 or workers < 1:
        raise SceneError("episodes, every and workers are at least 1")
    suite, tasks = find_tasks(task)
    recipe = recipe_for(suite, every=every, with_bursts=bursts)
    found = None if driver is None else find_driver(driver, suite)
    wanted = Wanted(suite=suite, tasks=tasks, first_seed=seed, recipe=recipe, driver=found)
    for number in (0, episodes - 1):
        wanted.episode(number)  # said now rather than when it is come to
    open_folder(out, wanted.settings())
    attempts = Attempts(out / "attempts", already={row["attempt"] for row in read_rows(out)})
    try:
        record(wanted, attempts, episodes, workers)
        assemble(out, attempts, attempts.chosen(episodes), fps=1 / (suite.step_period * every))
    except KeyboardInterrupt:
        made = len(attempts.good)
        raise SystemExit(
            f"sim-train: interrupted with {made} demonstrations; given again, it goes on"
        ) from None
    finally:
        attempts.close()
    _say_result(out, attempts)


def find_tasks(task: str) -> tuple[Suite, tuple[str, ...]]:
    """Of SUITE/TASK[,TASK...]."""
    name, _, wanted = task.partition("/")
    suite = suite_named(name)
    tasks = tuple(part for part in wanted.split(",") if part)
    if not tasks:
        raise SceneError(f"{task!r} names no task of {name}; there are {', '.join(suite.tasks)}")
    for each in tasks:
        if each not in suite.tasks:
            raise SceneError(f"{name} has no task {each!r}: {nearest_name(each, suite.tasks)}")
    return suite, tasks


def record(wanted: Wanted, attempts: Attempts, episodes: int, workers: int) -> None:
    """Until so many episodes are there; each free worker takes the next number."""
    missing = episodes - len(attempts.chosen(episodes))
    crew: list[Worker] = []
    under_way: dict[Worker, int] = {}
    lost: Counter[int] = Counter()
    try:
        crew += [Worker(wanted.suite, 1, patience=_PATIENCE) for _ in range(min(workers, missing))]
        with _progress(attempts, episodes) as show:
            while not attempts.is_complete(episodes):
                for worker in crew:
                    if worker not in under_way and len(attempts.good) + len(under_way) < episodes:
                        number = attempts.next_number(under_way.values())
                        under_way[worker] = number
                        worker.send([(0, wanted.question(number))])
                for worker in answered(crew, 1.0):
                    number = under_way.pop(worker)
                    try:
                        (made,) = worker.receive()
                    except Lost as why:
                        lost[number] += 1
                        _give_up_after(lost[number], wanted.episode(number), why)
                        continue
                    _keep(attempts, number, wanted.episode(number), made)
                    show()
    finally:
        for worker in crew:
            worker.close()


def _keep(attempts: Attempts, number: int, episode: Episode, made: Demonstration | Failed) -> None:
    if isinstance(made, Failed):
        attempts.add_failed(number)
    else:
        attempts.add(number, made, task=episode.task, seed=episode.seed)


def _give_up_after(times: int, episode: Episode, why: Lost) -> None:
    """It says nothing about the expert when its process is lost, so the episode is tried again."""
    if times >= _LOST:
        raise SimulationUnavailable(
            f"{episode.suite}/{episode.task} seed {episode.seed} lost its worker {times} times,"
            f" the last one {why}"
        ) from why


@contextmanager
def _progress(attempts: Attempts, episodes: int) -> Generator[Callable[[], None]]:
    """A bar where there is a terminal, else a line for every tenth."""
    console, before = Console(), len(attempts.good)
    bar = Progress(
        TextColumn("demonstrations"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[words]}"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    shown = bar.add_task("", total=episodes, completed=before, words="")
    tenth = before * 10 // episodes
    first: tuple[float, int] | None = None  # [s] and how many there were: the workers' start is not counted

    def show() -> None:
        nonlocal tenth, first
        made, now = len(attempts.good), time.monotonic()
        words = f"{len(attempts.failed)} failed"
        if first is None:
            first = now, made
        elif now > first[0]:
            words += f", {(made - first[1]) / (now - first[0]):.2f} a second"
        bar.update(shown, completed=made, words=words)
        if not console.is_terminal and made * 10 // episodes > tenth:
            tenth = made * 10 // episodes
            console.print(f"{made} of {episodes} demonstrations, {words}")

    with bar:
        yield show


def _say_result(out: Path, attempts: Attempts) -> None:
    rows = read_rows(out)
    last = max(row["attempt"] for row in rows)
    failed = sum(number <= last for number in attempts.failed)
    frames = rows[-1]["dataset_to_index"]
    Console().print(
        f"{out}: {len(rows)} demonstrations, {frames} frames;"
        f" the expert failed in {failed} of {len(rows) + failed} episodes, which are not in it",
        soft_wrap=True,
        highlight=False,
    )
