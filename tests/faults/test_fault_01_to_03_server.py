"""The policy server dies, hangs, or comes back as another one."""

import asyncio
import signal
import socket
import time
from pathlib import Path

import pytest
from bad_trial import LONGEST_CHUNK_AGE, SPEED, BadTrial, Tape, is_not_running, play, stand_in
from wires import TcpProxy

from policy_server.server_process import ServerProcess
from robot_contract.client import BlockingPolicyClient
from robot_contract.errors import BridgeUnavailable, PolicyUnavailable


def expect_hold_after_the_last_target(tape: Tape, lost_at: float) -> None:
    """The arm stands on its last target at once; 100 ms later the operator is needed."""
    tape.expect_no_stale_motion()
    running = [tick for tick in tape.ticks if tick.mode == "RUNNING"]
    held = tape.first(is_not_running, running[-1].at)
    assert held.mode.startswith("HOLDING")
    assert "chunk" in held.why
    last_target_at = max(t.at - t.chunk_age for t in running if abs(t.chunk_age) < 1e6)
    gap = tape.largest_gap(lost_at - 0.2, held.at)
    assert tape.standstill(last_target_at) - last_target_at <= SPEED / 2.0 + 0.1 + 3 * gap
    if "newer chunk" in held.why:
        assert held.at - last_target_at <= LONGEST_CHUNK_AGE + gap + 0.02
    else:  # a tick that came too late had dropped the targets, and the arm stood since then
        dropped_at = max(lost_at, *(t.at for t in running if abs(t.chunk_age) < 1e6))
        assert held.at - dropped_at <= 2.0 + gap + 0.1
    assert tape.ticks[-1].mode.startswith("HOLDING")


def test_fault_01_server_killed_mid_chunk(tmp_path: Path) -> None:
    async def scene(trial: BadTrial) -> None:
        await trial.start()
        await asyncio.sleep(0.5)
        lost_at.append(time.monotonic())
        server.signal(signal.SIGKILL)
        await trial.until(lambda s: s.mode == "HOLDING" and "chunk" in s.why)
        status = await trial.until(lambda s: s.server_state != "connected")
        assert "UNAVAILABLE" in status.server_state
        with pytest.raises(BridgeUnavailable, match="policy server"):
            await trial.act("start")
        await asyncio.sleep(0.5)

    lost_at: list[float] = []  # [s] the bridge's clock is this machine's monotonic one
    with ServerProcess(stand_in(tmp_path)) as server:
        tape = play(tmp_path, scene, server=server.address)
    expect_hold_after_the_last_target(tape, lost_at[0])


def test_fault_01_server_killed_while_the_arm_stands(tmp_path: Path) -> None:
    """Nothing is asked then, and the operator still reads that the server has gone."""

    async def scene(trial: BadTrial) -> None:
        await trial.start()
        await trial.act("pause")
        await asyncio.sleep(2.5)  # longer than any answer is waited for
        server.signal(signal.SIGKILL)
        await trial.until(lambda s: s.server_state != "connected")

    with ServerProcess(stand_in(tmp_path)) as server:
        tape = play(tmp_path, scene, server=server.address)
    paused = tape.first(is_not_running, tape.ticks[0].at + 0.4)
    tape.expect_rest_after(paused)


def test_fault_02_server_hangs(tmp_path: Path) -> None:
    """It accepts and never replies again; a bridge that is told to end meanwhile ends, and brakes."""

    async def scene(trial: BadTrial) -> None:
        await trial.start()
        await asyncio.sleep(0.5)
        server.signal(signal.SIGSTOP)
        before = await trial.until(lambda s: s.mode == "HOLDING" and "chunk" in s.why)
        await asyncio.sleep(0.5)
        after = await trial.until(lambda s: True)
        assert after.ticks > before.ticks, "the loop does not wait for the server"
        trial.bridge.signal(signal.SIGTERM)
        assert await asyncio.to_thread(trial.bridge.wait, 30.0) == 0

    with ServerProcess(stand_in(tmp_path)) as server:
        try:
            tape = play(tmp_path, scene, server=server.address)
        finally:
            server.signal(signal.SIGCONT)
    held = tape.first(is_not_running, tape.ticks[0].at + 1.0)
    assert held.mode.startswith("HOLDING")
    tape.expect_no_stale_motion()
    tape.expect_rest_after(held)


def test_fault_02_server_that_never_answered_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        address = f"127.0.0.1:{deaf.getsockname()[1]}"
        with (
            BlockingPolicyClient(address) as client,
            pytest.raises(PolicyUnavailable, match=r"DEADLINE|UNAVAILABLE"),
        ):
            client.get_contract("stand-in", timeout=1.0)


def test_fault_03_server_comes_back_with_another_policy(tmp_path: Path) -> None:
    async def scene(trial: BadTrial) -> None:
        await trial.start()
        await asyncio.sleep(0.5)
        lost_at.append(time.monotonic())
        first.signal(signal.SIGKILL)
        proxy.upstream = second.address
        await trial.until(lambda s: s.mode == "HOLDING")
        status = await trial.until(lambda s: "is another policy" in s.server_state)
        assert "digest" in status.server_state
        with pytest.raises(BridgeUnavailable, match="is another policy"):
            await trial.act("start")
        await asyncio.sleep(0.5)

    lost_at: list[float] = []
    with (
        ServerProcess(stand_in(tmp_path)) as first,
        ServerProcess(stand_in(tmp_path, mark_mm=-2.0)) as second,
        TcpProxy(first.address) as proxy,
    ):
        tape = play(tmp_path, scene, server=first.address, through=proxy.address)
    expect_hold_after_the_last_target(tape, lost_at[0])
    digests = {chunk.chunk.policy_digest for chunk in tape.recording.chunks}
    assert len(digests) == 1, "no chunk of the other policy was used"
