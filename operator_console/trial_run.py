"""One trial without a person: prepare, arm, start, watch, disarm, and an honest outcome.

Only for simulated robots, which know the truth and run without the hold key. When a watchdog made the arm
hold still, the trial goes on a few times, and the outcome counts them. A reflex of the simulated arm ends the
trial and is cleared before the next one; any other fault, a STOP among them, waits for a person.
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
PREPARE_AGAIN = 5.0  # [s] of problems until the trial is prepared, and the latency measured, once more
SILENCE_PATIENCE = 5.0  # [s] without a status
HOLDING_PATIENCE = 10.0  # [s] in HOLDING until the trial counts as ended by the system
RESUME_PERIOD = 1.0  # [s] between two attempts to go on after a HOLDING
MOST_INTERRUPTIONS = 5  # in one trial; after that the system has failed
WALL_PATIENCE = 10.0  # times the trial's limit, plus a minute: simulated time may run slowly
WATCH_RATE_HZ = 10.0
CLEAR_PATIENCE = 30.0  # [s] for a fault of the trial before to let itself be cleared
_REFLEX = "the arm reports "  # begins the bridge's sentence about a fault that is the arm's own

Result = Literal["success", "failure", "system_fault"]


@dataclass(frozen=True, kw_only=True)
class TrialOutcome:
    setup: TrialSetup
    instruction: str
    result: Result
    seconds: float  # [s] of the trial
    interruptions: int  # how often the arm held still for longer than a HOLD lasts
    sentence: str
    verdict_counts: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Ending:
    result: Result
    sentence: str


def ending(status: BridgeStatus, *, holding_for: float, interruptions: int) -> Ending | None:
    """How the trial ended, judged from one status after its start; None while it goes on."""
    if status.truth is None:
        return Ending(result="system_fault", sentence="the bridge no longer says whether the task is done")
    if status.mode == "FAULT" and status.why.startswith(_REFLEX):
        return Ending(result="failure", sentence=f"it ran into something: {status.why}")
    if status.mode == "FAULT":
        return Ending(result="system_fault", sentence=f"fault: {status.why}")
    if status.truth.success:
        return Ending(result="success", sentence="done")
    if status.elapsed >= status.time_limit:
        return Ending(result="failure", sentence=f"not done within {status.time_limit:g} s")
    if status.mode in ("IDLE", "ARMED"):
        return Ending(result="system_fault", sentence=f"the trial ended early: {status.why}")
    if not (holding_for <= HOLDING_PATIENCE and interruptions <= MOST_INTERRUPTIONS):
        return Ending(result="system_fault", sentence=f"the arm held still: {status.why}")
    return None


async def run_trial(
    client: OperatorClient, setup: TrialSetup, *, operator: str, say: Callable[[str], None]
) -> TrialOutcome:
    """Run one trial to its end. Raises StudyError when this robot must not run unattended."""
    run = _Run(client, setup, operator)
    try:
        status = await run.prepare()
        refuse_unless_unattended(status)
        say(f"{setup.trial_id}: {status.instruction or 'prepared'}")
        end = await run.to_its_end()
    except (BridgeUnavailable, WireError) as error:
        end = Ending(result="system_fault", sentence=said_by_bridge(error))
    say(f"{setup.trial_id}: {end.result.replace('_', ' ')}, {end.sentence}")
    newest = run.newest
    return TrialOutcome(
        setup=setup,
        instruction=newest.instruction if newest else setup.instruction,
        result=end.result,
        seconds=newest.elapsed if newest else 0.0,
        interruptions=run.interruptions,
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


class _Run:
    """What is known while a trial runs."""

    def __init__(self, client: OperatorClient, setup: TrialSetup, operator: str) -> None:
        self._client = client
        self._setup = setup
        self._operator = operator
        self._clock = asyncio.get_running_loop().time
        self.newest: BridgeStatus | None = None
        self.interruptions = 0

    async def prepare(self) -> BridgeStatus:
        await self._clear_a_reflex()
        self.newest = await self._client.prepare(self._setup)
        return self.newest

    async def _clear_a_reflex(self) -> None:
        """Of the simulated arm, in the trial before."""
        begun_at = self._clock()
        async with aclosing(_statuses(self._client)) as statuses:
            async for status in statuses:
                is_reflex = status.mode == "FAULT" and status.why.startswith(_REFLEX)
                if not is_reflex or not self._clock() - begun_at <= CLEAR_PATIENCE:
                    return
                refuse_unless_unattended(status)
                try:
                    await self._send("clear", note="an unattended study on a simulator goes on")
                except BridgeUnavailable:
                    continue  # it has to cool down first

    async def to_its_end(self) -> Ending:
        async with aclosing(_statuses(self._client)) as statuses:
            try:
                problems = await self._begin(statuses)
                if problems:
                    return Ending(result="system_fault", sentence=f"not started: {problems}")
                return await self._until_over(statuses)
            finally:
                await self._put_down()

    async def _begin(self, statuses: AsyncGenerator[BridgeStatus, None]) -> str:
        """Arm and start as soon as nothing stands against it; what still does when patience ends."""
        begun_at = prepared_at = self._clock()
        async for status in statuses:
            problems = "; ".join(status.problems)
            if not problems:
                try:
                    if status.mode == "IDLE":
                        await self._send("arm")
                    self.newest = await self._send("start")
                    return ""
                except BridgeUnavailable as error:
                    problems = said_by_bridge(error)
            if not self._clock() - begun_at <= READY_PATIENCE:
                return problems
            if status.mode == "IDLE" and not self._clock() - prepared_at <= PREPARE_AGAIN:
                await self.prepare()
                prepared_at = self._clock()
        return "the bridge ended the connection"

    async def _until_over(self, statuses: AsyncGenerator[BridgeStatus, None]) -> Ending:
        longest = self._clock() + WALL_PATIENCE * self._setup.time_limit + 60.0
        begun_at = self.newest.at if self.newest is not None else 0.0
        holding_since = tried_at = None
        async for status in statuses:
            if not status.at > begun_at:
                continue  # it left the bridge before the newest start
            self.newest, now = status, self._clock()
            if status.mode != "HOLDING":
                holding_since = tried_at = None
            elif holding_since is None:
                holding_since = tried_at = now
                self.interruptions += 1
            end = ending(
                status,
                holding_for=0.0 if holding_since is None else now - holding_since,
                interruptions=self.interruptions,
            )
            if end is not None:
                return end
            if not now <= longest:
                return Ending(
                    result="system_fault", sentence=f"no end within {WALL_PATIENCE:g} times its limit"
                )
            if tried_at is not None and not now - tried_at <= RESUME_PERIOD:
                tried_at = now
                resumed = await self._resume()
                if resumed is not None:
                    begun_at, holding_since, tried_at = resumed.at, None, None
        return Ending(result="system_fault", sentence="the bridge ended the connection")

    async def _resume(self) -> BridgeStatus | None:
        try:
            return await self._send("start", note="an unattended trial goes on")
        except BridgeUnavailable:
            return None  # not yet: the next status says why

    async def _send(self, action: OperatorAction, *, note: str = "") -> BridgeStatus:
        return await self._client.send(OperatorEvent(action=action, operator=self._operator, note=note))

    async def _put_down(self) -> None:
        """Disarm, from whatever mode allows it; in FAULT and IDLE there is nothing to do."""
        try:
            await self._send("disarm", note="end of an unattended trial")
        except (BridgeUnavailable, WireError):
            return


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
