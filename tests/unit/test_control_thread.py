"""What the control thread asks of system and process, and that it goes on where it does not get it."""

import gc
import os
import sys
import threading
from collections.abc import Iterator

import pytest

from robot_bridge.control_thread import ask_for_realtime_priority, make_process_steady


@pytest.fixture
def process_as_before() -> Iterator[None]:
    interval = sys.getswitchinterval()
    yield
    sys.setswitchinterval(interval)
    gc.unfreeze()


@pytest.mark.usefixtures("process_as_before")
def test_other_threads_give_way_soon_and_old_objects_are_not_looked_at_again() -> None:
    make_process_steady()
    assert sys.getswitchinterval() <= 1e-3, "Python's own is half of a tick"
    assert gc.get_freeze_count() > 0


def test_realtime_priority_is_taken_where_it_is_given() -> None:
    found: list[tuple[bool, int]] = []
    thread = threading.Thread(
        target=lambda: found.append((ask_for_realtime_priority(), os.sched_getscheduler(0)))
    )
    thread.start()
    thread.join()
    granted, policy = found[0]
    assert granted == (policy == os.SCHED_FIFO)


def test_without_permission_the_loop_runs_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    assert not ask_for_realtime_priority()
