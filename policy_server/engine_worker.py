"""Runs the models: one thread for them all, a pool that decodes the next batch meanwhile.

Everything here lives on the event loop except `forward` (the engine thread) and `prepare` (the pool). The
loop is never blocked by a model.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from policy_server.admission import check_observation, check_pictures
from policy_server.batcher import Rejection, Ticket, superseded
from policy_server.metrics import Metrics
from policy_server.policies import Policies, PolicyVersion
from policy_server.request import Answer, Arrival, Request
from robot_contract.messages import ActionChunk, Refusal, RefusalReason, Timings
from robot_contract.policy_contract import ACTION_WIDTH
from robot_contract.pose import Vector

log = logging.getLogger(__name__)

Result = TypeVar("Result")

TIMER_SLACK = 1e-4  # [s]


class EngineWorker:
    def __init__(self, policies: Policies, metrics: Metrics, *, decode_threads: int) -> None:
        self._policies = policies
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._engine = ThreadPoolExecutor(1, thread_name_prefix="engine")
        self._pool = ThreadPoolExecutor(decode_threads, thread_name_prefix="decode")
        self._running: PolicyVersion | None = None
        self._free_at = 0.0  # [s] predicted end of the running batch
        self._timer: asyncio.TimerHandle | None = None  # when the next waiting observation becomes hopeless
        self._idle = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def submit(
        self,
        version: PolicyVersion,
        arrival: Arrival,
        *,
        session: str,
        deliver: Callable[[Answer], None],
    ) -> Ticket[Request]:
        """Queue an observation; `deliver` gets its one answer, now or later, unless it is cancelled."""
        ticket = Ticket(
            session=session,
            sequence=arrival.sequence,
            arrived_at=arrival.arrived_at,
            deadline_at=arrival.arrived_at + arrival.deadline,
            work=Request(arrival=arrival, deliver=deliver),
        )
        now = time.monotonic()
        rejections = version.batcher.submit(ticket, now=now, engine_free_at=self._free_at_from(now))
        for older in self._policies.versions():
            if older is not version and (waiting := older.batcher.cancel(session)) is not None:
                rejections.append(superseded(waiting, ticket))
        self._reject(version, rejections)
        self._pump()
        return ticket

    def cancel(self, session: str) -> None:
        """The session is over: what it has waiting frees its place."""
        for version in self._policies.versions():
            ticket = version.batcher.cancel(session)
            if ticket is not None:
                ticket.work.closed = True
            version.batcher.forget(session)
        self._pump()

    def withdraw(self, ticket: Ticket[Request]) -> None:
        """Nobody waits for this answer any more."""
        ticket.work.closed = True
        if any(version.batcher.withdraw(ticket) for version in self._policies.versions()):
            self._pump()

    async def run_between_batches(self, work: Callable[[], Result]) -> Result:
        """Run this on the engine's thread: nothing else of a model runs meanwhile, batches take turns."""
        return await self._loop.run_in_executor(self._engine, work)

    async def drain(self, version: PolicyVersion, *, timeout: float) -> bool:
        """Take nothing new for this version and wait for what it still owes; False when time ran out."""
        version.batcher.draining = True
        self._pump()
        try:
            async with asyncio.timeout(timeout), self._idle:
                await self._idle.wait_for(lambda: not version.batcher and self._running is not version)
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._engine.shutdown(wait=True)
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _free_at_from(self, now: float) -> float:
        return now if self._running is None else max(now, self._free_at)

    def _pump(self) -> None:
        """Start whatever can start; called after everything that happens."""
        now = time.monotonic()
        waiting = [version for version in self._policies.versions() if version.batcher]
        if self._running is None:
            for version in sorted(waiting, key=lambda version: version.last_run_at):
                batch, rejections = version.batcher.next_batch(now=now)
                self._reject(version, rejections)
                if batch:
                    self._start(version, batch, now)
                    break
        for version in waiting:
            for ticket in version.batcher.take_for_preparation(now=now):
                self._pool.submit(self._prepare, version, ticket)
        self._set_timer(waiting, now)

    def _set_timer(self, waiting: Sequence[PolicyVersion], now: float) -> None:
        expiries = [expiry for version in waiting if (expiry := version.batcher.next_expiry()) is not None]
        if not expiries:
            return
        delay = max(0.0, min(expiries) - now) + TIMER_SLACK
        if self._timer is not None and self._timer.when() <= self._loop.time() + delay + TIMER_SLACK:
            return  # it comes early enough, and sets itself again
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(delay, self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = time.monotonic()
        for version in self._policies.versions():
            rejections = version.batcher.expire(now=now, engine_free_at=self._free_at_from(now))
            self._reject(version, rejections)
        self._pump()

    def _in_background(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _prepare(self, version: PolicyVersion, ticket: Ticket[Request]) -> None:
        """In the pool: decode one observation, then tell the loop."""
        refusal: tuple[RefusalReason, str] | None = None
        try:
            _prepare_now(version, ticket.work)
        except ValueError as error:
            refusal = ("invalid", str(error))
        except Exception:
            log.exception("preparing an observation for %s failed", version.name)
            refusal = ("internal", "preparing the observation failed; see the server's log")
        self._loop.call_soon_threadsafe(self._prepared, version, ticket, refusal)

    def _prepared(
        self, version: PolicyVersion, ticket: Ticket[Request], refusal: tuple[RefusalReason, str] | None
    ) -> None:
        if refusal is None:
            version.batcher.prepared(ticket)
        else:
            self._give_up(version, ticket, *refusal)
        self._pump()

    def _give_up(
        self, version: PolicyVersion, ticket: Ticket[Request], reason: RefusalReason, sentence: str
    ) -> None:
        if version.batcher.withdraw(ticket):
            self._reject(version, [Rejection(ticket=ticket, reason=reason, sentence=sentence)])

    def _start(self, version: PolicyVersion, batch: list[Ticket[Request]], now: float) -> None:
        self._running = version
        self._free_at = now + version.batcher.cost.bound(len(batch))
        version.last_run_at = now
        self._in_background(self._run(version, batch, now))

    async def _run(self, version: PolicyVersion, batch: list[Ticket[Request]], started_at: float) -> None:
        prepared = [ticket.work.prepared for ticket in batch]
        try:
            chunks, seconds = await self._loop.run_in_executor(self._engine, _forward_now, version, prepared)
        except Exception:
            log.exception("a batch of %d for %s failed", len(batch), version.name)
            sentence = "the model failed on this batch; see the server's log"
            self._reject(
                version, [Rejection(ticket=ticket, reason="internal", sentence=sentence) for ticket in batch]
            )
        else:
            self._account(version, len(batch), seconds)
            for ticket, actions in zip(batch, chunks, strict=True):
                self._answer(version, ticket, actions, started_at, seconds, len(batch))
        self._running = None
        self._pump()
        async with self._idle:
            self._idle.notify_all()

    def _account(self, version: PolicyVersion, size: int, seconds: float) -> None:
        cost = version.batcher.cost
        cost.observe(size, seconds)
        self._metrics.batch_size.labels(version.name).observe(size)
        self._metrics.cost.labels(version.name, "a").set(cost.a)
        self._metrics.cost.labels(version.name, "b").set(cost.b)

    def _answer(
        self,
        version: PolicyVersion,
        ticket: Ticket[Request],
        actions: Vector,
        started_at: float,
        seconds: float,
        batch_size: int,
    ) -> None:
        now = time.monotonic()
        request = ticket.work
        timings = Timings(
            queue=max(0.0, started_at - ticket.arrived_at - request.preprocess),
            preprocess=request.preprocess,
            model=seconds,
            total=now - ticket.arrived_at,
            batch_size=batch_size,
        )
        reply = ActionChunk(
            session=request.arrival.session,
            sequence=request.arrival.sequence,
            observed_at=request.arrival.observed_at,
            actions=actions,
            interface_digest=version.interface_digest,
            policy_digest=version.policy_digest,
            timings=timings,
        )
        self._deliver(version, ticket, reply, now)

    def _reject(self, version: PolicyVersion, rejections: Sequence[Rejection[Request]]) -> None:
        now = time.monotonic()
        for rejection in rejections:
            arrival = rejection.ticket.work.arrival
            reply = Refusal(
                session=arrival.session,
                sequence=arrival.sequence,
                reason=rejection.reason,
                sentence=rejection.sentence,
            )
            self._deliver(version, rejection.ticket, reply, now)

    def _deliver(
        self, version: PolicyVersion, ticket: Ticket[Request], reply: ActionChunk | Refusal, now: float
    ) -> None:
        request = ticket.work
        if request.closed:
            return
        request.closed = True
        request.deliver(
            Answer(
                reply=reply,
                arrived_at=ticket.arrived_at,
                decided_at=now,
                deadline_at=ticket.deadline_at,
                policy=version.name,
            )
        )


def _prepare_now(version: PolicyVersion, request: Request) -> None:
    if request.closed:
        return
    started_at = time.perf_counter()
    observation = request.arrival.read()
    check_observation(observation, version.contract)
    check_pictures(observation)
    request.prepared = version.model.prepare(observation)
    request.preprocess = time.perf_counter() - started_at


def _forward_now(version: PolicyVersion, prepared: Sequence[Any]) -> tuple[Sequence[Vector], float]:
    started_at = time.perf_counter()
    chunks = version.model.forward(prepared)
    seconds = time.perf_counter() - started_at
    expected = (version.contract.chunk_length, ACTION_WIDTH)
    for actions in chunks:
        assert actions.shape == expected, f"chunk has shape {actions.shape}, expected {expected}"
        assert np.isfinite(actions).all(), "chunk has values that are not finite"
    return chunks, seconds
