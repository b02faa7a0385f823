"""Runs the loop on absolute deadlines, and sees to it that whatever ends the loop ends in rest.

A tick that comes late is counted and not caught up. When the thread ends, the arm decelerates along its path
and is stopped; there is no other motion on the way out.
"""

import gc
import logging
import os
import sys
import threading
import time
from collections.abc import Callable

from robot_bridge.commands import Command
from robot_bridge.heap import keep_heap_whole
from robot_bridge.loop import ControlLoop
from robot_bridge.modes import State
from robot_contract.errors import DeviceFault
from robot_contract.messages import OperatorEvent

_log = logging.getLogger(__name__)

_REALTIME_PRIORITY = 40  # SCHED_FIFO; under the kernel's own threads
_LONGEST_FAREWELL = 2.0  # [s] to come to rest
_SWITCH_SECONDS = (
    2e-4  # another thread keeps the interpreter so long when this one wants it; Python's own: 5 ms
)


class ControlThread:
    def __init__(self, loop: ControlLoop) -> None:
        self.loop = loop
        self._ending = threading.Event()
        self._failure = ""
        self.is_realtime = False
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)

    def start(self) -> None:
        self._thread.start()
        while self.loop.snapshot.peek() is None and self._thread.is_alive():
            time.sleep(0.001)

    def close(self) -> None:
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=2 * _LONGEST_FAREWELL + 1.0)

    def problems(self) -> tuple[str, ...]:
        if self._failure:
            return (f"the control thread has ended: {self._failure}; restart the bridge",)
        return ()

    def _run(self) -> None:
        self.is_realtime = ask_for_realtime_priority()
        make_process_steady()
        try:
            self._tick_until(lambda: self._ending.is_set())
            self._come_to_rest()
        except Exception as error:
            self._failure = f"{type(error).__name__}: {error}"
            _log.exception("the control thread failed; the arm is stopped")
            stop_arm(self.loop)
            raise

    def _tick_until(self, is_over: Callable[[], bool]) -> None:
        loop, clock = self.loop, self.loop.devices.clock
        period = loop.rig.tick_period
        deadline = clock.now()
        while not is_over():
            loop.lateness = max(clock.now() - deadline, 0.0)
            loop.tick()
            deadline += period
            behind = clock.now() - deadline
            missed = max(int(behind / period), 0)
            loop.missed_ticks += missed
            loop.missed_in_a_row = missed
            deadline += missed * period
            if loop.rig.is_stepped and loop.modes.state is not State.RUNNING and loop.is_at_rest:
                time.sleep(period)  # nobody waits for simulated time; leave the processor to others
            clock.sleep_until(deadline)

    def _come_to_rest(self) -> None:
        if self.loop.modes.state is State.IDLE and self.loop.is_at_rest:
            return
        event = OperatorEvent(action="stop", operator="bridge", note="the bridge is shutting down")
        self.loop.stops.put(Command(event="stop", operator=event))
        until = self.loop.devices.clock.now() + _LONGEST_FAREWELL
        self.loop.tick()
        self._tick_until(lambda: self.loop.is_at_rest or self.loop.devices.clock.now() >= until)
        stop_arm(self.loop)


def stop_arm(loop: ControlLoop) -> None:
    try:
        loop.devices.arm.stop()
    except DeviceFault as error:
        _log.error("the arm could not be stopped: %s", error)


def make_process_steady() -> None:
    """What the loop needs of the whole process: no long pauses, and memory that stays as it is."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    keep_heap_whole()
    gc.collect()
    gc.freeze()  # what was made at the start is never looked at again


def ask_for_realtime_priority() -> bool:
    """True where the system grants this thread a real-time priority."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_REALTIME_PRIORITY))
    except PermissionError:
        _log.info("no real-time priority: not permitted (rtprio in limits.conf); missed ticks are counted")
        return False
    return True
