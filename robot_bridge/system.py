"""Which processes make up a running system, as plain data: read by the demo and by the launch files.

Nothing here starts anything; `robot_bridge.demo` and `launch/*.launch.py` do.
"""

import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Process:
    name: str  # for people and log files
    command: tuple[str, ...]
    ready_seconds: float  # [s] how long it may take until it answers


@dataclass(frozen=True, kw_only=True)
class Ports:
    policy: int
    bridge: int
    console: int


def policy_server(*, checkpoint: Path, port: int) -> Process:
    return Process(
        name="policy-server",
        command=(
            *(sys.executable, "-m", "policy_server", "serve"),
            *("--checkpoints", str(checkpoint), "--address", f"127.0.0.1:{port}"),
        ),
        ready_seconds=120.0,
    )


def bridge(*, rig: str, port: int, policy_server: str, recordings: Path) -> Process:
    return Process(
        name="robot-bridge",
        command=(
            *(sys.executable, "-m", "robot_bridge", "run", "--rig", rig),
            *("--address", f"127.0.0.1:{port}", "--policy-server", policy_server),
            *("--recordings", str(recordings)),
        ),
        ready_seconds=60.0,
    )


def console(*, port: int, bridge: str) -> Process:
    return Process(
        name="operator-console",
        command=(
            *(sys.executable, "-m", "operator_console", "serve"),
            *("--port", str(port), "--bridge", bridge),
        ),
        ready_seconds=30.0,
    )
