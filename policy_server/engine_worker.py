"""Runs the models: one thread for them all, a pool that decodes the next batch meanwhile.

Everything here lives on the event loop except `forward` (the engine thread) and `prepare` (the pool). The
loop is never blocked by a model.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from policy_server.batch_run import (
    BatchResult,
    BatchRun,
    chunk_for,
    forward_now,
    prepare_now,
    refusal_for,
)
from policy_server.batcher import Rejection, Ticket, superseded
from policy_server.metrics import Metrics
from policy_server.policies import Policies, PolicyVersion
from policy_server.request import Answer, Arrival, Request
from robot_contract.messages import ActionChunk, Refusal, RefusalReason

log = logging.getLogger(__name__)

Result = TypeVar("Result")

TIMER_SLACK = 1e-4  # [s]
DRAIN_POLL_SECONDS = 0.005
SHORTEST_LEAD = 0.005  # [s] before the model is free, for preparing its next batch
LEAD_MARGIN = 2.0  # times the expected time of preparing a whole batch


class EngineWorker:
    def __init__(self, policies: Policies, metrics: Metrics, *, decode_threads: int) -> None:
        self._policies = policies
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._decode_threads = decode_threads
        self._engine = ThreadPoolExecutor(1, thread_name_prefix="engine")
        self._pool = ThreadPoolExecutor(decode_threads, thread_name_prefix="decode")
        self._running: PolicyVersion | None = None
        self._free_at = 0.0  # [s] predicted end of the running batch
        self._timer: asyncio.TimerHandle | None = None  # when the next waiting observation becomes hopeless

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
        if all(rejection.ticket is not ticket for rejection in rejections):
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

    def running_since(self) -> float | None:
        """When the present batch began [s]; None while the engine is idle."""
        return None if self._running is None else self._running.last_run_at

    async def run_between_batches(self, work: Callable[[], Result]) -> Result:
        """Run this on the engine's thread: nothing else of a model runs meanwhile, batches take turns."""
        return await self._loop.run_in_executor(self._engine, work)

    async def drain(self, version: PolicyVersion, *, timeout: float) -> bool:
        """Take nothing new for this version and wait for what it still owes; False when time ran out."""
        version.batcher.draining = True
        self._pump()
        give_up_at = time.monotonic() + timeout
        while version.batcher or self._running is version:
            if time.monotonic() > give_up_at:
                return False
            await asyncio.sleep(DRAIN_POLL_SECONDS)
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
            soon_free = self._free_at_from(now) - now <= self._preparation_lead(version)
            for ticket in version.batcher.take_for_preparation(now=now, soon_free=soon_free):
                self._pool.submit(self._prepare, version, ticket)
        self._set_timer(waiting, now)

    def _preparation_lead(self, version: PolicyVersion) -> float:
        """How long before the model is free its next batch must begin to be prepared [s]."""
        work = version.preparation_seconds * version.batcher.max_batch / self._decode_threads
        return max(SHORTEST_LEAD, LEAD_MARGIN * work)

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

    def _prepare(self, version: PolicyVersion, ticket: Ticket[Request]) -> None:
        """In the pool: decode one observation, then tell the loop."""
        refusal: tuple[RefusalReason, str] | None = None
        try:
            prepare_now(version, ticket.work)
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
            version.note_preparation(ticket.work.preprocess)
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
        lead = max(self._preparation_lead(other) for other in self._policies.versions())
        self._loop.call_later(max(0.0, self._free_at - now - lead), self._pump)
        self._engine.submit(self._forward, BatchRun(version=version, batch=batch, started_at=now))

    def _forward(self, run: BatchRun) -> None:
        """On the engine's thread: run a batch, then tell the loop."""
        result = None
        try:
            result = forward_now(run)
        except Exception:
            log.exception("a batch of %d for %s failed", len(run.batch), run.version.name)
        self._loop.call_soon_threadsafe(self._finished, run, result)

    def _finished(self, run: BatchRun, result: BatchResult | None) -> None:
        version = run.version
        version.failures = 0 if result is not None else version.failures + 1
        if result is not None:
            self._account(version, len(run.batch), result.seconds)
        self._running = None
        self._pump()  # the next batch first: the model must not wait for the answers of this one
        if result is None:
            sentence = "the model failed on this batch; see the server's log"
            self._reject(
                version, [Rejection(ticket=t, reason="internal", sentence=sentence) for t in run.batch]
            )
        else:
            now = time.monotonic()
            for index, ticket in enumerate(run.batch):
                self._deliver(version, ticket, chunk_for(run, result, index, now=now), now)

    def _account(self, version: PolicyVersion, size: int, seconds: float) -> None:
        cost = version.batcher.cost
        cost.observe(size, seconds)
        self._metrics.batch_size.labels(version.name).observe(size)
        self._metrics.cost.labels(version.name, "a").set(cost.a)
        self._metrics.cost.labels(version.name, "b").set(cost.b)

    def _reject(self, version: PolicyVersion, rejections: Sequence[Rejection[Request]]) -> None:
        now = time.monotonic()
        for rejection in rejections:
            self._deliver(version, rejection.ticket, refusal_for(rejection), now)

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
