"""The health checks of the containers, asked of the real programs."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from policy_server.server_process import ServerProcess
from robot_bridge.bridge_process import BridgeProcess

ROOT = Path(__file__).parents[2]


def health(*arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "robot_contract.health", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


def test_a_bridge_is_healthy_while_it_runs() -> None:
    with BridgeProcess(["--rig", "mock", "--no-record"]) as bridge:
        assert health("grpc", bridge.address) == (0, "")
        address = bridge.address
    status, words = health("grpc", address)
    assert status == 1
    assert f"{address} does not answer" in words


def test_a_policy_server_is_healthy_and_a_frozen_one_is_not() -> None:
    with ServerProcess(["--stand-in"]) as server:
        assert health("grpc", server.address) == (0, "")
        server.signal(signal.SIGSTOP)
        status, words = health("grpc", server.address)
        server.signal(signal.SIGCONT)
        assert status == 1
        assert "does not answer" in words


def test_a_console_answers_a_stranger_too() -> None:
    console = subprocess.Popen(
        [sys.executable, "-m", "operator_console", "serve", "--port", "0", "--bridge", "127.0.0.1:1"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert console.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+/", console.stdout.readline())
        assert found is not None
        assert health("http", found[0]) == (0, "")
    finally:
        console.send_signal(signal.SIGINT)
        console.wait(30)
        console.stdout.close()
    assert health("http", found[0])[0] == 1


@pytest.mark.parametrize("arguments", [(), ("grpc",), ("tcp", "127.0.0.1:1")])
def test_a_wrong_question_is_answered_by_how_to_ask(arguments: tuple[str, ...]) -> None:
    status, words = health(*arguments)
    assert status == 2
    assert words.startswith("usage: ")
