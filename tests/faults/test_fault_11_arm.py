"""The arm itself gives up: reflex, user stop, joint limit, a dead link, a state that stands still."""

import asyncio
from pathlib import Path

import pytest
from bad_trial import BadTrial, is_not_running, play

from policy_server.server_process import ServerProcess
from robot_contract.errors import BridgeUnavailable

COOL_DOWN = 0.6  # [s] longer than a clear has to wait


@pytest.mark.parametrize("fault", ["cartesian_reflex", "user_stopped", "joint_position_limits_violation"])
def test_fault_11_named_latched_and_cleared_by_a_person_only(
    tmp_path: Path, calm_server: ServerProcess, fault: str
) -> None:
    async def scene(trial: BadTrial) -> None:
        await trial.start()
        tripped_at.append(trial.bridge.inject(f"trip {fault}"))
        status = await trial.until(lambda s: s.mode == "FAULT")
        assert fault in status.why
        await asyncio.sleep(2.0)
        assert (await trial.until(lambda s: True)).mode == "FAULT", "nothing clears it by itself"
        for action in ("arm", "start"):
            with pytest.raises(BridgeUnavailable, match=fault):
                await trial.act(action)  # type: ignore[arg-type]
        assert (await trial.act("clear")).mode == "IDLE"
        stood = await trial.until(lambda s: True)
        await asyncio.sleep(0.5)
        after = await trial.until(lambda s: True)
        assert after.mode == "IDLE"
        assert abs(after.tcp_pose.position - stood.tcp_pose.position).max() < 1e-6

    tripped_at: list[float] = []
    tape = play(tmp_path, scene, server=calm_server.address)
    found = tape.expect_within(0.02, tripped_at[0], lambda t: t.mode == "FAULT")
    assert found.verdict.kind == "STOP"
    assert not found.was_tracked, "an arm that has stopped by itself is sent nothing"
    assert not any(t.was_tracked for t in tape.ticks if t.at >= found.at)


def test_fault_11_link_lost(tmp_path: Path, calm_server: ServerProcess) -> None:
    async def scene(trial: BadTrial) -> None:
        await trial.start()
        lost_at.append(trial.bridge.inject("link down"))
        await trial.until(lambda s: s.mode == "FAULT" and "link is down" in s.why)
        await asyncio.sleep(COOL_DOWN)
        with pytest.raises(BridgeUnavailable, match="does not recover"):
            await trial.act("clear")
        trial.bridge.inject("link up")
        await asyncio.sleep(COOL_DOWN)
        assert (await trial.act("clear")).mode == "IDLE"

    lost_at: list[float] = []
    tape = play(tmp_path, scene, server=calm_server.address)
    found = tape.expect_within(0.02, lost_at[0], lambda t: t.mode == "FAULT")
    assert found.verdict.kind == "STOP"


def test_fault_11_state_stands_still(tmp_path: Path, calm_server: ServerProcess) -> None:
    """The arm answers, always the same: it holds when the state is too old, and then needs a person."""

    async def scene(trial: BadTrial) -> None:
        await trial.start()
        frozen_at.append(trial.bridge.inject("freeze_state on"))
        await trial.until(lambda s: s.mode == "HOLDING" and "old" in s.why)
        trial.bridge.inject("freeze_state off")
        await asyncio.sleep(1.0)
        assert (await trial.until(lambda s: True)).mode == "HOLDING"

    frozen_at: list[float] = []
    tape = play(tmp_path, scene, server=calm_server.address)
    arm_age = 0.1  # [s] as the rig has it
    held = tape.expect_within(arm_age + 0.02, frozen_at[0], lambda t: t.verdict.kind == "HOLD")
    for tick in tape.ticks:
        if tick.mode == "RUNNING" and not tick.at - tick.state.arm.measured_at <= arm_age:
            assert tick.verdict.kind == "HOLD"
    tape.expect_within(0.5 + 0.04, held.at, is_not_running)
