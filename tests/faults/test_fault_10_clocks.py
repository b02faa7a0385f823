"""The wall clock means nothing to the bridge, and a leap of its own clock makes everything old."""

import asyncio
from pathlib import Path

import pytest
from bad_trial import BadTrial, is_not_running, play

from policy_server.server_process import ServerProcess


@pytest.mark.parametrize("hours", [1, -1])
def test_fault_10_wall_clock_steps(tmp_path: Path, calm_server: ServerProcess, hours: int) -> None:
    async def scene(trial: BadTrial) -> None:
        await trial.start()
        stepped_at.append(trial.bridge.inject(f"wall_clock {3600 * hours}"))
        await asyncio.sleep(1.5)
        await trial.run()

    stepped_at: list[float] = []
    tape = play(tmp_path, scene, server=calm_server.address)
    tape.expect_no_stale_motion()
    after = [t for t in tape.ticks if t.at >= stepped_at[0]]
    assert len(after) > 20
    assert all(t.chunk_age + 1.0 > -1.0 or t.chunk_age == float("inf") for t in after)
    assert all(0.0 <= age < 30.0 for t in after for age in t.camera_ages.values())
    assert after[-1].at - after[0].at < 60.0, "the recording's own time did not step"


def test_fault_10_the_bridge_s_own_clock_leaps(tmp_path: Path, calm_server: ServerProcess) -> None:
    """As after a suspended computer: what was planned is past, nothing is caught up, and a person resumes."""

    async def scene(trial: BadTrial) -> None:
        await trial.start()
        leapt_at.append(trial.bridge.inject("leap 10"))
        await trial.until(lambda s: s.mode == "HOLDING")
        await asyncio.sleep(0.5)

    leapt_at: list[float] = []
    tape = play(tmp_path, scene, server=calm_server.address)
    before = [t for t in tape.ticks if t.at < leapt_at[0] - 5.0][-1]
    held = tape.first(is_not_running, leapt_at[0] - 1.0)
    moved = held.sent.flange_pose.position - before.sent.flange_pose.position
    assert abs(moved[2]) < 0.002
    tape.expect_no_stale_motion()
