"""A camera freezes, is swapped, unplugged and plugged in again."""

import asyncio
from pathlib import Path

import pytest
from bad_trial import BadTrial, is_not_running, play

from policy_server.server_process import ServerProcess
from robot_contract.errors import BridgeUnavailable

# As the rig of these tests has it: latency + 2 frame periods + margin, and equal pictures in a row.
AGE_LIMIT = 0.03 + 2 / 15 + 0.2  # [s]
FROZEN = 0.03 + 11 / 15  # [s]
LONGEST_HOLD = 0.5  # [s] before the operator is needed


def test_fault_08_frozen_picture(tmp_path: Path, calm_server: ServerProcess) -> None:
    """New frames with the same picture count for nothing: the policy is not asked with them."""

    async def scene(trial: BadTrial) -> None:
        await trial.start()
        frozen_at.append(trial.bridge.inject("freeze wrist"))
        status = await trial.until(lambda s: s.mode == "HOLDING" and "frozen" in s.why)
        assert "camera wrist is frozen" in status.why
        with pytest.raises(BridgeUnavailable, match="camera wrist is frozen"):
            await trial.act("start")

    frozen_at: list[float] = []
    tape = play(tmp_path, scene, server=calm_server.address)
    held = tape.expect_within(
        FROZEN + LONGEST_HOLD, frozen_at[0], lambda t: is_not_running(t) and "frozen" in t.why
    )
    onset = [t for t in tape.ticks if t.at <= held.at and t.mode == "RUNNING" and t.verdict.kind == "HOLD"]
    assert onset, "it held before it asked for the operator"
    tape.expect_rest_after(held)


def test_fault_08_swapped_cameras_are_found_before_arming(tmp_path: Path, calm_server: ServerProcess) -> None:
    async def scene(trial: BadTrial) -> None:
        said = "; ".join((await trial.prepare()).problems)
        assert "camera external: the policy wants it mounted 'external', the rig's is 'wrist'" in said
        assert "camera wrist: the policy wants it mounted 'wrist', the rig's is 'external'" in said
        with pytest.raises(BridgeUnavailable, match="camera external: the policy wants it mounted"):
            await trial.act("arm")

    swap = (
        ("mount: external", "mount: swapped"),
        ("mount: wrist", "mount: external"),
        ("mount: swapped", "mount: wrist"),
    )
    with pytest.raises((FileNotFoundError, ValueError)):  # nothing ran, so nothing was recorded
        play(tmp_path, scene, server=calm_server.address, changes=swap)


def test_fault_09_camera_unplugged_and_plugged_in_again(tmp_path: Path, calm_server: ServerProcess) -> None:
    async def scene(trial: BadTrial) -> None:
        await trial.start()
        lost_at.append(trial.bridge.inject("silence external"))
        await trial.until(lambda s: s.mode == "HOLDING" and "camera external" in s.why)
        with pytest.raises(BridgeUnavailable, match="camera external: its picture is"):
            await trial.act("start")
        back_at.append(trial.bridge.inject("restore external"))
        await asyncio.sleep(1.0)
        assert (await trial.until(lambda s: True)).mode == "HOLDING", "it needs a person"
        resumed_at.append((await trial.run()).at)

    lost_at: list[float] = []
    back_at: list[float] = []
    resumed_at: list[float] = []
    tape = play(tmp_path, scene, server=calm_server.address)
    for tick in tape.ticks:
        if tick.mode == "RUNNING" and not tick.camera_ages["external"] <= AGE_LIMIT:
            assert tick.verdict.kind == "HOLD"
    tape.expect_within(
        AGE_LIMIT + LONGEST_HOLD, lost_at[0], lambda t: is_not_running(t) and "camera external" in t.why
    )
    tape.expect_within(AGE_LIMIT, lost_at[0], lambda t: is_not_running(t) or t.verdict.kind == "HOLD")
    stands = [t for t in tape.ticks if lost_at[0] + 2.0 <= t.at <= back_at[0]]
    assert len({t.sent.flange_pose.position.tobytes() for t in stands}) <= 1
    assert any(tick.mode == "RUNNING" and tick.at > back_at[0] for tick in tape.ticks), "a person resumed it"
    assert resumed_at[0] > back_at[0]
