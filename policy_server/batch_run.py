"""What the pool and the engine's thread do with observations, and the replies that come of it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from policy_server.admission import check_observation, check_pictures
from policy_server.batcher import Rejection, Ticket
from policy_server.policies import PolicyVersion
from policy_server.request import Request
from robot_contract.messages import ActionChunk, Refusal, Timings
from robot_contract.policy_contract import ACTION_WIDTH
from robot_contract.pose import Vector


@dataclass(frozen=True, kw_only=True, eq=False)
class BatchRun:
    version: PolicyVersion
    batch: Sequence[Ticket[Request]]
    started_at: float  # [s], server's clock


@dataclass(frozen=True, kw_only=True, eq=False)
class BatchResult:
    chunks: Sequence[Vector]  # one (K, 7) per observation
    seconds: float  # in the model


def prepare_now(version: PolicyVersion, request: Request) -> None:
    """Read, check and decode one observation; ValueError refuses it."""
    if request.closed:
        return
    started_at = time.perf_counter()
    observation = request.arrival.read()
    check_observation(observation, version.contract)
    check_pictures(observation)
    request.prepared = version.model.prepare(observation)
    request.preprocess = time.perf_counter() - started_at


def forward_now(run: BatchRun) -> BatchResult:
    """Run the model on a batch and see that it answered something a robot may be sent."""
    started_at = time.perf_counter()
    chunks = run.version.model.forward([ticket.work.prepared for ticket in run.batch])
    seconds = time.perf_counter() - started_at
    expected = (run.version.contract.chunk_length, ACTION_WIDTH)
    assert len(chunks) == len(run.batch), f"{len(chunks)} chunks for {len(run.batch)} observations"
    for actions in chunks:
        assert actions.shape == expected, f"chunk has shape {actions.shape}, expected {expected}"
        assert np.isfinite(actions).all(), "chunk has values that are not finite"
    return BatchResult(chunks=chunks, seconds=seconds)


def chunk_for(run: BatchRun, result: BatchResult, index: int, *, now: float) -> ActionChunk:
    ticket = run.batch[index]
    request, arrival = ticket.work, ticket.work.arrival
    return ActionChunk(
        session=arrival.session,
        sequence=arrival.sequence,
        observed_at=arrival.observed_at,
        actions=result.chunks[index],
        interface_digest=run.version.interface_digest,
        policy_digest=run.version.policy_digest,
        timings=Timings(
            queue=max(0.0, run.started_at - ticket.arrived_at - request.preprocess),
            preprocess=request.preprocess,
            model=result.seconds,
            total=now - ticket.arrived_at,
            batch_size=len(run.batch),
        ),
    )


def refusal_for(rejection: Rejection[Request]) -> Refusal:
    arrival = rejection.ticket.work.arrival
    return Refusal(
        session=arrival.session,
        sequence=arrival.sequence,
        reason=rejection.reason,
        sentence=rejection.sentence,
    )
