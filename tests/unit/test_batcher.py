"""What the batcher promises, one promise a test; time is a number here."""

import math

import pytest

from policy_server.batch_cost import BatchCost
from policy_server.batcher import PREPARED_BATCHES, PROBE_SECONDS, Batcher, Ticket

A, B = 0.008, 0.002  # [s] t(B) = 8 + 2 B ms


def make_batcher(max_batch: int = 16, max_waiting: int = 64) -> Batcher[None]:
    cost = BatchCost([(1, A + B), (max_batch, A + B * max_batch)])
    return Batcher(cost=cost, max_batch=max_batch, max_waiting=max_waiting)


def ticket(session: str, sequence: int = 1, *, deadline_at: float = 1.0, at: float = 0.0) -> Ticket[None]:
    return Ticket(session=session, sequence=sequence, arrived_at=at, deadline_at=deadline_at, work=None)


def submit_ready(batcher: Batcher[None], *tickets: Ticket[None], now: float = 0.0) -> list[str]:
    """Submit and prepare; return the reasons of all rejections."""
    reasons: list[str] = []
    for one in tickets:
        reasons += [r.reason for r in batcher.submit(one, now=now, engine_free_at=now)]
    for one in batcher.take_for_preparation(now=now):
        batcher.prepared(one)
    return reasons


def sessions_of(batch: list[Ticket[None]]) -> list[str]:
    return [one.session for one in batch]


def test_a_newer_observation_of_a_session_supersedes_the_older() -> None:
    batcher = make_batcher()
    batcher.submit(ticket("a", 1), now=0.0, engine_free_at=0.0)
    (rejection,) = batcher.submit(ticket("a", 2), now=0.0, engine_free_at=0.0)
    assert (rejection.reason, rejection.ticket.sequence) == ("superseded", 1)
    assert "1 is superseded by 2" in rejection.sentence
    (rejection,) = batcher.submit(ticket("a", 1), now=0.0, engine_free_at=0.0)
    assert (rejection.reason, rejection.ticket.sequence) == ("superseded", 1), "an old one that comes late"
    assert len(batcher) == 1


def test_earliest_deadline_goes_first_and_sets_the_batch_size() -> None:
    batcher = make_batcher()
    # 13 ms allow t(2) = 12 ms, not t(3) = 14 ms; the other two still make it in the next batch.
    submit_ready(
        batcher,
        ticket("late", deadline_at=0.100),
        ticket("urgent", deadline_at=0.013),
        ticket("middle", deadline_at=0.050),
    )
    batch, rejections = batcher.next_batch(now=0.0)
    assert sessions_of(batch) == ["urgent", "middle"]
    assert not rejections
    batch, _ = batcher.next_batch(now=0.012)
    assert sessions_of(batch) == ["late"]


def test_nothing_waits_for_a_fuller_batch() -> None:
    batcher = make_batcher()
    submit_ready(batcher, ticket("a", deadline_at=1e6))
    assert sessions_of(batcher.next_batch(now=0.0)[0]) == ["a"]


def test_an_observation_that_is_not_prepared_does_not_hold_up_the_others() -> None:
    batcher = make_batcher()
    batcher.submit(ticket("slow", deadline_at=0.5), now=0.0, engine_free_at=0.0)
    (slow,) = batcher.take_for_preparation(now=0.0)
    submit_ready(batcher, ticket("a"))
    assert sessions_of(batcher.next_batch(now=0.0)[0]) == ["a"]
    assert batcher.prepared(slow)
    assert sessions_of(batcher.next_batch(now=0.01)[0]) == ["slow"]


def test_what_cannot_make_its_deadline_is_refused_on_arrival() -> None:
    batcher = make_batcher()
    batcher.next_batch(now=0.0)
    (rejection,) = batcher.submit(ticket("a", deadline_at=0.009), now=0.0, engine_free_at=0.0)
    assert rejection.reason == "deadline"
    assert "9 ms are left" in rejection.sentence
    assert "needs 10 ms" in rejection.sentence
    # The running batch counts too: free in 30 ms, so 35 ms are not enough.
    (rejection,) = batcher.submit(ticket("b", deadline_at=0.035), now=0.0, engine_free_at=0.030)
    assert rejection.reason == "deadline"
    assert len(batcher) == 0


@pytest.mark.parametrize("deadline_at", [math.nan, -math.inf])
def test_a_deadline_that_is_no_number_is_refused(deadline_at: float) -> None:
    (rejection,) = make_batcher().submit(ticket("a", deadline_at=deadline_at), now=0.0, engine_free_at=0.0)
    assert rejection.reason == "deadline"


def test_what_a_new_batch_makes_hopeless_is_told_at_once() -> None:
    batcher = make_batcher(max_batch=2)
    submit_ready(batcher, *(ticket(f"s{i}", deadline_at=0.020) for i in range(3)))
    batch, rejections = batcher.next_batch(now=0.0)
    assert len(batch) == 2
    assert [r.reason for r in rejections] == ["deadline"]


def test_waiting_observations_expire_by_themselves() -> None:
    batcher = make_batcher()
    batcher.submit(ticket("a", deadline_at=0.100), now=0.0, engine_free_at=0.0)
    expiry = batcher.next_expiry()
    assert expiry == pytest.approx(0.090)
    assert not batcher.expire(now=0.089, engine_free_at=0.0)
    (rejection,) = batcher.expire(now=0.091, engine_free_at=0.0)
    assert rejection.reason == "deadline"
    assert batcher.next_expiry() is None


def test_the_queue_is_bounded_but_a_session_may_always_renew() -> None:
    batcher = make_batcher(max_waiting=2)
    assert submit_ready(batcher, ticket("a"), ticket("b"), ticket("c")) == ["overloaded"]
    assert submit_ready(batcher, ticket("a", 2)) == ["superseded"]


def test_cancelling_frees_the_place() -> None:
    batcher = make_batcher(max_waiting=1)
    first = ticket("a")
    submit_ready(batcher, first)
    assert batcher.cancel("a") is first
    assert submit_ready(batcher, ticket("b")) == []
    assert not batcher.prepared(first), "its preparation came too late"
    assert not batcher.withdraw(first)
    assert sessions_of(batcher.next_batch(now=0.0)[0]) == ["b"]


def test_draining_takes_nothing_new_and_finishes_what_waits() -> None:
    batcher = make_batcher()
    submit_ready(batcher, ticket("a"))
    batcher.draining = True
    assert submit_ready(batcher, ticket("b")) == ["draining"]
    assert sessions_of(batcher.next_batch(now=0.0)[0]) == ["a"]


def test_only_what_two_batches_can_use_is_prepared() -> None:
    batcher = make_batcher(max_batch=2)
    for i in range(10):
        batcher.submit(ticket(f"s{i}", deadline_at=1.0 - 0.01 * i), now=0.0, engine_free_at=0.0)
    first = batcher.take_for_preparation(now=0.0)
    assert sessions_of(first) == ["s9", "s8", "s7", "s6"], "the most urgent"
    assert len(first) == 2 * PREPARED_BATCHES
    assert batcher.take_for_preparation(now=0.0) == []


def test_while_the_model_is_busy_only_half_a_batch_is_prepared() -> None:
    batcher = make_batcher(max_batch=4)
    for i in range(10):
        batcher.submit(ticket(f"s{i}"), now=0.0, engine_free_at=0.0)
    assert len(batcher.take_for_preparation(now=0.0, soon_free=False)) == 2
    assert len(batcher.take_for_preparation(now=0.0, soon_free=True)) == 6


def test_a_fit_that_refuses_everybody_is_tried_again() -> None:
    """A stall during warm-up must not make a server that answers nobody for ever."""
    batcher: Batcher[None] = Batcher(cost=BatchCost([(1, 5.0)]), max_batch=4, max_waiting=4)
    now = 10.0
    for i in range(20):
        submit_ready(batcher, ticket("a", i, deadline_at=now + 0.1, at=now), now=now)
        batch, _ = batcher.next_batch(now=now)
        if batch:
            batcher.cost.observe(1, 0.010)
        now += PROBE_SECONDS
    assert batcher.cost.bound(1) < 0.1
    assert submit_ready(batcher, ticket("a", 99, deadline_at=now + 0.1, at=now), now=now) == []


def test_batch_cost_follows_the_machine_and_survives_one_stall() -> None:
    cost = BatchCost([(1, 0.010), (16, 0.040)])
    assert cost.seconds(8) == pytest.approx(0.024)
    for _ in range(100):
        cost.observe(4, 0.032)
        cost.observe(8, 0.048)
    assert (cost.a, cost.b) == (pytest.approx(0.016, abs=2e-3), pytest.approx(0.004, abs=3e-4))
    cost.observe(4, 5.0)
    for _ in range(60):
        cost.observe(4, 0.032)
        cost.observe(8, 0.048)
    assert cost.bound(8) < 0.080


def test_batch_cost_never_says_that_a_larger_batch_is_faster() -> None:
    cost = BatchCost([(1, 0.030), (8, 0.010)])
    assert cost.b == 0.0
    assert cost.seconds(1) == cost.seconds(8) > 0.0
    with pytest.raises(ValueError, match="at least one"):
        BatchCost([])
