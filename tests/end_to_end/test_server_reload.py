"""Hot reload of a real server under load: nobody is dropped, no chunk mixes two policies."""

import asyncio
import dataclasses
import itertools
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from policy_server.served_model import blank_observation
from policy_server.server_process import ServerProcess
from policy_server.stand_in import StandInOptions, load_stand_in, stand_in_contract
from robot_contract.client import BlockingPolicyClient, PolicyClient
from robot_contract.messages import ActionChunk


def write_stand_in(path: Path, **options: float) -> Path:
    path.write_text(json.dumps(options))
    return path


@pytest.fixture
def marked(tmp_path: Path) -> tuple[Path, Path]:
    """Two stand-ins with equal interfaces that can be told apart by what they answer."""
    return (
        write_stand_in(tmp_path / "one.json", mark_mm=1.0),
        write_stand_in(tmp_path / "two.json", mark_mm=2.0),
    )


@pytest.fixture
def server(marked: tuple[Path, Path]) -> Iterator[ServerProcess]:
    with ServerProcess(["--stand-in", "--checkpoints", f"arm={marked[0]}"]) as process:
        yield process


def reload(server: ServerProcess, path: Path | str, *, name: str = "arm") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "policy_server", "reload", name, str(path), "--port", str(server.port)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def digest_of(path: Path) -> str:
    return load_stand_in(path, name="arm").contract.policy_digest


def test_reload_under_load_drops_no_session_and_mixes_nothing(
    server: ServerProcess, marked: tuple[Path, Path]
) -> None:
    marks = {digest_of(path): number * 1e-3 for number, path in enumerate(marked, start=1)}
    blank = dataclasses.replace(
        blank_observation(stand_in_contract(StandInOptions())), policy="arm", deadline=10.0
    )
    stopping = asyncio.Event()

    async def robot(client: PolicyClient, number: int) -> list[str]:
        digests: list[str] = []
        async with client.stream() as stream:
            while not stopping.is_set():
                await stream.send(
                    dataclasses.replace(blank, session=f"robot {number}", sequence=len(digests))
                )
                reply = await stream.receive()
                assert isinstance(reply, ActionChunk), reply
                assert reply.sequence == len(digests)
                assert set(reply.actions[:, 2]) == {marks[reply.policy_digest]}
                digests.append(reply.policy_digest)
        return digests

    async def change_policies() -> None:
        for path in (marked[1], marked[0], marked[1]):
            await asyncio.sleep(0.3)
            finished = await asyncio.to_thread(reload, server, path)
            assert finished.returncode == 0, finished.stderr
        await asyncio.sleep(0.2)
        stopping.set()

    async def everything() -> list[list[str]]:
        async with PolicyClient(server.address) as client, asyncio.TaskGroup() as group:
            robots = [group.create_task(robot(client, number)) for number in range(8)]
            group.create_task(change_policies())
        return [task.result() for task in robots]

    one, two = (digest_of(path) for path in marked)
    for digests in asyncio.run(everything()):
        changes = [digests[0]] + [b for a, b in itertools.pairwise(digests) if a != b]
        assert changes == [one, two, one, two], "every robot saw every change, each once"


def test_a_bad_source_or_another_interface_leaves_the_old_policy_serving(
    server: ServerProcess, marked: tuple[Path, Path], tmp_path: Path
) -> None:
    longer = write_stand_in(tmp_path / "longer.json", chunk_length=10)
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    for path, sentence in (
        (longer, "chunk_length 8 -> 10"),
        (broken, "is not a readable stand-in file"),
        (tmp_path / "nothing", "is not a readable stand-in file"),
    ):
        finished = reload(server, path)
        assert finished.returncode == 1
        assert sentence in finished.stderr
        assert "the old policy goes on" in finished.stderr
    finished = reload(server, marked[1], name="amr")
    assert "did you mean 'arm'" in finished.stderr
    with BlockingPolicyClient(server.address) as client:
        assert client.get_contract("arm").policy_digest == digest_of(marked[0])


def test_sighup_loads_every_policy_again(server: ServerProcess, marked: tuple[Path, Path]) -> None:
    with BlockingPolicyClient(server.address) as client:
        before = client.get_contract("arm").policy_digest
        write_stand_in(marked[0], mark_mm=5.0)
        server.signal(signal.SIGHUP)
        give_up_at = time.monotonic() + 20
        while client.get_contract("arm").policy_digest == before:
            assert time.monotonic() < give_up_at
            time.sleep(0.05)
        assert client.get_contract("arm").policy_digest == digest_of(marked[0])
        marked[0].write_text("broken")
        server.signal(signal.SIGHUP)
        while "was not reloaded" not in server.log:
            assert time.monotonic() < give_up_at
            time.sleep(0.05)
        assert client.get_contract("arm").policy_digest != before


def test_several_policies_in_one_process(marked: tuple[Path, Path]) -> None:
    arguments = ["--stand-in", "--checkpoints", f"one={marked[0]}", f"two={marked[1]}"]
    blank = blank_observation(stand_in_contract(StandInOptions()))
    with ServerProcess(arguments) as server, BlockingPolicyClient(server.address) as client:
        stream = client.open_stream()
        for sequence, (name, mark) in enumerate((("one", 1e-3), ("two", 2e-3), ("one", 1e-3))):
            stream.send(dataclasses.replace(blank, policy=name, sequence=sequence, deadline=10.0))
            reply = stream.receive(10)
            assert isinstance(reply, ActionChunk)
            assert reply.policy_digest == client.get_contract(name).policy_digest
            assert reply.actions[0, 2] == mark
        stream.close()
