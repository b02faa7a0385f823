"""The network between bridge and policy server: late, repeated, out of order, or silently gone."""

import asyncio
import random
import time
from pathlib import Path

import numpy as np
from bad_trial import SPEED, BadTrial, play
from wires import Delivery, MessageProxy, TcpProxy

from policy_server.server_process import ServerProcess

STEP = 0.1  # [s] of the stand-in


def late_twice_and_in_any_order(reply: bytes, rng: random.Random) -> list[Delivery]:
    delays = [rng.choice((0.0, 0.05, 0.2, 0.6, 2.0)) * rng.random() for _ in range(2)]
    return [(delay, reply) for delay in delays]


def test_fault_04_delay_jitter_reordering_duplicates(tmp_path: Path, calm_server: ServerProcess) -> None:
    """No chunk is executed twice, out of order or past its end, and its deltas never add up to more speed."""

    async def scene(trial: BadTrial) -> None:
        await trial.start()
        proxy.rule = late_twice_and_in_any_order
        until = time.monotonic() + 8.0
        while time.monotonic() < until:
            await trial.run(moving=False)
            await asyncio.sleep(0.2)

    with MessageProxy(calm_server.address) as proxy:
        tape = play(tmp_path, scene, server=calm_server.address, through=proxy.address)
    tape.expect_no_stale_motion()
    used = [c.chunk.sequence for c in tape.recording.chunks if not c.refusal]
    assert len(used) >= 3
    assert len(set(used)) == len(used), "each once"
    assert used == sorted(used)
    observed = {c.chunk.sequence: c.chunk.observed_at for c in tape.recording.chunks}
    driven = [t for t in tape.ticks if t.mode == "RUNNING" and t.chunk_sequence in observed]
    ages = [t.at - observed[t.chunk_sequence] for t in driven]
    assert max(ages) <= 16 * STEP + 0.1 + 1e-6, "nothing is sent after a chunk's last step"
    heights = np.array([t.sent.flange_pose.position[2] for t in tape.ticks])
    assert heights[0] - heights[-1] <= SPEED * (tape.ticks[-1].at - tape.ticks[0].at) + 0.003


def test_fault_05_short_partition_is_ridden_out_or_held(tmp_path: Path, calm_server: ServerProcess) -> None:
    async def scene(trial: BadTrial) -> None:
        await trial.start()
        for _ in range(3):
            proxy.cut()
            await asyncio.sleep(0.1)
            proxy.mend()
            await asyncio.sleep(0.5)
        await trial.run()

    with TcpProxy(calm_server.address) as proxy:
        tape = play(tmp_path, scene, server=calm_server.address, through=proxy.address)
    tape.expect_no_stale_motion()


def test_fault_05_half_open_connection(tmp_path: Path, calm_server: ServerProcess) -> None:
    """Nobody says that the connection is gone. The arm holds, keep-alive finds out, a person resumes."""

    async def scene(trial: BadTrial) -> None:
        await trial.start()
        cut_at.append(time.monotonic())
        proxy.cut()
        await trial.until(lambda s: s.mode == "HOLDING" and "chunk" in s.why)
        await trial.until(lambda s: s.server_state != "connected")
        noticed_at.append(time.monotonic())
        await asyncio.sleep(1.0)
        stood = await trial.until(lambda s: True)
        mended_at.append(time.monotonic())
        proxy.mend()
        back = await trial.until(lambda s: s.server_state == "connected", 30.0)
        await asyncio.sleep(0.5)
        assert back.mode == "HOLDING"
        assert abs(back.tcp_pose.position[2] - stood.tcp_pose.position[2]) < 1e-3
        await trial.run()

    cut_at: list[float] = []
    noticed_at: list[float] = []
    mended_at: list[float] = []
    with TcpProxy(calm_server.address) as proxy:
        tape = play(tmp_path, scene, server=calm_server.address, through=proxy.address)
    tape.expect_no_stale_motion()
    gap = tape.largest_gap(cut_at[0], noticed_at[0])
    assert noticed_at[0] - cut_at[0] <= 2 * 1.0 + 2.0 + 5 * gap  # two keep-alive periods, and a busy machine
    stands = [t for t in tape.ticks if noticed_at[0] <= t.at <= mended_at[0]]
    assert len({t.sent.flange_pose.position.tobytes() for t in stands}) == 1
