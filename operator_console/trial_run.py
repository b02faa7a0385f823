"""One trial without a person: prepare, arm, start, watch, disarm, and an honest outcome.

Only for simulated robots, which know the truth and run without the hold key. A fault is never cleared
here: only a person does that.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal

from operator_console.bridge_link import said_by_bridge
from robot_contract.client import OperatorClient
from robot_contract.errors import BridgeUnavailable, StudyError, WireError
from robot_contract.messages import BridgeStatus, OperatorAction, OperatorEvent, TrialSetup

READY_PATIENCE = 30.0  # [s] for the problems against arming to go away
SILENCE_PATIENCE = 5.0  # [s] without a status
HOLDING_PATIENCE = 5.0  # [s] in HOLDING until the trial counts as ended by the system
WALL_PATIENCE = 10.0  # times the trial's limit, plus a minute: simulated time may run slowly
WATCH_RATE_HZ = 10.0

Result = Literal["success", "failure", "system_fault"]


@dataclass(frozen=True, kw_only=True)
class TrialOutcome:
    setup: TrialSetup
    instruction: str
    result: Result
    seconds: float  # [s] of the trial
    sentence: str
    verdict_counts: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Ending:
    result: Result
    sentence: str


def ending(status: BridgeStatus, *, holding_for: float) -> Ending | None:
    """How the trial ended, judged from one status after its start; None while it goes on."""
    if status.truth is None:
        return Ending(result="system_fault", sentence="the bridge no longer says whether the task is done")
    if status.mode == "FAULT":
        return Ending(result="system_fault", sentence=f"fault: {status.why}")
    if status.truth.success:
        return Ending(result="success", sentence="done")
    if status.elapsed >= status.time_limit:
        return Ending(result="failure", sentence=f"not done within {status.time_limit:g} s")
    if status.mode in ("IDLE", "ARMED"):
        return Ending(result="system_fault", sentence=f"the trial ended early: {status.why}")
    if not holding_for <= HOLDING_PATIENCE:
        return Ending(result="system_fault", sentence=f"the arm held still: {status.why}")
    return None


async def run_trial(
    client: OperatorClient, setup: TrialSetup, *, operator: str, say: Callable[[str], None]
) -> TrialOutcome:
    """Run one trial to its end. Raises StudyError when this robot must not run unattended."""
    last: list[BridgeStatus] = []
    try:
        status = await client.prepare(setup)
        last.append(status)
        refuse_unless_unattended(status)
        say(f"{setup.trial_id}: {status.instruction or 'prepared'}")
        end = await _attempt(client, setup, operator, last)
    except (BridgeUnavailable, WireError) as error:
        end = Ending(result="system_fault", sentence=said_by_bridge(error))
    say(f"{setup.trial_id}: {end.result.replace('_', ' ')}, {end.sentence}")
    newest = last[-1] if last else None
    return TrialOutcome(
        setup=setup,
        instruction=newest.instruction if newest else setup.instruction,
        result=end.result,
        seconds=newest.elapsed if newest else 0.0,
        sentence=end.sentence,
        verdict_counts=dict(newest.verdict_counts) if newest else {},
    )


def refuse_unless_unattended(status: BridgeStatus) -> None:
    if status.truth is None:
        raise StudyError(
            f"rig {status.rig!r} (driver {status.driver}) does not know whether a task is done:"
            " an unattended study needs the twin, a robot needs a person who scores"
        )
    if status.hold_required:
        raise StudyError(
            f"rig {status.rig!r} requires hold-to-run and nobody is there to hold the key:"
            " an unattended study needs `hold_to_run: false` in the rig, which only mock and twin accept"
        )


async def _attempt(
    client: OperatorClient, setup: TrialSetup, operator: str, last: list[BridgeStatus]
) -> Ending:
    async with aclosing(_statuses(client)) as statuses:
        problems = await _until_ready(statuses)
        if problems:
            return Ending(result="system_fault", sentence=f"not armed: {'; '.join(problems)}")
        try:
            actions: tuple[OperatorAction, ...] = ("arm", "start")
            for action in actions:
                last.append(await client.send(OperatorEvent(action=action, operator=operator)))
            return await _until_over(statuses, setup, last)
        finally:
            await _put_down(client, operator)


async def _until_over(
    statuses: AsyncGenerator[BridgeStatus, None], setup: TrialSetup, last: list[BridgeStatus]
) -> Ending:
    clock = asyncio.get_running_loop().time
    begun_at, holding_since = last[-1].at, None
    longest = clock() + WALL_PATIENCE * setup.time_limit + 60.0
    async for status in statuses:
        if not status.at >= begun_at:
            continue  # it left the bridge before the start
        last[:] = [status]
        if status.mode != "HOLDING":
            holding_since = None
        elif holding_since is None:
            holding_since = clock()
        end = ending(status, holding_for=0.0 if holding_since is None else clock() - holding_since)
        if end is not None:
            return end
        if not clock() <= longest:
            return Ending(result="system_fault", sentence=f"no end within {WALL_PATIENCE:g} times its limit")
    return Ending(result="system_fault", sentence="the bridge ended the connection")


async def _until_ready(statuses: AsyncGenerator[BridgeStatus, None]) -> tuple[str, ...]:
    """Wait until nothing stands against arming; what still does when patience ends."""
    deadline = asyncio.get_running_loop().time() + READY_PATIENCE
    async for status in statuses:
        if not status.problems or not asyncio.get_running_loop().time() <= deadline:
            return status.problems
    return ("the bridge ended the connection",)


async def _statuses(client: OperatorClient) -> AsyncGenerator[BridgeStatus, None]:
    """Watch the bridge; a silence is an error, not a wait without end."""
    watching = aiter(client.watch(WATCH_RATE_HZ))
    while True:
        try:
            async with asyncio.timeout(SILENCE_PATIENCE):
                status = await anext(watching, None)
        except TimeoutError as error:
            raise BridgeUnavailable(f"the bridge said nothing for {SILENCE_PATIENCE:g} s") from error
        if status is None:
            return
        yield status


async def _put_down(client: OperatorClient, operator: str) -> None:
    """Disarm, from whatever mode allows it; in FAULT and IDLE there is nothing to do."""
    try:
        await client.send(
            OperatorEvent(action="disarm", operator=operator, note="end of an unattended trial")
        )
    except (BridgeUnavailable, WireError):
        return
