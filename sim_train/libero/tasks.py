"""The 130 tasks: their suites, what each asks for, and the files that describe it.

`libero_130` is all of them in one list: Spatial, Object, Goal, 10 and 90, one after the other.
"""

import contextlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

import numpy as np

from robot_contract.errors import SceneError, nearest_name
from robot_contract.pose import Vector

SIZES: Mapping[str, int] = MappingProxyType(
    {"libero_spatial": 10, "libero_object": 10, "libero_goal": 10, "libero_10": 10, "libero_90": 90}
)
ALL = "libero_130"
SUITES = (*SIZES, ALL)
INITIAL_STATES = 50  # of every task


@dataclass(frozen=True, kw_only=True)
class Task:
    suite: str  # one of SIZES, even where it was asked for as one of the 130
    number: int  # in that suite
    name: str
    instruction: str
    scene_file: Path  # BDDL
    states_file: Path  # initial states


def task_names(suite: str) -> tuple[str, ...]:
    """As `Episode.task` names them."""
    if suite not in SUITES:
        raise SceneError(f"there is no LIBERO suite {suite!r}: {nearest_name(suite, SUITES)}")
    return tuple(str(number) for number in range(SIZES.get(suite, sum(SIZES.values()))))


def find_task(suite: str, task: str) -> Task:
    if task not in task_names(suite):
        last = len(task_names(suite)) - 1
        raise SceneError(f"{suite} has no task {task!r}; its tasks are 0 to {last}")
    suites = SIZES if suite == ALL else (suite,)
    return [one for name in suites for one in _tasks_of(name)][int(task)]


@cache
def _tasks_of(suite: str) -> tuple[Task, ...]:
    with contextlib.redirect_stdout(io.StringIO()):  # it tells everybody about the order of its tasks
        from libero.libero import get_libero_path
        from libero.libero.benchmark import get_benchmark

        benchmark = get_benchmark(suite)()
    scenes, states = Path(get_libero_path("bddl_files")), Path(get_libero_path("init_states"))
    return tuple(
        Task(
            suite=suite,
            number=number,
            name=task.name,
            instruction=task.language,
            scene_file=scenes / task.problem_folder / task.bddl_file,
            states_file=states / task.problem_folder / f"{task.init_states_file}.npz",
        )
        for number, task in enumerate(benchmark.tasks)
    )


def initial_states(task: Task) -> Vector:
    """(50, n): the official ones, MuJoCo's flattened state."""
    with np.load(task.states_file, allow_pickle=False) as stored:
        return np.asarray(stored["states"], dtype=np.float64)
