"""The operator's side: a released key, a sleeping page, a dead network, a second console, a second bridge."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from bad_trial import WITH_KEY, BadTrial, InjectableBridge, Tape, is_not_running, play, write_rig
from wires import TcpProxy

from policy_server.server_process import ServerProcess
from robot_contract.client import OperatorClient
from robot_contract.errors import BridgeUnavailable
from robot_contract.messages import OperatorEvent

LONGEST_HOLD_AGE = 0.25  # [s] from a nonce's leaving to its echo's last use


def expect_key_to_be_heeded(tape: Tape, lost_at: float, promise: float) -> None:
    for tick in tape.ticks:
        if tick.mode == "RUNNING":
            assert tick.held
            assert tick.hold_age <= LONGEST_HOLD_AGE
    held = tape.expect_within(promise, lost_at, is_not_running)
    assert held.mode.startswith("HOLDING")
    tape.expect_rest_after(held)


async def falls_asleep(trial: BadTrial) -> None:
    trial.is_listening = False


async def lets_go(trial: BadTrial) -> None:
    trial.press_id = 0


@pytest.mark.parametrize(
    ("loss", "promise"),
    [(lets_go, 0.05 + 0.02), (falls_asleep, LONGEST_HOLD_AGE + 0.02)],
    ids=["released", "asleep"],
)
def test_fault_13_key_lost(
    tmp_path: Path,
    calm_server: ServerProcess,
    loss: Callable[[BadTrial], Awaitable[None]],
    promise: float,
) -> None:
    """A release counts at once, heartbeats that simply stop after 250 ms; neither comes back by itself."""

    async def scene(trial: BadTrial) -> None:
        async with trial.key():
            await trial.start()
            lost_at.append(time.monotonic())
            await loss(trial)
            await trial.until(lambda s: s.mode == "HOLDING", 5.0)
            trial.is_listening = True
            await asyncio.sleep(0.7)
            assert (await trial.until(lambda s: True)).mode == "HOLDING"

    lost_at: list[float] = []
    tape = play(tmp_path, scene, server=calm_server.address, changes=(WITH_KEY,))
    # The page's own delay on a busy machine counts as well; a nonce leaves every 50 ms.
    expect_key_to_be_heeded(tape, lost_at[0], promise + 0.1)


def test_fault_13_wireless_network_gone(tmp_path: Path, calm_server: ServerProcess) -> None:
    """The console's connection hangs half-open; what it had sent arrives late, and is worth nothing."""

    async def scene(trial: BadTrial) -> None:
        with TcpProxy(trial.bridge.address) as air:
            async with OperatorClient(air.address) as client:
                far = BadTrial(client, trial.bridge)
                async with far.key():
                    await far.start()
                    lost_at.append(time.monotonic())
                    air.cut()
                    await trial.until(lambda s: s.mode == "HOLDING", 5.0)
                    air.mend()
                    await asyncio.sleep(0.7)
                    assert (await trial.until(lambda s: True)).mode == "HOLDING"

    lost_at: list[float] = []
    tape = play(tmp_path, scene, server=calm_server.address, changes=(WITH_KEY,))
    expect_key_to_be_heeded(tape, lost_at[0], LONGEST_HOLD_AGE + 0.02 + 0.1)


def test_fault_14_second_console_and_second_bridge(tmp_path: Path, calm_server: ServerProcess) -> None:
    """Only one holds and commands, both may stop; a second bridge on the same address does not start."""

    async def scene(trial: BadTrial) -> None:
        async with trial.key(), OperatorClient(trial.bridge.address) as second:
            await trial.start()
            with pytest.raises(BridgeUnavailable, match="has the lease"):
                await second.send(OperatorEvent(action="pause", operator="bob"))
            with pytest.raises(BridgeUnavailable, match="has the lease"):
                async with second.hold_to_run() as stream:
                    await stream.receive()
            port = trial.bridge.address.rsplit(":", 1)[1]
            rig = write_rig(tmp_path / "second", calm_server.address, (WITH_KEY,))
            with pytest.raises(RuntimeError, match="another program has this port"):
                await asyncio.to_thread(
                    InjectableBridge, rig, calm_server.address, tmp_path / "second", port=int(port)
                )
            await trial.run()
            stopped_at.append(time.monotonic())
            status = await second.send(OperatorEvent(action="stop", operator="bob"))
            assert status.mode == "FAULT"
            assert status.why == "bob: stop"
            assert (await trial.act("stop")).mode == "FAULT", "and the holder may stop as well"

    (tmp_path / "second").mkdir()
    stopped_at: list[float] = []
    tape = play(tmp_path, scene, server=calm_server.address, changes=(WITH_KEY,))
    found = tape.expect_within(0.1, stopped_at[0], lambda t: t.mode == "FAULT")
    assert found.verdict.kind == "STOP"
    tape.expect_rest_after(found)
