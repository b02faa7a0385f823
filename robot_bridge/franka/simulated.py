"""The simulated control interface as a child process, for tests, benchmarks and rehearsals.

`with SimulatedFci() as fci: fci.address`. libfranka's ports are fixed, so each one gets an address of its
own on loopback. The environment comes from scripts/fci-env.sh, and only a checkout has it.
"""

import json
import random
import socket
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from robot_bridge.twin.franka_sim import franka_sim_xml

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".envs" / "fci" / "bin" / "python"
_SERVER = ROOT / "scripts" / "fci_server.py"
_PORTS = (1337, 1338)  # libfranka's, of the arm and of the hand
_START_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class SimulatedState:
    at: float  # [s], this machine's monotonic clock
    joint_position: tuple[float, ...]  # (7,) [rad]
    joint_velocity: tuple[float, ...]  # (7,) [rad/s]
    mode: str
    width: float  # [m]


def missing_environment() -> str:
    """Why there is no simulated control interface here; empty when there is one."""
    return "" if PYTHON.exists() else "no .envs/fci: scripts/fci-env.sh makes it"


class SimulatedFci:
    def __init__(self) -> None:
        if missing := missing_environment():
            raise RuntimeError(missing)
        self._folder = tempfile.TemporaryDirectory()
        self._log = Path(self._folder.name) / "log"
        model = Path(self._folder.name) / "fr3.xml"
        model.write_text(franka_sim_xml(), encoding="utf-8")
        self.address = _free_address()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [str(PYTHON), str(_SERVER), self.address, str(model)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._one_at_a_time = threading.Lock()
        try:
            self._wait_until_up()
        except BaseException:
            self.close()
            raise

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def ask(self, command: str) -> str:
        with self._one_at_a_time:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(command + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline().strip()
        if not answer:
            raise RuntimeError(f"the simulated control interface has ended: {self.log}")
        return answer

    def state(self) -> SimulatedState:
        found = json.loads(self.ask("state"))
        return SimulatedState(
            at=found["at"],
            joint_position=tuple(found["q"]),
            joint_velocity=tuple(found["dq"]),
            mode=found["mode"],
            width=found["width"],
        )

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _wait_until_up(self) -> None:
        """Until it listens; no connection is made, since after one it needs a second to take the next."""
        until = time.monotonic() + _START_SECONDS
        listening = tuple(f"{_hexadecimal(self.address)}:{port:04X}" for port in _PORTS)
        while not all(place in Path("/proc/net/tcp").read_text() for place in listening):
            if self._process.poll() is not None or time.monotonic() >= until:
                raise RuntimeError(f"the simulated control interface did not start: {self.log}")
            time.sleep(0.05)
        while self.state().joint_position == (0.0,) * 7:
            time.sleep(0.05)


def _hexadecimal(address: str) -> str:
    """As /proc/net/tcp writes it: least significant byte first."""
    return "".join(f"{int(part):02X}" for part in reversed(address.split(".")))


def _free_address() -> str:
    for _ in range(100):
        address = f"127.{random.randrange(1, 255)}.{random.randrange(1, 255)}.{random.randrange(1, 255)}"
        try:
            for port in _PORTS:
                with socket.socket() as probe:
                    probe.bind((address, port))
        except OSError:
            continue
        return address
    raise RuntimeError("no loopback address is free for the simulated control interface")
