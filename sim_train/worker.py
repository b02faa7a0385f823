"""A process that holds simulations of one suite and answers questions about them.

What dies or hangs is killed and started again, and the question that it had is lost. Pictures come through
memory that parent and worker share and that has no name, so nothing is left behind whoever dies; a worker
ends with its parent.
"""

import ctypes
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

import numpy as np

from robot_contract.errors import SimulationUnavailable
from sim_train.simulation import Picture, Simulation
from sim_train.suites import Suite
from sim_train.vector import Question, View, view_of

Questions = Sequence[tuple[int, Question[Any]]]  # which of the worker's simulations, and what
_STARTS = 3  # in a row that may fail
_SAYING_PERIOD = 5.0  # [s] for the rest of an answer that has begun
_CLOSING_PERIOD = 5.0  # [s] that a worker has to close its simulations
# One core each: threads of linear algebra and of the software renderer only get into each other's way.
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "LP_NUM_THREADS": "0"}
_SPAWN = multiprocessing.get_context("spawn")  # a simulator with its threads does not survive a fork


class Lost(Exception):
    """The worker died or hung before it answered; another one is starting."""


@dataclass(frozen=True, kw_only=True)
class _Refusal:
    error: ValueError


class Worker:
    def __init__(
        self, suite: Suite, simulations: int, *, patience: float = 120.0, start_patience: float = 300.0
    ) -> None:
        """It is lost when it says nothing for `patience` [s] a question, or for `start_patience` at first."""
        self._suite, self._simulations = suite, simulations
        self._patience, self._start_patience = patience, start_patience
        self._memory = _SPAWN.RawArray(ctypes.c_uint8, simulations * _picture_bytes(suite))
        self._failed_starts = 0
        self._asked: Questions | None = None
        self._start()

    def send(self, questions: Questions) -> None:
        """Ask its simulations, by number; `view_of` gets its pictures by way of the shared memory."""
        assert self._asked is None, "the last questions are not answered yet"
        self._asked = questions
        self._asked_at = time.monotonic()
        self._send(questions)

    @property
    def is_busy(self) -> bool:
        return self._asked is not None

    def is_answered(self) -> bool:
        """`receive` will not wait: there are answers, or it is clear that there will be none."""
        if not self._has_started and self._has_news(self._started_at + self._start_patience):
            self._await_start()
        return self._has_started and self._has_news(self._deadline())

    def receive(self) -> list[Any]:
        """An answer to each question; a `ValueError` of one is raised here, `Lost` where there is none."""
        while not self._has_started:
            self._await_start()
        questions = self._asked
        assert questions is not None, "nothing was asked"
        try:
            answers = self._next(self._deadline())
        except Lost:
            self._end()
            self._start()
            raise
        self._asked = None
        for answer in answers:
            if isinstance(answer, _Refusal):
                raise answer.error
        return [
            self._with_pictures(simulation, answer) if question is view_of else answer
            for (simulation, question), answer in zip(questions, answers, strict=True)
        ]

    def close(self) -> None:
        """One that is at work is not waited for."""
        if self._process.is_alive() and self._has_started and not self.is_busy:
            self._send(None)
            self._process.join(_CLOSING_PERIOD)
        self._end()

    @property
    def connection(self) -> Any:
        """For `wait`, and for nothing else."""
        return self._connection

    def _with_pictures(self, simulation: int, view: View) -> View:
        shared = _pictures(self._suite, self._memory, simulation)
        pictures = {name: picture.copy() for name, picture in shared.items()}
        return View(instruction=view.instruction, reading=view.reading, pictures=pictures)

    def _send(self, message: Questions | None) -> None:
        with suppress(OSError):  # it died; whoever waits for the answer will find that
            self._connection.send(message)

    def _start(self) -> None:
        self._connection, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(
            target=_serve, args=(theirs, self._suite, self._simulations, self._memory), daemon=True
        )
        self._has_started, self._started_at = False, time.monotonic()
        with _environment(_ENVIRONMENT):
            self._process.start()
        theirs.close()

    def _await_start(self) -> None:
        """It has opened its simulations, or another process tries to."""
        questions = self._asked
        try:
            self._next(self._started_at + self._start_patience)
        except Lost as lost:
            self._end()
            self._failed_starts += 1
            if self._failed_starts >= _STARTS:
                raise SimulationUnavailable(
                    f"a worker of suite {self._suite.name!r} could not open its simulations: {_STARTS} in a"
                    f" row were lost before they had, and the last {lost}; its own words stand above"
                ) from lost
            self._start()
            if questions is not None:
                self._asked = questions
                self._send(questions)
        else:
            self._failed_starts, self._has_started = 0, True
            self._asked_at = time.monotonic()

    def _deadline(self) -> float:
        return self._asked_at + self._patience * len(self._asked or ())

    def _has_news(self, deadline: float) -> bool:
        return self._connection.poll() or time.monotonic() >= deadline

    def _next(self, deadline: float) -> Any:
        """What the worker says next; it is killed when it has not said it all by the deadline."""
        process, is_late = self._process, threading.Event()
        left = deadline - time.monotonic()
        if self._connection.poll():  # it was in time, and the parent elsewhere
            left = max(left, _SAYING_PERIOD)

        def kill() -> None:
            is_late.set()
            process.kill()

        killer = threading.Timer(max(0.0, left), kill)
        killer.daemon = True
        killer.start()
        try:
            return self._connection.recv()
        except (EOFError, OSError) as error:
            process.join()
            why = "did not answer in time" if is_late.is_set() else _ending(process.exitcode)
            raise Lost(why) from error
        finally:
            killer.cancel()

    def _end(self) -> None:
        self._asked = None
        self._connection.close()
        self._process.kill()
        self._process.join()


def answered(workers: Sequence[Worker], seconds: float) -> list[Worker]:
    """Those of the workers that `receive` will not wait for; looks for them for so long at most."""
    busy = [worker for worker in workers if worker.is_busy]
    wait([worker.connection for worker in busy], seconds)
    return [worker for worker in busy if worker.is_answered()]


def _ending(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"was killed by signal {-exit_code}"
    return f"ended with status {exit_code}"


def _serve(connection: Connection, suite: Suite, count: int, memory: Any) -> None:
    """In the worker: answer until the parent says None or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    threading.Thread(target=_end_with_parent, daemon=True).start()
    simulations = [suite.open_simulation() for _ in range(count)]
    with suppress(EOFError, ConnectionError):  # the parent is gone
        connection.send("ready")
        while (questions := connection.recv()) is not None:
            connection.send([_answer(suite, simulations, memory, *question) for question in questions])
    for simulation in simulations:
        simulation.close()


def _answer(
    suite: Suite, simulations: Sequence[Simulation], memory: Any, number: int, question: Question[Any]
) -> Any:
    try:
        answer = question(simulations[number])
        if question is view_of:
            return _without_pictures(answer, _pictures(suite, memory, number))
    except ValueError as error:
        return _Refusal(error=error)
    return answer


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _without_pictures(view: View, shared: Mapping[str, Picture]) -> View:
    for name, place in shared.items():
        if view.pictures[name].shape != place.shape:
            raise ValueError(
                f"the picture of {name} is {view.pictures[name].shape}, the suite says {place.shape}"
            )
        place[:] = view.pictures[name]
    return View(instruction=view.instruction, reading=view.reading, pictures={})


def _picture_bytes(suite: Suite) -> int:
    """Of one simulation's cameras."""
    return sum(camera.height * camera.width * 3 for camera in suite.cameras)


def _pictures(suite: Suite, memory: Any, simulation: int) -> dict[str, Picture]:
    """The places of a simulation's pictures in the shared memory."""
    places: dict[str, Picture] = {}
    begin = simulation * _picture_bytes(suite)
    for camera in suite.cameras:
        shape = (camera.height, camera.width, 3)
        flat = np.frombuffer(memory, dtype=np.uint8, count=int(np.prod(shape)), offset=begin)
        places[camera.name] = flat.reshape(shape)
        begin += flat.size
    return places


@contextmanager
def _environment(values: Mapping[str, str]) -> Generator[None]:
    """For a process that is started meanwhile."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
