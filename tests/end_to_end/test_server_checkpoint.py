"""A real checkpoint folder through the real server: what is served is what the plain policy answers."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from policy_server.checkpoint import open_checkpoint
from policy_server.golden import GOLDEN_FILE
from policy_server.server_process import ServerProcess
from robot_contract.client import BlockingPolicyClient


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoints") / "untrained"
    run("make-random", str(path), "--name", "untrained", "--wrist-camera")
    return path


def run(*arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    finished = subprocess.run(
        [sys.executable, "-m", "policy_server", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == status, finished.stderr
    return finished


def with_another_golden_chunk(folder: Path, copy: Path) -> Path:
    """The same policy with a golden chunk that it does not answer."""
    subprocess.run(["cp", "-r", str(folder), str(copy)], check=True)
    with np.load(copy / GOLDEN_FILE, allow_pickle=False) as stored:
        arrays = {key: stored[key] for key in stored.files}
    arrays["actions"] = arrays["actions"] + 0.01
    np.savez(copy / GOLDEN_FILE, **arrays)
    return copy


def test_the_server_answers_what_the_plain_policy_answers(folder: Path, tmp_path: Path) -> None:
    checkpoint = open_checkpoint(folder)
    golden = dataclasses.replace(checkpoint.golden.observation, policy="arm", session="robot", deadline=30.0)
    wrong = with_another_golden_chunk(folder, tmp_path / "wrong")
    with (
        ServerProcess(["--checkpoints", f"arm={folder}", "--max-batch", "2"]) as server,
        BlockingPolicyClient(server.address) as client,
    ):
        contract = client.get_contract("arm")
        assert contract.policy_digest == checkpoint.contract.policy_digest
        chunk = client.predict(golden)
        tolerance = checkpoint.golden.tolerance["cpu/float32"]
        assert (np.abs(chunk.actions - checkpoint.golden.actions) <= tolerance).all()

        finished = run("reload", "arm", str(wrong), "--port", str(server.port), status=1)
        assert "this machine answers differently" in finished.stderr
        assert "the old policy goes on" in finished.stderr
        run("reload", "arm", "--port", str(server.port))
        np.testing.assert_allclose(client.predict(golden).actions, chunk.actions, atol=1e-6)


def test_a_folder_that_answers_differently_here_never_serves(folder: Path, tmp_path: Path) -> None:
    wrong = with_another_golden_chunk(folder, tmp_path / "wrong")
    finished = run("serve", str(wrong), "--address", "127.0.0.1:0", status=1)
    assert "this machine answers differently than the one that made it" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_inspect_shows_what_a_folder_promises(folder: Path) -> None:
    text = run("inspect", str(folder)).stdout
    assert "untrained: 8 actions at 10 Hz" in text
    assert "camera wrist: wrist, " in text
    assert open_checkpoint(folder).contract.interface_digest in text
