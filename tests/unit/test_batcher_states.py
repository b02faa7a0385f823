"""The batcher under any order of events, with a clock that the test moves and an engine that keeps time."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from policy_server.batch_cost import BatchCost
from policy_server.batcher import Batcher, Rejection, Ticket

SESSIONS = st.sampled_from([f"s{i}" for i in range(7)])
A, B = 0.008, 0.002
MAX_BATCH, MAX_WAITING = 3, 5
EPSILON = 1e-9


class BatcherMachine(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        cost = BatchCost([(1, A + B), (MAX_BATCH, A + B * MAX_BATCH)])
        self.batcher: Batcher[None] = Batcher(cost=cost, max_batch=MAX_BATCH, max_waiting=MAX_WAITING)
        self.now = 100.0
        self.sequence = 0
        self.waiting: dict[str, Ticket[None]] = {}  # the model: what must be waiting
        self.preparing: list[Ticket[None]] = []
        self.prepared: set[int] = set()
        self.running: list[Ticket[None]] = []
        self.done_at = 0.0
        self.fates: dict[int, str] = {}

    def settle(self, rejections: list[Rejection[None]]) -> None:
        for rejection in rejections:
            number = rejection.ticket.sequence
            assert number not in self.fates, "answered twice"
            assert rejection.sentence
            self.fates[number] = rejection.reason
            if self.waiting.get(rejection.ticket.session) is rejection.ticket:
                del self.waiting[rejection.ticket.session]

    @property
    def free_at(self) -> float:
        return max(self.now, self.done_at) if self.running else self.now

    @rule(session=SESSIONS, patience=st.floats(0.0, 0.08))
    def submit(self, session: str, patience: float) -> None:
        self.sequence += 1
        ticket = Ticket(
            session=session,
            sequence=self.sequence,
            arrived_at=self.now,
            deadline_at=self.now + patience,
            work=None,
        )
        older = self.waiting.get(session)
        rejections = self.batcher.submit(ticket, now=self.now, engine_free_at=self.free_at)
        own = [r for r in rejections if r.ticket is ticket]
        if not own:
            self.waiting[session] = ticket
            if older is not None:
                assert [r.reason for r in rejections] == ["superseded"]
        elif own[0].reason == "deadline":
            assert ticket.deadline_at < self.free_at + A + B + EPSILON, "refused although there was time"
        elif own[0].reason == "overloaded":
            assert len(self.waiting) == MAX_WAITING
        else:
            assert self.batcher.draining
        self.settle(rejections)

    @rule()
    def begin_preparing(self) -> None:
        self.preparing += self.batcher.take_for_preparation(now=self.now)

    @precondition(lambda self: self.preparing)
    @rule(data=st.data())
    def finish_preparing(self, data: st.DataObject) -> None:
        ticket = self.preparing.pop(data.draw(st.integers(0, len(self.preparing) - 1)))
        still_wanted = self.waiting.get(ticket.session) is ticket
        assert self.batcher.prepared(ticket) == still_wanted
        if still_wanted:
            self.prepared.add(ticket.sequence)

    @precondition(lambda self: not self.running)
    @rule()
    def run_a_batch(self) -> None:
        batch, rejections = self.batcher.next_batch(now=self.now)
        for ticket in batch:
            assert self.waiting.pop(ticket.session) is ticket, "not the newest of its session"
            assert ticket.sequence in self.prepared
        done_at = self.now + A + B * len(batch)
        for rejection in rejections:
            assert rejection.reason == "deadline"
            assert rejection.ticket.deadline_at < done_at + A + B + EPSILON, "given up too early"
        self.settle(rejections)
        assert len(batch) <= MAX_BATCH
        if batch:
            in_time = [ticket.deadline_at >= done_at - EPSILON for ticket in batch]
            assert all(in_time) or len(batch) == 1, "only a probe may be hopeless"
            self.running, self.done_at = batch, done_at
        else:
            ready = [t for t in self.waiting.values() if t.sequence in self.prepared]
            assert not ready, "an idle engine leaves nothing that is ready"

    @precondition(lambda self: self.running)
    @rule()
    def finish_the_batch(self) -> None:
        self.now = max(self.now, self.done_at)
        for ticket in self.running:
            assert ticket.sequence not in self.fates
            self.fates[ticket.sequence] = "answered"
        self.running = []

    @rule(seconds=st.floats(0.0, 0.05))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        if self.running:
            self.now = min(self.now, self.done_at)
        self.settle(self.batcher.expire(now=self.now, engine_free_at=self.free_at))

    @rule(session=SESSIONS)
    def close_a_session(self, session: str) -> None:
        expected = self.waiting.pop(session, None)
        assert self.batcher.cancel(session) is expected
        self.batcher.forget(session)
        if expected is not None:
            self.fates[expected.sequence] = "cancelled"

    @precondition(lambda self: self.sequence > 25)
    @rule()
    def drain(self) -> None:
        self.batcher.draining = True

    @invariant()
    def everything_has_one_place(self) -> None:
        assert len(self.batcher) == len(self.waiting) <= MAX_WAITING
        places = set(self.fates) | {t.sequence for t in self.waiting.values()}
        assert places | {t.sequence for t in self.running} == set(range(1, self.sequence + 1))


TestBatcherMachine = BatcherMachine.TestCase
TestBatcherMachine.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
