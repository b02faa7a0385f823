"""Too little processor: a thread that keeps the interpreter to itself, and programs that want every core."""

import asyncio
import subprocess
import sys
from pathlib import Path

from bad_trial import BadTrial, is_not_running, play

from policy_server.server_process import ServerProcess

MISSED_TICKS = 25  # in a row; as the rig of these tests has it, half a second


def test_fault_17_interpreter_taken_away(tmp_path: Path, calm_server: ServerProcess) -> None:
    """As by a long garbage collection: the missed ticks are counted, not caught up, and the arm holds."""

    async def scene(trial: BadTrial) -> None:
        await trial.start()
        hogged_at.append(trial.bridge.inject("hog 2.0"))
        await trial.until(lambda s: s.mode == "HOLDING")
        await asyncio.sleep(0.5)

    hogged_at: list[float] = []
    tape = play(tmp_path, scene, server=calm_server.address)
    held = tape.first(is_not_running, hogged_at[0] - 0.5)
    assert held.mode.startswith("HOLDING")
    before = [t for t in tape.ticks if t.at < held.at][-1]
    assert tape.ticks[-1].missed_ticks - before.missed_ticks > MISSED_TICKS
    assert "ticks in a row" in held.why or "chunk" in held.why
    moved = abs(held.sent.flange_pose.position - before.sent.flange_pose.position).max()
    assert moved < 0.001, "nothing of what was missed is caught up"
    tape.expect_no_stale_motion()


def test_fault_17_every_core_wanted_by_others(tmp_path: Path, calm_server: ServerProcess) -> None:
    """Whatever the machine still allows: nothing stale is sent, and the loop lives."""

    async def scene(trial: BadTrial) -> None:
        await trial.start()
        burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(6)]
        try:
            await asyncio.sleep(3.0)
        finally:
            for burner in burners:
                burner.kill()
                burner.wait()
        await trial.run()

    tape = play(tmp_path, scene, server=calm_server.address)
    tape.expect_no_stale_motion()
    assert tape.ticks[-1].missed_ticks >= tape.ticks[0].missed_ticks
