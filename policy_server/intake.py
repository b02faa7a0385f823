"""The one way in for observations, whichever wire they come on: checked, counted, queued, answered once."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import grpc

from policy_server.batcher import Ticket
from policy_server.engine_worker import EngineWorker
from policy_server.metrics import Metrics
from policy_server.outbox import Ending
from policy_server.policies import Policies, PolicyVersion
from policy_server.request import Answer, Arrival, Request
from robot_contract.messages import ActionChunk, Refusal, RefusalReason

MAX_DEADLINE = 3600.0  # [s]


@dataclass(frozen=True, kw_only=True)
class ServerLimits:
    max_batch: int = 16  # observations in one batch
    max_waiting: int = 256  # observations waiting, per policy
    max_sessions: int = 128  # open streams
    max_rate_hz: float = 200.0  # observations of one session
    idle_seconds: float = 3600.0  # a stream that sends nothing for so long is ended
    crowded_idle_seconds: float = 30.0  # the same, when somebody else wants its place
    max_replies: int = 64  # replies a peer may leave unread before it is not read from


@dataclass(kw_only=True)
class _Session:
    end: Callable[[Ending], None] | None  # None for single calls
    heard_at: float  # [s] newest observation
    users: int = 0


class Intake:
    def __init__(
        self, policies: Policies, engine: EngineWorker, metrics: Metrics, limits: ServerLimits
    ) -> None:
        self.policies = policies
        self.limits = limits
        self.metrics = metrics
        self._engine = engine
        self.observe: Callable[[Answer, float], None] | None = None  # sees every answer on its way out
        self._open: dict[str, _Session] = {}
        self.draining = False

    def open(self, session: str, end: Callable[[Ending], None] | None = None) -> Ending | None:
        """Take a place, or return why there is none. Calls of one client share one; `end` ends a stream."""
        now = time.monotonic()
        if self.draining:
            return Ending(status=grpc.StatusCode.UNAVAILABLE, sentence="the server is shutting down")
        if session not in self._open and len(self._open) >= self.limits.max_sessions:
            self._evict(now)
            sentence = f"{len(self._open)} sessions are open, the limit; close one or raise --max-sessions"
            if len(self._open) >= self.limits.max_sessions:
                return Ending(status=grpc.StatusCode.RESOURCE_EXHAUSTED, sentence=sentence)
        entry = self._open.setdefault(session, _Session(end=end, heard_at=now))
        entry.users += 1
        self.metrics.sessions.set(len(self._open))
        return None

    def close(self, session: str) -> None:
        entry = self._open.get(session)
        if entry is None:
            return  # evicted
        entry.users -= 1
        if entry.users == 0:
            self._forget(session)

    def _forget(self, session: str) -> None:
        del self._open[session]
        self.metrics.sessions.set(len(self._open))
        for policy in self.policies:
            policy.sessions.discard(session)
        self._engine.cancel(session)

    def end_silent_streams(self, now: float) -> None:
        """Called now and then: who has said nothing for too long loses the place."""
        for name, entry in list(self._open.items()):
            if entry.end is not None and now - entry.heard_at >= self.limits.idle_seconds:
                self._forget(name)
                sentence = f"no observation came in {self.limits.idle_seconds:g} s"
                entry.end(Ending(status=grpc.StatusCode.DEADLINE_EXCEEDED, sentence=sentence))

    def _evict(self, now: float) -> None:
        """A stream that has been silent gives its place to one that may have something to say."""
        streams = [name for name, entry in self._open.items() if entry.end is not None]
        if not streams:
            return
        silent = min(streams, key=lambda name: self._open[name].heard_at)
        entry = self._open[silent]
        seconds = now - entry.heard_at
        if entry.end is not None and seconds >= self.limits.crowded_idle_seconds:
            sentence = f"no observation came in {seconds:.0f} s and another robot needed the place"
            self._forget(silent)
            entry.end(Ending(status=grpc.StatusCode.DEADLINE_EXCEEDED, sentence=sentence))

    def withdraw(self, ticket: Ticket[Request]) -> None:
        """Nobody waits for this answer any more."""
        self._engine.withdraw(ticket)

    async def drain(self, version: PolicyVersion, *, timeout: float) -> bool:
        """Wait until a version that takes nothing new owes nothing more; False when time ran out."""
        return await self._engine.drain(version, timeout=timeout)

    def submit(
        self, arrival: Arrival, *, session: str, deliver: Callable[[Answer], None]
    ) -> Ticket[Request] | None:
        """`deliver` is called once with the chunk or the refusal, unless the session closes first."""
        if session in self._open:
            self._open[session].heard_at = arrival.arrived_at
        policy = self.policies.find(arrival.policy)
        if policy is None:
            deliver(refusal(arrival, "unknown_policy", self.policies.unknown(arrival.policy)))
        elif self.draining:
            deliver(refusal(arrival, "draining", "the server is shutting down"))
        elif policy.current is None:
            sentence = f"policy {policy.name!r} is {policy.state}, not serving"
            deliver(refusal(arrival, "draining", sentence))
        elif not 0.0 <= arrival.deadline <= MAX_DEADLINE:
            sentence = f"deadline is {arrival.deadline!r}, expected 0 to {MAX_DEADLINE:g} s"
            deliver(refusal(arrival, "invalid", sentence))
        else:
            policy.sessions.add(session)
            return self._engine.submit(policy.current, arrival, session=session, deliver=deliver)
        return None

    def settle(self, answer: Answer) -> Answer:
        """The last word before the wire: a chunk that is late becomes a refusal. Counts either."""
        now = time.monotonic()
        if isinstance(answer.reply, ActionChunk) and not now <= answer.deadline_at:
            self.metrics.late.labels(answer.policy).inc()
            sentence = f"the answer was ready {(now - answer.deadline_at) * 1e3:.0f} ms after its deadline"
            answer = _late(answer, sentence, now)
        self._count(answer, now)
        if self.observe is not None:
            self.observe(answer, now)
        return answer

    def _count(self, answer: Answer, now: float) -> None:
        policy = self.policies.find(answer.policy)
        reply = answer.reply
        if isinstance(reply, Refusal):
            # Names that nobody serves come from outside: no label of their own.
            self.metrics.refused.labels(policy.name if policy else "", reply.reason).inc()
            self.metrics.refusal_delay.observe(now - answer.decided_at)
            if policy is not None:
                policy.refused[reply.reason] += 1
            return
        assert policy is not None, "a chunk comes from a policy"
        policy.served += 1
        stage = self.metrics.stage
        stage.labels(policy.name, "queue").observe(reply.timings.queue)
        stage.labels(policy.name, "preprocess").observe(reply.timings.preprocess)
        stage.labels(policy.name, "model").observe(reply.timings.model)
        stage.labels(policy.name, "total").observe(now - answer.arrived_at)
        self.metrics.served.labels(policy.name).inc()


def refusal(arrival: Arrival, reason: RefusalReason, sentence: str) -> Answer:
    reply = Refusal(session=arrival.session, sequence=arrival.sequence, reason=reason, sentence=sentence)
    now = time.monotonic()
    return Answer(
        reply=reply, arrived_at=arrival.arrived_at, decided_at=now, deadline_at=now, policy=arrival.policy
    )


def _late(answer: Answer, sentence: str, now: float) -> Answer:
    reply = Refusal(
        session=answer.reply.session,
        sequence=answer.reply.sequence,
        reason="deadline",
        sentence=sentence,
    )
    return Answer(
        reply=reply,
        arrived_at=answer.arrived_at,
        decided_at=now,
        deadline_at=answer.deadline_at,
        policy=answer.policy,
    )
