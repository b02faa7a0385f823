"""`bridge_node` as a child process, started with the words that launch_ros gives it."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from robot_bridge.ros.dds_profile import VARIABLES, environment
from robot_bridge.ros.parameters import EXECUTABLE, Value
from robot_bridge.system import bridge_node, parameter_file_text, ros_command

START_SECONDS = 120.0  # a busy machine imports slowly
_PORT = re.compile(r"serves operators on port (\d+)")


class RunningNode:
    """`installed` is an environment that a workspace was sourced in; without, this tree is run as it is."""

    def __init__(
        self,
        folder: Path,
        parameters: Mapping[str, Value],
        *,
        namespace: str = "",
        installed: Mapping[str, str] | None = None,
        profile: str = "one_machine",
        more: Sequence[str] = (),
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        own: dict[str, Value] = {"operator_address": "127.0.0.1:0", "recordings": str(folder / "recordings")}
        node = bridge_node(
            namespace=namespace,
            parameters=own | dict(parameters),
            environment=environment(one_machine=True) if profile == "one_machine" else {},
            log_level="info",
        )
        parameter_file = folder / "parameters.yaml"
        parameter_file.write_text(parameter_file_text(node))
        words = list(ros_command(node, Path(EXECUTABLE), parameter_file))
        if installed is None:
            words[:1] = [sys.executable, "-m", "robot_bridge.ros.bridge_node"]
        else:
            [words[0]] = executables(installed)
        self.name = f"/{namespace}/{node.name}" if namespace else f"/{node.name}"
        self._process = subprocess.Popen(
            [*words, *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={
                **(_without_profile(os.environ) if installed is None else installed),
                **_ros_settings(),
                **node.environment,
            },
            cwd=None if installed is None else folder,
        )
        self.log = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def address(self, seconds: float = START_SECONDS) -> str:
        """Of OperatorService, as soon as it is there."""
        return f"127.0.0.1:{self.logged(_PORT.pattern, seconds)[1]}"

    def logged(self, pattern: str, seconds: float = 30.0) -> re.Match[str]:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if found := re.search(pattern, self.log):
                return found
            if self._process.poll() is not None:
                self._reader.join(5.0)
                if found := re.search(pattern, self.log):
                    return found
                raise AssertionError(f"the node ended with {self._process.returncode}:\n{self.log}")
            time.sleep(0.02)
        raise AssertionError(f"{pattern!r} was not logged within {seconds:g} s:\n{self.log}")

    def interrupt(self) -> float:
        """Ctrl-C; how long it takes to end [s]."""
        began = time.monotonic()
        self._process.send_signal(signal.SIGINT)
        assert self.wait() == 0, self.log
        return time.monotonic() - began

    def wait(self, seconds: float = 60.0) -> int:
        status = self._process.wait(seconds)
        self._reader.join(10.0)
        return status

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(60.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(10.0)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if error is not None:
            sys.stderr.write(self.log)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.log += line


def executables(installed: Mapping[str, str]) -> list[str]:
    """`ros2 run` and launch look it up so."""
    places = [Path(prefix) / "lib" / "robot_bridge" for prefix in installed["AMENT_PREFIX_PATH"].split(":")]
    return [str(place / EXECUTABLE) for place in places if (place / EXECUTABLE).exists()]


def _ros_settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(("ROS_", "OMP_"))}


def _without_profile(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in VARIABLES}
