"""Faults 15 and 16: the disk is full, the recorder is killed, the bridge is killed. Real processes.

The control loop goes on, the trial is said to be unrecorded, every earlier trial stays readable, and of the
present one no more than its last second is lost.
"""

import asyncio
import json
import os
import resource
import signal
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from policy_server.server_process import ServerProcess
from robot_bridge.bridge_process import BridgeProcess
from robot_bridge.recording.reading import Recording, read_recording
from robot_bridge.recording.rehearsed import wait_for
from robot_bridge.recording.replay import replay
from robot_bridge.rig_file import find_rig, load_rig
from robot_contract.client import BlockingPolicyClient, OperatorClient
from robot_contract.errors import BridgeUnavailable
from robot_contract.messages import BridgeStatus, ExportRequest, OperatorEvent, TrialSetup

BUSY = 1.5  # [s] that a busy test machine may take for what takes milliseconds


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("policy") / "stand-in.json"
    path.write_text(json.dumps({"mark_mm": -0.2, "chunk_length": 16}))
    with ServerProcess(["--stand-in", "--checkpoints", f"stand-in={path}"]) as process:
        yield process.address


def rig_file(folder: Path, server: str, *changes: tuple[str, str]) -> Path:
    """The mock rig with the server's tool, patient with slow machines."""
    with BlockingPolicyClient(server) as client:
        tool = client.get_contract("stand-in").flange_from_tcp
    mock = load_rig(find_rig("mock")).flange_from_tcp
    text = find_rig("mock").read_text()
    for old, new in (
        ("rate_hz: 30", "rate_hz: 15"),
        ("margin: 0.03", "margin: 0.2"),
        ("control_rate_hz: 100", "control_rate_hz: 50"),
        ("missed_ticks: 10 ", "missed_ticks: 100 "),
        ("deadline: 2.0", "deadline: 10.0"),
        ("  profile: reduced", "  arm_age: 0.1\n  profile: reduced"),
        (f"quaternion: {mock.quaternion.tolist()}", f"quaternion: {tool.quaternion.tolist()}"),
        (f"position: {mock.position.tolist()}", f"position: {tool.position.tolist()}"),
        *changes,
    ):
        assert old in text, old
        text = text.replace(old, new)
    path = folder / "patient_mock.yaml"
    path.write_text(text)
    return path


def writer_of(bridge: BridgeProcess) -> int:
    """The recorder process, a child of the bridge."""
    for thread in Path(f"/proc/{bridge.pid}/task").iterdir():
        for child in (thread / "children").read_text().split():
            if "robot_bridge.recording.writer" in Path(f"/proc/{child}/cmdline").read_text():
                return int(child)
    raise AssertionError("the bridge has no recorder process")


class Operator:
    def __init__(self, client: OperatorClient) -> None:
        self.client = client

    async def press(self, action: str) -> BridgeStatus:
        return await self.client.send(OperatorEvent(action=action, operator="ann"))  # type: ignore[arg-type]

    async def prepare(self, trial_id: str) -> BridgeStatus:
        return await self.client.prepare(
            TrialSetup(
                trial_id=trial_id,
                policy="stand-in",
                instruction="move down",
                start_pose="home",
                time_limit=60.0,
                record=True,
            )
        )

    async def begin(self, trial_id: str) -> None:
        for _ in range(30):  # a busy machine answers too late to arm; then it is measured again
            status = await self.prepare(trial_id)
            if not status.problems:
                break
            await asyncio.sleep(0.5)
        assert status.problems == ()
        await self.press("arm")
        await self.press("start")
        await self.until(lambda s: s.recording.active and s.elapsed > 0.0)

    async def end(self) -> BridgeStatus:
        await self.press("disarm")
        return await self.until(lambda s: not s.recording.active)

    async def until(self, holds: Callable[[BridgeStatus], bool], seconds: float = 30.0) -> BridgeStatus:
        async def look() -> BridgeStatus:
            async for status in self.client.watch(20.0):
                if holds(status):
                    return status
            raise AssertionError("the watch ended")

        return await asyncio.wait_for(look(), seconds)


def drive(
    rig: Path, server: str, folder: Path, play: Callable[[Operator, BridgeProcess], Awaitable[None]]
) -> None:
    arguments = ["--rig", str(rig), "--policy-server", server, "--recordings", str(folder)]
    with BridgeProcess([*arguments, "--log-level", "warning"]) as bridge:

        async def scene() -> None:
            async with OperatorClient(bridge.address) as client:
                await play(Operator(client), bridge)

        asyncio.run(scene())


def assert_whole(path: Path) -> Recording:
    recording = read_recording(path)
    assert recording.cut == ""
    assert recording.end is not None
    assert replay(path).differences == []
    return recording


def test_killed_recorder_loses_a_second_and_nothing_else(tmp_path: Path, server: str) -> None:
    folder, killed_at = tmp_path / "recordings", 0.0

    async def play(operator: Operator, bridge: BridgeProcess) -> None:
        nonlocal killed_at
        await operator.begin("before")
        await operator.until(lambda s: s.elapsed > 1.0)
        await operator.end()
        await operator.begin("hit")
        status = await operator.until(lambda s: s.elapsed > 2.0)
        killed_at = status.at
        os.kill(writer_of(bridge), signal.SIGKILL)
        status = await operator.until(lambda s: s.recording.problem != "")
        assert (
            "the recorder process ended; this trial is not recorded any further" in status.recording.problem
        )
        assert not status.recording.active
        later = await operator.until(lambda s: s.ticks > status.ticks + 25)
        assert later.mode == "RUNNING", "the loop does not care"
        await operator.end()
        await operator.begin("after")
        status = await operator.until(lambda s: s.elapsed > 1.0)
        assert status.recording.problem == ""
        await operator.end()
        wait_for((folder / "after.mcap").exists)
        wanted = ExportRequest(trial_ids=("before", "after"), format="lerobot", destination="both")
        said = [progress.sentence async for progress in operator.client.export(wanted)]
        assert said[-1].endswith("both: 2 episodes")
        with pytest.raises(BridgeUnavailable, match="exists already"):
            [progress async for progress in operator.client.export(wanted)]

    drive(rig_file(tmp_path, server), server, folder, play)
    assert_whole(folder / "before.mcap")
    assert_whole(folder / "after.mcap")
    hit = read_recording(folder / "hit.mcap.part")
    assert hit.end is None
    assert hit.cut
    assert hit.ticks[-1].at > killed_at - 1.0 - BUSY
    assert replay(folder / "hit.mcap.part").differences == []


def test_killed_bridge_loses_a_second_and_nothing_else(tmp_path: Path, server: str) -> None:
    folder, killed_at = tmp_path / "recordings", 0.0

    async def play(operator: Operator, bridge: BridgeProcess) -> None:
        nonlocal killed_at
        await operator.begin("before")
        await operator.until(lambda s: s.elapsed > 1.0)
        await operator.end()
        await operator.begin("hit")
        killed_at = (await operator.until(lambda s: s.elapsed > 2.0)).at
        bridge.signal(signal.SIGKILL)

    drive(rig_file(tmp_path, server), server, folder, play)
    wait_for((folder / "hit.mcap").exists)
    assert_whole(folder / "before.mcap")
    hit = read_recording(folder / "hit.mcap")
    assert hit.cut == "", "the recorder process outlived the bridge and finished the file"
    assert hit.end is None
    assert hit.ticks[-1].at > killed_at - 1.0 - BUSY
    assert replay(folder / "hit.mcap").differences == []


def test_full_disk_leaves_the_loop_alone(tmp_path: Path, server: str) -> None:
    """No file of the recorder may grow beyond this size: what a full disk looks like to it."""
    folder = tmp_path / "recordings"

    async def play(operator: Operator, bridge: BridgeProcess) -> None:
        await operator.begin("before")
        await operator.until(lambda s: s.elapsed > 1.0)
        await operator.end()
        wait_for((folder / "before.mcap").exists)
        unlimited = resource.prlimit(writer_of(bridge), resource.RLIMIT_FSIZE)
        resource.prlimit(writer_of(bridge), resource.RLIMIT_FSIZE, (60_000, unlimited[1]))
        await operator.begin("hit")
        status = await operator.until(lambda s: s.recording.problem != "")
        assert "hit.mcap: File too large" in status.recording.problem
        assert "this trial is not recorded any further" in status.recording.problem
        later = await operator.until(lambda s: s.ticks > status.ticks + 25)
        assert later.mode == "RUNNING", "the loop does not care"
        await operator.end()
        resource.prlimit(writer_of(bridge), resource.RLIMIT_FSIZE, unlimited)
        await operator.begin("after")
        await operator.until(lambda s: s.elapsed > 1.0)
        await operator.end()

    drive(rig_file(tmp_path, server), server, folder, play)
    assert_whole(folder / "before.mcap")
    assert_whole(folder / "after.mcap")
    hit = read_recording(folder / "hit.mcap.part")
    assert hit.begin.setup.trial_id == "hit"
    assert hit.end is None


def test_little_space_refuses_the_trial_not_the_bridge(tmp_path: Path, server: str) -> None:
    async def play(operator: Operator, bridge: BridgeProcess) -> None:
        with pytest.raises(BridgeUnavailable, match="GB are free for recordings"):
            await operator.prepare("t-1")

    rig = rig_file(tmp_path, server, ("floor: 1000000000 ", "floor: 10000000000000 "))
    drive(rig, server, tmp_path / "recordings", play)
