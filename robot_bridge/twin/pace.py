"""What makes simulated time pass: the machine's clock, or whoever waits on the twin's own clock.

`RealPace` steps in a thread and keeps up with the monotonic clock; `SteppedPace` moves only when somebody
sleeps on its clock, which makes an episode the same bit for bit. Both are clocks to the bridge.
"""

import threading
import time
from collections.abc import Callable
from typing import Protocol

from robot_contract.errors import DeviceFault

_LARGEST_BACKLOG = 0.5  # [s]; what is later than that is given up and counted
_LARGEST_BATCH = 10  # steps between two looks at the clock
_START = 100.0  # [s]; where the stepped clock begins, so that no instant passes for "never"
_SLACK = 1e-9  # [s] of rounding

Advance = Callable[[int], None]  # steps the world so many times


class Pace(Protocol):
    def now(self) -> float: ...
    def sleep_until(self, t: float) -> None: ...
    def bridge_time(self, simulated: float) -> float:
        """The instant on the bridge's clock of a simulated time [s]."""
        ...

    def simulated_now(self) -> float: ...
    def jump(self, seconds: float) -> None: ...
    def require_alive(self) -> None:
        """Raise what ended the physics, if anything did."""
        ...

    @property
    def real_time_factor(self) -> float | None: ...
    def start(self) -> None: ...
    def close(self) -> None: ...


class SteppedPace:
    def __init__(self, advance: Advance, steps: Callable[[], int], period: float) -> None:
        self._advance, self._steps, self._period = advance, steps, period
        self._jumped = 0.0
        self._lock = threading.Lock()

    def now(self) -> float:
        return self.bridge_time(self.simulated_now())

    def simulated_now(self) -> float:
        return self._steps() * self._period

    def bridge_time(self, simulated: float) -> float:
        return _START + simulated + self._jumped

    def sleep_until(self, t: float) -> None:
        with self._lock:
            left = t - self.now()
            if left > _SLACK:
                self._advance(-int(-(left - _SLACK) // self._period))

    def jump(self, seconds: float) -> None:
        self._jumped += seconds

    def require_alive(self) -> None:
        """What fails while stepping is raised by sleep_until itself."""

    @property
    def real_time_factor(self) -> None:
        return None

    def start(self) -> None:
        """Nothing runs by itself."""

    def close(self) -> None:
        """Nothing runs by itself."""


class RealPace:
    def __init__(self, advance: Advance, steps: Callable[[], int], period: float) -> None:
        self._advance, self._steps, self._period = advance, steps, period
        self._jumped = 0.0
        self._origin = time.monotonic()
        self._closing = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="twin-physics", daemon=True)

    def start(self) -> None:
        self._began = time.monotonic()
        self._first_step = self._steps()
        self._origin = self._began - self._first_step * self._period
        self._thread.start()

    def now(self) -> float:
        return time.monotonic() + self._jumped

    def sleep_until(self, t: float) -> None:
        while (left := t - self.now()) > 0:
            time.sleep(left)

    def simulated_now(self) -> float:
        return time.monotonic() - self._origin

    def bridge_time(self, simulated: float) -> float:
        return self._origin + simulated + self._jumped

    @property
    def real_time_factor(self) -> float:
        """Simulated over real seconds since the start; a world less than one step behind keeps up."""
        wall = time.monotonic() - self._began
        simulated = (self._steps() - self._first_step) * self._period
        return 1.0 if wall - simulated <= self._period else simulated / wall

    def jump(self, seconds: float) -> None:
        self._jumped += seconds

    def require_alive(self) -> None:
        if self._error is not None:
            raise DeviceFault(f"the twin's physics ended: {self._error}") from self._error

    def close(self) -> None:
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._closing.is_set():
                behind = self.simulated_now() - self._steps() * self._period
                if behind > _LARGEST_BACKLOG:
                    self._origin += behind - self._period
                    behind = self._period
                due = int(behind / self._period)
                if due > 0:
                    self._advance(min(due, _LARGEST_BATCH))
                else:
                    time.sleep(self._period - behind)
        except Exception as error:  # noqa: BLE001 - handed to every reader through require_alive
            self._error = error
