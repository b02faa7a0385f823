"""Which observations go to the model next, and which are told that they will not. Pure: time is an argument.

Promises: one waiting observation per session, the newest; earliest deadline first while all deadlines can be
met, otherwise turns decide who misses; nothing waits for a fuller batch; a batch is no larger than its
tightest deadline allows; what cannot be answered in time is refused before the model spends time on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from policy_server.batch_cost import BatchCost
from robot_contract.messages import RefusalReason

Work = TypeVar("Work")
Stage = Literal["new", "preparing", "ready"]

CREDIT_TURNS = 2  # how far a session that got nothing may run ahead of the others, in turns
PROBE_SECONDS = 0.5  # without a batch for so long, one hopeless observation is tried: the fit may be wrong
PREPARED_BATCHES = 2  # how many full batches of prepared observations may wait when the model is soon free
PREPARED_EARLY = 0.5  # the same while it is not: most of them would be superseded before their turn


@dataclass(frozen=True, kw_only=True, eq=False)
class Ticket(Generic[Work]):
    """One observation on its way through the server."""

    session: str  # unique among everything connected
    sequence: int
    arrived_at: float  # [s], server's clock
    deadline_at: float  # [s], server's clock
    work: Work


@dataclass(frozen=True, kw_only=True, eq=False)
class Rejection(Generic[Work]):
    ticket: Ticket[Work]
    reason: RefusalReason
    sentence: str


@dataclass(kw_only=True, eq=False)
class _Entry(Generic[Work]):
    ticket: Ticket[Work]
    due_at: (
        float  # [s] deadline of the oldest observation that this session got nothing for: its place in line
    )
    stage: Stage = "new"


class Batcher(Generic[Work]):
    def __init__(self, *, cost: BatchCost, max_batch: int, max_waiting: int) -> None:
        self.cost = cost
        self.max_batch = max_batch
        self.max_waiting = max_waiting  # [observations]
        self.draining = False
        self._waiting: dict[str, _Entry[Work]] = {}
        self._turns: dict[str, int] = {}  # batches that each session took part in, as fairness counts them
        self._ran_at = 0.0  # [s] start of the newest batch
        self._probe: Ticket[Work] | None = None
        self._round = 0  # the turn of the session that is furthest behind

    def __len__(self) -> int:
        return len(self._waiting)

    def submit(self, ticket: Ticket[Work], *, now: float, engine_free_at: float) -> list[Rejection[Work]]:
        """Add an observation; return those, it included, that will get no answer because of it."""
        if self.draining:
            return [_rejected(ticket, "draining", "the server is shutting down or changing this policy")]
        older = self._waiting.get(ticket.session)
        if older is not None and older.ticket.sequence > ticket.sequence:
            return [superseded(ticket, older.ticket)]
        refusal = self._infeasible(ticket, now=now, engine_free_at=engine_free_at)
        if refusal is not None:
            if not self._may_probe(now, engine_free_at):
                return [refusal]
            self._probe = ticket
        if older is None and len(self._waiting) >= self.max_waiting:
            wait = self.cost.seconds(self.max_batch)
            sentence = f"{len(self._waiting)} observations are waiting, the limit; try again in {_ms(wait)}"
            return [_rejected(ticket, "overloaded", sentence)]
        turn = self._turns.get(ticket.session, self._round)
        self._turns[ticket.session] = max(turn, self._round - CREDIT_TURNS)
        due_at = ticket.deadline_at if older is None else min(older.due_at, ticket.deadline_at)
        self._waiting[ticket.session] = _Entry(ticket=ticket, due_at=due_at)
        return [] if older is None else [superseded(older.ticket, ticket)]

    def cancel(self, session: str) -> Ticket[Work] | None:
        """Take back what a session has waiting."""
        entry = self._waiting.pop(session, None)
        return None if entry is None else entry.ticket

    def withdraw(self, ticket: Ticket[Work]) -> bool:
        """Take back this observation; False when it is no longer waiting."""
        entry = self._waiting.get(ticket.session)
        if entry is None or entry.ticket is not ticket:
            return False
        del self._waiting[ticket.session]
        return True

    def forget(self, session: str) -> None:
        """The session is over."""
        self._waiting.pop(session, None)
        self._turns.pop(session, None)

    def take_for_preparation(self, *, now: float, soon_free: bool = True) -> list[Ticket[Work]]:
        """Observations to decode now, the most urgent first; the caller reports each with `prepared`."""
        stages = [entry.stage for entry in self._waiting.values()]
        new = stages.count("new")
        batches = PREPARED_BATCHES if soon_free else PREPARED_EARLY
        room = max(1, int(batches * self.max_batch)) - (len(stages) - new)
        if room <= 0 or new == 0:
            return []
        chosen = [entry for entry in self._in_order(now)[0] if entry.stage == "new"][:room]
        for entry in chosen:
            entry.stage = "preparing"
        return [entry.ticket for entry in chosen]

    def prepared(self, ticket: Ticket[Work]) -> bool:
        """The observation can go to the model; False when it is no longer waiting."""
        entry = self._waiting.get(ticket.session)
        if entry is None or entry.ticket is not ticket:
            return False
        entry.stage = "ready"
        return True

    def next_batch(self, *, now: float) -> tuple[list[Ticket[Work]], list[Rejection[Work]]]:
        """The engine is free: what it runs next, and who can no longer be answered."""
        rejections = self.expire(now=now, engine_free_at=now)
        probe = self._ready_probe()
        if probe is not None:
            return self._run(probe, now), rejections
        entries, overloaded = self._in_order(now)
        self._round = min((self._turn(entry) for entry in entries), default=self._round)
        ready = [entry for entry in entries if entry.stage == "ready"]
        if not ready:
            return [], rejections
        chosen = self._most_in_time(ready, now) if overloaded else self._earliest_first(ready, now)
        batch = self._run(chosen, now)
        free_at = now + self.cost.bound(len(chosen))
        return batch, rejections + self.expire(now=now, engine_free_at=free_at)

    def expire(self, *, now: float, engine_free_at: float) -> list[Rejection[Work]]:
        """Remove and return what can no longer be answered in time, even alone in the next batch."""
        limit = max(now, engine_free_at) + self.cost.bound(1)
        hopeless = [entry.ticket for entry in self._waiting.values() if not entry.ticket.deadline_at >= limit]
        rejections = [
            rejection
            for ticket in hopeless
            if (rejection := self._infeasible(ticket, now=now, engine_free_at=engine_free_at))
        ]
        for rejection in rejections:
            del self._waiting[rejection.ticket.session]
        return rejections

    def next_expiry(self) -> float | None:
        """When the next observation becomes infeasible if nothing else happens [s]."""
        deadlines = [entry.ticket.deadline_at for entry in self._waiting.values()]
        return min(deadlines) - self.cost.bound(1) if deadlines else None

    def _infeasible(
        self, ticket: Ticket[Work], *, now: float, engine_free_at: float
    ) -> Rejection[Work] | None:
        starts_at = max(now, engine_free_at)
        if ticket is self._probe and ticket.deadline_at >= now:
            return None
        if ticket.deadline_at >= starts_at + self.cost.bound(1):
            return None
        sentence = (
            f"cannot be answered in time: {_ms(ticket.deadline_at - now)} are left, the model is free in "
            f"{_ms(starts_at - now)} and needs {_ms(self.cost.bound(1))}"
        )
        return _rejected(ticket, "deadline", sentence)

    def _may_probe(self, now: float, engine_free_at: float) -> bool:
        """Nothing has run for a while, so perhaps nothing ever would by this fit: let one show it wrong."""
        return not self._waiting and engine_free_at <= now and now - self._ran_at >= PROBE_SECONDS

    def _ready_probe(self) -> list[_Entry[Work]] | None:
        entry = self._waiting.get(self._probe.session) if self._probe is not None else None
        return [entry] if entry and entry.ticket is self._probe and entry.stage == "ready" else None

    def _run(self, chosen: list[_Entry[Work]], now: float) -> list[Ticket[Work]]:
        self._ran_at, self._probe = now, None
        for entry in chosen:
            del self._waiting[entry.ticket.session]
            self._turns[entry.ticket.session] += 1
        return [entry.ticket for entry in chosen]

    def _turn(self, entry: _Entry[Work]) -> int:
        return self._turns[entry.ticket.session]

    def _in_order(self, now: float) -> tuple[list[_Entry[Work]], bool]:
        """Everything that waits, the next first, and whether somebody must miss."""
        by_deadline = sorted(self._waiting.values(), key=lambda entry: entry.due_at)
        if self._all_fit([entry.due_at for entry in by_deadline], now):
            return by_deadline, False
        # Stable: within a turn the earliest deadline stays first.
        return sorted(by_deadline, key=self._turn), True

    def _all_fit(self, deadlines: Sequence[float], now: float) -> bool:
        """Can batches formed earliest deadline first meet all of these deadlines?"""
        done = 0
        while done < len(deadlines):
            size = min(self._largest_size(deadlines[done] - now), len(deadlines) - done)
            if size < 1:
                return False
            now += self.cost.bound(size)
            done += size
        return True

    def _largest_size(self, seconds: float) -> int:
        """The largest batch that is done within this time."""
        size = self.max_batch
        while size > 0 and not self.cost.bound(size) <= seconds:
            size -= 1
        return size

    def _earliest_first(self, ready: list[_Entry[Work]], now: float) -> list[_Entry[Work]]:
        return ready[: max(1, self._largest_size(ready[0].due_at - now))]

    def _most_in_time(self, ready: list[_Entry[Work]], now: float) -> list[_Entry[Work]]:
        """The batch with the most answers per second, in turn; a session far behind is taken along."""
        head, typical = ready[0], ready[len(ready) // 2]
        limit = self.max_batch
        if self._turn(head) + CREDIT_TURNS <= self._turn(typical):
            limit = max(1, self._largest_size(head.ticket.deadline_at - now))
        best: list[_Entry[Work]] = []
        for size in range(1, limit + 1):
            done_at = now + self.cost.bound(size)
            chosen = [entry for entry in ready if entry.ticket.deadline_at >= done_at][:size]
            if len(chosen) == size and self._rate(size) >= self._rate(len(best)):
                best = chosen
        return best

    def _rate(self, size: int) -> float:
        return size / self.cost.bound(size) if size else 0.0


def _rejected(ticket: Ticket[Work], reason: RefusalReason, sentence: str) -> Rejection[Work]:
    return Rejection(ticket=ticket, reason=reason, sentence=sentence)


def superseded(older: Ticket[Work], newer: Ticket[Work]) -> Rejection[Work]:
    sentence = f"observation {older.sequence} is superseded by {newer.sequence} of the same session"
    return _rejected(older, "superseded", sentence)


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.0f} ms"
