"""Many cells, one interface: equal in process and in workers; no death or hang counts as a result."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from operator import methodcaller
from pathlib import Path

import numpy as np
import pytest

from robot_contract.errors import SceneError, SimulationUnavailable
from sim_train.simulation import Episode, Report, Simulation
from sim_train.stand_in import STAND_IN
from sim_train.vector import Cells, LocalCells, View, Void
from sim_train.worker_cells import WorkerCells

CELLS = 3


def episode(seed: int, task: str = "two") -> Episode:
    return Episode(suite="stand-in", task=task, seed=seed)


@pytest.fixture(scope="module")
def in_workers() -> Iterator[WorkerCells]:
    with closing(WorkerCells(STAND_IN, CELLS, workers=2, patience=60.0)) as cells:
        yield cells


def story(cells: Cells) -> list[bytes]:
    """Everything that a few calls answer, byte for byte: subsets, and one cell that begins again."""
    told: list[bytes] = []
    instructions = cells.reset({cell: episode(cell) for cell in range(cells.count)})
    told += [str(instructions[cell]).encode() for cell in range(cells.count)]
    for subset in ([0, 1, 2], [2, 0], [1]):
        actions = cells.ask(methodcaller("expert", 8), subset)
        reports = cells.step(actions)  # pyright: ignore[reportArgumentType]
        if subset == [1]:
            told.append(str(cells.reset({1: episode(77)})[1]).encode())
        views = cells.look(subset)
        for cell in subset:
            report, view = reports[cell], views[cell]
            assert isinstance(report, Report)
            assert isinstance(view, View)
            told += [report.rewards.tobytes(), str(sorted(report.notes.items())).encode()]
            told += [view.instruction.encode(), view.reading.tcp_pose.position.tobytes()]
            told += [picture.tobytes() for picture in view.pictures.values()]
    return told


def test_in_process_and_in_workers_are_equal_bit_for_bit(in_workers: WorkerCells) -> None:
    with closing(LocalCells(STAND_IN, CELLS)) as local:
        assert story(local) == story(in_workers)
        assert story(in_workers) == story(in_workers)


def test_a_reset_of_one_cell_leaves_the_others_where_they_are(in_workers: WorkerCells) -> None:
    in_workers.reset({cell: episode(cell) for cell in range(CELLS)})
    in_workers.step({cell: np.full((5, 7), 0.01) for cell in range(CELLS)})
    before = in_workers.look(range(CELLS))
    in_workers.reset({1: episode(1)})
    after = in_workers.look(range(CELLS))
    for cell in range(CELLS):
        old, new = before[cell], after[cell]
        assert isinstance(old, View)
        assert isinstance(new, View)
        is_equal = np.array_equal(old.reading.tcp_pose.position, new.reading.tcp_pose.position)
        assert is_equal == (cell != 1)


def test_every_cell_has_its_own_episode(in_workers: WorkerCells) -> None:
    in_workers.reset({0: episode(4), 1: episode(5), 2: episode(4)})
    views = in_workers.look(range(CELLS))
    pictures = [view.pictures["external"] for view in views.values() if isinstance(view, View)]
    assert np.array_equal(pictures[0], pictures[2])
    assert not np.array_equal(pictures[0], pictures[1])


def test_a_wrong_question_is_answered_with_its_sentence_and_harms_nothing(in_workers: WorkerCells) -> None:
    in_workers.reset({cell: episode(cell) for cell in range(CELLS)})
    with pytest.raises(SceneError, match="no task 'tow'"):
        in_workers.reset({0: episode(0, "tow")})
    assert not any(isinstance(view, Void) for view in in_workers.look(range(CELLS)).values())


def process_id(simulation: Simulation) -> int:
    return os.getpid()


@pytest.mark.parametrize(
    ("number", "patience", "why"),
    [(signal.SIGKILL, 60.0, "killed by signal 9"), (signal.SIGSTOP, 3.0, "did not answer in time")],
)
def test_a_dead_or_hung_worker_voids_its_episodes_and_no_others(
    number: int, patience: float, why: str
) -> None:
    with closing(WorkerCells(STAND_IN, CELLS, workers=2, patience=patience)) as cells:
        cells.reset({cell: episode(cell) for cell in range(CELLS)})
        process = cells.ask(process_id, [0])[0]
        assert isinstance(process, int)
        os.kill(process, number)
        chunk = {cell: np.zeros((8, 7)) for cell in range(CELLS)}
        for _ in range(2):  # cells 0 and 2 live in the worker that was lost, and stay void
            reports = cells.step(chunk)
            assert isinstance(reports[1], Report)
            for cell in (0, 2):
                report = reports[cell]
                assert isinstance(report, Void)
                assert why in report.why
        assert not Path(f"/proc/{process}").exists(), "neither running nor a zombie"
        cells.reset({0: episode(9)})
        again = cells.step(chunk)
        assert isinstance(again[0], Report)
        assert isinstance(again[2], Void), "only a reset begins an episode"
        assert cells.ask(process_id, [0])[0] != process


def test_a_worker_that_is_lost_between_two_questions_is_found_by_the_next() -> None:
    with closing(WorkerCells(STAND_IN, 1, workers=1, patience=60.0)) as cells:
        cells.reset({0: episode(0)})
        process = cells.ask(process_id, [0])[0]
        assert isinstance(process, int)
        os.kill(process, signal.SIGKILL)
        while Path(f"/proc/{process}/exe").exists():
            time.sleep(0.01)
        assert isinstance(cells.look([0])[0], Void)


def open_nothing() -> Simulation:
    raise RuntimeError("there is no graphics device")


def test_a_simulation_that_never_opens_is_said_and_not_tried_for_ever(
    capfd: pytest.CaptureFixture[str],
) -> None:
    suite = replace(STAND_IN, open_simulation=open_nothing)
    with (
        closing(WorkerCells(suite, 1, workers=1)) as cells,
        pytest.raises(SimulationUnavailable, match="ended with status 1"),
    ):
        cells.reset({0: episode(0)})
    assert "there is no graphics device" in capfd.readouterr().err


def python_memory() -> set[Path]:
    """Blocks of shared memory that Python's libraries name."""
    return {path for path in Path("/dev/shm").iterdir() if path.name.startswith(("psm_", "pym-"))}


def test_closing_leaves_no_process_and_no_shared_memory() -> None:
    shared = python_memory()
    with closing(WorkerCells(STAND_IN, 2, workers=2)) as cells:
        cells.reset({0: episode(0), 1: episode(1)})
        processes = list(cells.ask(process_id, [0, 1]).values())
        assert python_memory() <= shared, "the memory has no name even while it is used"
    assert not any(Path(f"/proc/{process}").exists() for process in processes)
    children = {child.pid for child in multiprocessing.active_children()}
    assert not children & set(processes)


def test_workers_end_when_their_parent_is_killed() -> None:
    code = (
        "import multiprocessing\n"
        "from sim_train.stand_in import STAND_IN\n"
        "from sim_train.worker_cells import WorkerCells\n"
        "from sim_train.simulation import Episode\n"
        "if __name__ == '__main__':\n"
        "    cells = WorkerCells(STAND_IN, 2, workers=2)\n"
        "    cells.reset({i: Episode(suite='stand-in', task='one', seed=i) for i in (0, 1)})\n"
        "    print(*[child.pid for child in multiprocessing.active_children()], flush=True)\n"
        "    input()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    workers = [int(number) for number in parent.stdout.readline().split()]
    assert len(workers) == 2
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 60
    while any(_is_running(worker) for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
