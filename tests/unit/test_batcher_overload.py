"""Many robots against one engine, simulated: throughput, fairness and deadlines under overload."""

import heapq
import itertools
from collections import Counter
from dataclasses import dataclass, field

import pytest

from policy_server.batch_cost import BatchCost
from policy_server.batcher import Batcher, Ticket

A, B, MAX_BATCH = 0.008, 0.002, 16
CAPACITY = MAX_BATCH / (A + B * MAX_BATCH)  # [observations/s]


@dataclass(frozen=True, kw_only=True)
class Robots:
    count: int
    rate_hz: float
    patience: float  # [s]


@dataclass
class Outcome:
    served: Counter[str] = field(default_factory=Counter)
    late: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    def fairness(self, sessions: list[str]) -> float:
        counts = [self.served[session] for session in sessions]
        return min(counts) / max(counts)


def simulate(fleet: list[Robots], seconds: float) -> tuple[Outcome, list[str]]:
    batcher: Batcher[None] = Batcher(
        cost=BatchCost([(1, A + B), (MAX_BATCH, A + B * MAX_BATCH)]), max_batch=MAX_BATCH, max_waiting=512
    )
    outcome, numbers, sessions = Outcome(), itertools.count(), []
    events: list[tuple[float, int, str, Robots | list[Ticket[None]]]] = []
    for kind, robots in enumerate(fleet):
        for i in range(robots.count):
            name = f"{kind}-{i}"
            sessions.append(name)
            heapq.heappush(events, (i / robots.count / robots.rate_hz, next(numbers), name, robots))
    running_until = 0.0
    busy = False
    while events and events[0][0] < seconds:
        now, number, name, what = heapq.heappop(events)
        if isinstance(what, Robots):
            ticket = Ticket(
                session=name, sequence=number, arrived_at=now, deadline_at=now + what.patience, work=None
            )
            free_at = running_until if busy else now
            for rejection in batcher.submit(ticket, now=now, engine_free_at=free_at):
                outcome.refused[rejection.reason] += 1
            heapq.heappush(events, (now + 1 / what.rate_hz, next(numbers), name, what))
        else:
            busy = False
            for ticket in what:
                outcome.served[ticket.session] += 1
                outcome.late += now > ticket.deadline_at + 1e-9
        for ticket in batcher.take_for_preparation(now=now):
            batcher.prepared(ticket)
        if not busy:
            batch, rejections = batcher.next_batch(now=now)
            outcome.refused.update(r.reason for r in rejections)
            if batch:
                busy, running_until = True, now + A + B * len(batch)
                heapq.heappush(events, (running_until, next(numbers), "", batch))
    return outcome, sessions


OVERLOADS = {
    "fast robots, superseded": [Robots(count=48, rate_hz=25.0, patience=0.15)],
    "many slow robots, refused": [Robots(count=240, rate_hz=5.0, patience=0.19)],
    "patience of just over one batch": [Robots(count=48, rate_hz=25.0, patience=0.085)],
}


@pytest.mark.parametrize("name", OVERLOADS)
def test_three_times_overload_keeps_throughput_and_fairness(name: str) -> None:
    seconds = 6.0
    outcome, sessions = simulate(OVERLOADS[name], seconds)
    assert outcome.late == 0
    assert outcome.served.total() / seconds >= 0.9 * CAPACITY
    assert outcome.fairness(sessions) >= 0.8


def test_impatient_and_patient_robots_share_evenly() -> None:
    fleet = [
        Robots(count=30, rate_hz=20.0, patience=0.09),
        Robots(count=30, rate_hz=20.0, patience=0.4),
    ]
    outcome, sessions = simulate(fleet, 6.0)
    assert outcome.late == 0
    assert outcome.fairness(sessions) >= 0.8


def test_a_robot_with_less_patience_than_a_full_batch_is_not_starved() -> None:
    fleet = [Robots(count=40, rate_hz=25.0, patience=0.15), Robots(count=1, rate_hz=29.0, patience=0.036)]
    outcome, _ = simulate(fleet, 6.0)
    typical = outcome.served["0-0"]
    assert outcome.served["1-0"] >= 0.3 * typical, "t(16) alone is 40 ms"
    assert outcome.served.total() / 6.0 >= 0.75 * CAPACITY


def test_without_overload_everybody_is_served_whatever_the_patience() -> None:
    fleet = [
        Robots(count=10, rate_hz=10.0, patience=0.06),
        Robots(count=10, rate_hz=5.0, patience=0.3),
    ]
    outcome, sessions = simulate(fleet, 6.0)
    assert outcome.late == 0
    assert not outcome.refused
    assert min(outcome.served[session] for session in sessions) >= 28
