"""`make demo`, as a user without a terminal runs it: the whole chain, three trials, a table, exit 0."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PORTS = ("--policy-port", "0", "--bridge-port", "0", "--console-port", "0")


def demo(*arguments: str, logs: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "robot_bridge", "demo", *arguments, "--logs", str(logs)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_the_demo_runs_three_trials_and_exits_0(tmp_path: Path) -> None:
    process = demo(*PORTS, "--once", logs=tmp_path)
    output, _ = process.communicate(timeout=240)
    logs = "\n".join(f"--- {log.name}\n{log.read_text()}" for log in tmp_path.glob("*.log"))
    assert process.returncode == 0, output + logs
    assert re.search(r"\b\d/3\b", output), output
    assert "http://127.0.0.1:" in output


def test_a_port_in_use_is_said_in_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = demo(*PORTS[:4], "--console-port", str(port), logs=tmp_path)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert output.strip() == (
        f"demo: port {port} for the console is in use; end what uses it, or choose another with"
        " `robot-bridge demo --console-port PORT`"
    )


def test_ending_the_demo_ends_its_children(tmp_path: Path) -> None:
    process = demo(*PORTS, "--trials", "500", logs=tmp_path)
    try:
        _end_it_and_watch_its_children(process, tmp_path)
    finally:
        process.kill()
        process.communicate()


def _end_it_and_watch_its_children(process: subprocess.Popen[str], logs: Path) -> None:
    deadline = time.monotonic() + 120
    while not (logs / "operator-console.log").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            output, _ = process.communicate(timeout=10)
            pytest.fail(output)
        time.sleep(0.2)
    children = _children(process.pid)
    assert len(children) >= 3
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    deadline = time.monotonic() + 20
    while any(_is_running(child) for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in listed.split()]


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"
