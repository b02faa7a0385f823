"""A policy server as a child process, for benchmarks, tests and programs that bring their own server."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

START_SECONDS = 120.0


class ServerProcess:
    """`with ServerProcess(["--stand-in"]) as server: server.address`; on leaving it is stopped."""

    def __init__(
        self, arguments: Sequence[str], *, wait_for: str = "serving", address: str = "127.0.0.1:0"
    ) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "policy_server", "serve", *arguments, "--address", address],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.address = ""
        self.pages: dict[str, str] = {}  # what else it listens on, by name
        self._errors: list[str] = []
        self._found = threading.Event()
        self._threads = [
            threading.Thread(target=self._read_lines, args=(wait_for,), daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        found = self._found.wait(START_SECONDS)
        if not (found and self.address) or self._process.poll() is not None:
            self.kill()
            raise RuntimeError(f"the policy server did not start: {self.log}")

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def port(self) -> int:
        return int(self.address.rsplit(":", 1)[1])

    @property
    def log(self) -> str:
        """What it wrote to standard error."""
        return "".join(self._errors)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self._process.pid, number)

    def wait(self, timeout: float = 30.0) -> int:
        """The exit status."""
        status = self._process.wait(timeout)
        for thread in self._threads:
            thread.join()
        return status

    def stop(self) -> int:
        if self._process.poll() is None:
            self.signal(signal.SIGTERM)
        status = self.wait()
        self._close()
        return status

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self.wait()
        self._close()

    def _close(self) -> None:
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _read_lines(self, wait_for: str) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            words = line.split()
            match words[1:]:
                case ["listening", "on", address]:
                    self.address = address
                case [page, "on", url]:
                    self.pages[page] = url
                case _:
                    pass
            if words[1:2] == [wait_for]:
                self._found.set()
        self._found.set()

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._errors.append(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
