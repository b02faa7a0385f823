"""The bridge dies or freezes. The arm's own watchdog ends the motion, and what was recorded can be read."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from arm_process import distant_arm
from bad_trial import SPEED, BadTrial, InjectableBridge, is_not_running, play, write_rig

from policy_server.server_process import ServerProcess
from robot_bridge.recording.reading import read_recording
from robot_contract.client import OperatorClient

HERE = Path(__file__).parent
TARGET_LIFETIME = 0.1  # [s] promised


@pytest.fixture
def arm(tmp_path: Path) -> Iterator[tuple[str, Any]]:
    """An arm in a process of its own: where it listens, and the arm as this test sees it."""
    socket = str(tmp_path / "arm")
    process = subprocess.Popen(
        [sys.executable, str(HERE / "arm_process.py"), socket], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready"
        yield socket, distant_arm(socket)
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def expect_rest(arm: Any, since: float) -> None:
    """The arm follows its last target for its lifetime, and then stands."""
    time.sleep(max(0.0, since + TARGET_LIFETIME + 0.05 - time.monotonic()))
    first = arm.read().flange_pose.position
    time.sleep(0.5)
    assert np.abs(arm.read().flange_pose.position - first).max() < 1e-9
    assert np.abs(arm.read().joint_velocity).max() < 1e-9


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_fault_12_the_arm_rests_without_its_bridge(
    tmp_path: Path, calm_server: ServerProcess, arm: tuple[str, Any], end: signal.Signals
) -> None:
    """A killed bridge's trial is on disk but for its last second, and the next bridge starts in IDLE."""
    socket, far = arm
    rig, recordings = write_rig(tmp_path, calm_server.address), tmp_path / "recordings"
    bridge = InjectableBridge(rig, calm_server.address, recordings, socket)

    async def drive() -> float:
        async with OperatorClient(bridge.address) as client:
            trial = BadTrial(client, bridge)
            await trial.start()
            await asyncio.sleep(1.0)
            await trial.run()
            ended_at = time.monotonic()
            bridge.signal(end)
            return ended_at

    try:
        ended_at = asyncio.run(drive())
        before = far.read().flange_pose.position
        expect_rest(far, ended_at)
        assert np.abs(far.read().flange_pose.position - before).max() <= SPEED * 0.3
        if end is signal.SIGKILL:
            assert bridge.wait(5.0) == -signal.SIGKILL
            expect_all_but_the_last_second(recordings, ended_at)
            expect_idle_successor(rig, calm_server.address, tmp_path / "next", socket, far)
        else:
            bridge.signal(signal.SIGCONT)
    finally:
        bridge.close()


def expect_all_but_the_last_second(recordings: Path, ended_at: float) -> None:
    until = time.monotonic() + 20.0
    while True:
        recording = read_recording(next(iter(recordings.iterdir())), with_pictures=False)
        if recording.ticks and recording.ticks[-1].at >= ended_at - 1.0:
            return
        assert time.monotonic() < until, "the recorder writes what it was given"
        time.sleep(0.1)


def expect_idle_successor(rig: Path, server: str, recordings: Path, socket: str, arm: Any) -> None:
    before = arm.read().flange_pose.position
    successor = InjectableBridge(rig, server, recordings, socket)

    async def look() -> None:
        async with OperatorClient(successor.address) as client:
            trial = BadTrial(client, successor)
            assert (await trial.until(lambda s: True)).mode == "IDLE"
            await asyncio.sleep(0.5)

    try:
        asyncio.run(look())
        assert np.abs(arm.read().flange_pose.position - before).max() < 1e-9
    finally:
        successor.close()
    assert np.abs(arm.read().flange_pose.position - before).max() < 1e-9, "nor does it move when it ends"


def test_fault_12_a_bridge_that_was_frozen_catches_nothing_up(
    tmp_path: Path, calm_server: ServerProcess
) -> None:
    async def scene(trial: BadTrial) -> None:
        await trial.start()
        frozen_at.append(time.monotonic())
        trial.bridge.signal(signal.SIGSTOP)
        await asyncio.sleep(3.0)
        trial.bridge.signal(signal.SIGCONT)
        await trial.until(lambda s: s.mode == "HOLDING")
        await asyncio.sleep(0.5)

    frozen_at: list[float] = []
    tape = play(tmp_path, scene, server=calm_server.address)
    woken = next(t for t in tape.ticks if t.at >= frozen_at[0] + 1.0)
    before = [t for t in tape.ticks if t.at < woken.at][-1]
    assert woken.at - before.at > 1.0
    after = [t for t in tape.ticks if t.at >= woken.at]
    held = tape.first(is_not_running, woken.at)
    assert held.mode.startswith("HOLDING")
    moved = [abs(t.sent.flange_pose.position - before.sent.flange_pose.position).max() for t in after]
    assert max(moved) <= SPEED * 0.3
    tape.expect_no_stale_motion()
