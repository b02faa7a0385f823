"""A policy server that answers with nonsense: not numbers, not chunks, or jumps."""

import asyncio
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bad_trial import BadTrial, Tape, play
from wires import Delivery, MessageProxy, Rule, honest, with_actions

from policy_server.server_process import ServerProcess
from robot_contract.pose import angle_between


def filled_with(value: float) -> Rule:
    def change(chunk: Any, rng: random.Random) -> None:
        chunk.actions[rng.randrange(16) * 7 + rng.randrange(6)] = value

    return with_actions(change)


def of_length(count: int) -> Rule:
    def change(chunk: Any, rng: random.Random) -> None:
        del chunk.actions[:]
        chunk.actions.extend([0.0] * count)

    return with_actions(change)


def claiming_steps(steps: int) -> Rule:
    return with_actions(lambda chunk, rng: setattr(chunk, "steps", steps))


def garbage(reply: bytes, rng: random.Random) -> list[Delivery]:
    return [(0.0, rng.randbytes(200))]


def empty(reply: bytes, rng: random.Random) -> list[Delivery]:
    return [(0.0, b"")]


def oversized(reply: bytes, rng: random.Random) -> list[Delivery]:
    return [(0.0, reply + b"\x7a" + b"\x80\x80\x80\x14" + bytes(40 << 20))]


NONSENSE: dict[str, Rule] = {
    "nan": filled_with(float("nan")),
    "inf": filled_with(float("inf")),
    "minus_inf": filled_with(float("-inf")),
    "too_few": of_length(7 * 15),
    "none": of_length(0),
    "other_shape": claiming_steps(7),
    "garbage": garbage,
    "empty": empty,
    "oversized": oversized,
}


def test_fault_06_nonsense_never_reaches_the_arm(tmp_path: Path, calm_server: ServerProcess) -> None:
    """Every kind in one trial: the arm holds, the reason is said, a person resumes."""

    async def scene(trial: BadTrial) -> None:
        await trial.start()
        for name, rule in NONSENSE.items():
            proxy.rule = rule
            status = await trial.until(lambda s: s.mode == "HOLDING" and "chunk" in s.why)
            said[name] = status.why
            proxy.rule = honest
            await trial.run()

    said: dict[str, str] = {}
    with MessageProxy(calm_server.address) as proxy:
        tape = play(tmp_path, scene, server=calm_server.address, through=proxy.address)
    assert set(said) == set(NONSENSE)
    for name in ("nan", "inf", "minus_inf", "too_few", "none", "other_shape"):
        assert "malformed" in said[name], said[name]
    tape.expect_no_stale_motion()
    for tick in tape.ticks:  # the harness has checked that each sent pose is finite
        assert tick.verdict.kind != "STOP"


@pytest.mark.parametrize("value", [1e30, -1e300])
def test_fault_06_finite_but_absurd_is_a_fault_of_the_policy(
    tmp_path: Path, calm_server: ServerProcess, value: float
) -> None:
    async def scene(trial: BadTrial) -> None:
        await trial.start()
        proxy.rule = filled_with(value)
        await trial.until(lambda s: s.mode in ("FAULT", "HOLDING"))
        await asyncio.sleep(0.5)

    with MessageProxy(calm_server.address) as proxy:
        tape = play(tmp_path, scene, server=calm_server.address, through=proxy.address)
    tape.expect_rest_after(tape.first(lambda t: t.mode != "RUNNING", tape.ticks[-1].at - 3.0))


def test_fault_06_subnormal_is_a_number(tmp_path: Path, calm_server: ServerProcess) -> None:
    async def scene(trial: BadTrial) -> None:
        await trial.start()
        proxy.rule = filled_with(5e-324)
        await asyncio.sleep(2.5)
        await trial.run()

    with MessageProxy(calm_server.address) as proxy:
        tape = play(tmp_path, scene, server=calm_server.address, through=proxy.address)
    tape.expect_no_stale_motion()


def jumping(size: float) -> Rule:
    """Every step somewhere else, `size` metres away along each axis."""

    def change(chunk: Any, rng: random.Random) -> None:
        for step in range(16):
            for axis in range(3):
                chunk.actions[7 * step + axis] = rng.choice((-size, size))
            for axis in range(3, 6):
                chunk.actions[7 * step + axis] = rng.choice((-0.04, 0.04))

    return with_actions(change)


def expect_within_the_limits(tape: Tape) -> None:
    """Speed and angular speed of what was sent between ticks that are close enough to count."""
    for before, tick in zip(tape.ticks, tape.ticks[1:], strict=False):
        seconds = tick.at - before.at
        if not tick.was_tracked or tick.verdict.codes == ("tick",) or not seconds > 0.002:
            continue
        a, b = before.sent.flange_pose, tick.sent.flange_pose
        assert angle_between(a, b) / seconds <= 0.5 * 1.01
        tool = tick.state.flange_from_tcp
        way = (b @ tool).position - (a @ tool).position
        assert float(np.linalg.norm(way)) / seconds <= 0.25 * 1.01


@pytest.mark.parametrize(
    ("size", "ends"),
    [(0.018, ("RUNNING", "HOLDING", "FAULT")), (0.09, ("RUNNING", "HOLDING", "FAULT")), (0.4, ("FAULT",))],
)
def test_fault_07_finite_jumps_stay_inside_the_limits(
    tmp_path: Path, calm_server: ServerProcess, size: float, ends: tuple[str, ...]
) -> None:
    """Jumps are followed as far as the limits allow; a gross one is a fault of the policy, and latches."""

    async def scene(trial: BadTrial) -> None:
        await trial.start()
        proxy.rule = jumping(size)
        if ends == ("FAULT",):
            status = await trial.until(lambda s: s.mode == "FAULT")
            assert "a fault of the policy" in status.why
        else:
            await asyncio.sleep(3.0)
            status = await trial.until(lambda s: True)
        assert status.mode in ends

    with MessageProxy(calm_server.address) as proxy:
        tape = play(tmp_path, scene, server=calm_server.address, through=proxy.address)
    expect_within_the_limits(tape)
    if ends == ("FAULT",):
        tape.expect_rest_after(tape.first(lambda t: t.verdict.kind == "STOP", 0.0))
