"""A bridge as a child process, for tests, benchmarks and programs that bring their own bridge."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

START_SECONDS = 60.0
_PORT = re.compile(r"serves operators on port (\d+)")


class BridgeProcess:
    """`with BridgeProcess(["--rig", "mock"]) as bridge: bridge.address`; on leaving it is stopped."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "robot_bridge", "run", "--address", "127.0.0.1:0", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.address = ""
        self._log: list[str] = []
        self._is_up = threading.Event()
        self._threads = [
            threading.Thread(target=self._read_output, daemon=True),
            threading.Thread(target=self._read_log, daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        self._is_up.wait(START_SECONDS)
        if not self.address:
            self.close()
            raise RuntimeError(f"the bridge did not start: {self.log}")

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        """What it wrote to standard error."""
        return "".join(self._log)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self._process.pid, number)

    def wait(self, timeout: float = 30.0) -> int:
        """The exit status."""
        status = self._process.wait(timeout)
        for thread in self._threads:
            thread.join()
        return status

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(10.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            thread.join()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read_output(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            found = _PORT.search(line)
            if found:
                self.address = f"127.0.0.1:{found[1]}"
                self._is_up.set()
        self._is_up.set()

    def _read_log(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._log.append(line)
