"""One writer per stream, and no chunk after its deadline: the service against a context that watches it."""

import asyncio
import dataclasses
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc
import grpc.aio
import pytest

from policy_server.batch_cost import BatchCost
from policy_server.engine_worker import EngineWorker
from policy_server.intake import Intake, ServerLimits
from policy_server.metrics import Metrics
from policy_server.policies import Policies, Policy, PolicyVersion
from policy_server.served_model import blank_observation, time_batches
from policy_server.service import PolicyService
from policy_server.stand_in import StandIn, StandInOptions
from robot_contract import wire
from robot_contract import wire_pb2 as pb
from robot_contract.messages import Observation, Refusal
from robot_contract.pose import Pose, Vector


class WatchedContext:
    """A stream's context that fails when two writes overlap, and lets each take a moment."""

    def __init__(self, observations: Sequence[Observation], *, write_seconds: float = 0.001) -> None:
        self._incoming = [wire.observation_to_wire(o).SerializeToString() for o in observations]
        self._write_seconds = write_seconds
        self._writing = False
        self.written: list[pb.StreamReply] = []

    async def read(self) -> Any:
        await asyncio.sleep(0)
        return self._incoming.pop(0) if self._incoming else grpc.aio.EOF

    async def write(self, message: pb.StreamReply) -> None:
        assert not self._writing, "two tasks write to one stream"
        self._writing = True
        await asyncio.sleep(self._write_seconds)
        self._writing = False
        self.written.append(message)

    def peer(self) -> str:
        return "ipv4:127.0.0.1:1"

    async def abort(self, status: grpc.StatusCode, sentence: str) -> None:
        raise AssertionError(f"{status}: {sentence}")


class FailingModel(StandIn):
    def forward(self, batch: Sequence[float]) -> Sequence[Vector]:
        if any(x > 0.9 for x in batch):
            raise RuntimeError("secret path /models/x")
        return super().forward(batch)


def run_service(
    work: Callable[[PolicyService, Intake], Awaitable[None]], model: StandIn | None = None, **limits: Any
) -> Intake:
    async def everything() -> Intake:
        policies, metrics = Policies(), Metrics()
        chosen = model or StandIn(StandInOptions(fixed_ms=1.0, per_sample_ms=0.1, image_size=32))
        cost = BatchCost([(1, time_batches(chosen, 1)), (4, time_batches(chosen, 4))])
        version = PolicyVersion(chosen, cost, name="stand-in", max_batch=4, max_waiting=64)
        policies.add(Policy(name="stand-in", source="", state="serving", current=version))
        engine = EngineWorker(policies, metrics, decode_threads=2)
        intake = Intake(policies, engine, metrics, ServerLimits(**limits))
        await work(PolicyService(intake), intake)
        engine.close()
        return intake

    return asyncio.run(everything())


def observations(count: int, **changes: Any) -> list[Observation]:
    model = StandIn(StandInOptions(image_size=32))
    blank = dataclasses.replace(blank_observation(model.contract), deadline=5.0)
    return [dataclasses.replace(blank, sequence=i, **changes) for i in range(count)]


def test_one_task_writes_whatever_happens_at_once() -> None:
    context = WatchedContext(observations(100))

    async def work(service: PolicyService, _: Intake) -> None:
        await service.stream(None, context)

    run_service(work, max_rate_hz=1e6)
    replies = [wire.stream_reply_from_wire(message) for message in context.written]
    assert sorted(reply.sequence for reply in replies) == list(range(100)), "every observation is answered"


def test_the_watch_notices_two_writers() -> None:
    """The test above can fail."""
    context = WatchedContext([])

    async def work(_service: PolicyService, _: Intake) -> None:
        with pytest.raises(AssertionError, match="two tasks"):
            await asyncio.gather(context.write(pb.StreamReply()), context.write(pb.StreamReply()))

    run_service(work)


def test_a_chunk_that_is_late_at_the_wire_is_suppressed_and_counted() -> None:
    """The peer takes its first reply so slowly that the next are late when their turn comes."""

    class Spaced(WatchedContext):
        async def read(self) -> Any:
            await asyncio.sleep(0.02)
            return await super().read()

    context = Spaced(observations(4, deadline=0.08), write_seconds=0.2)

    async def work(service: PolicyService, _: Intake) -> None:
        await service.stream(None, context)

    intake = run_service(work)
    replies = [wire.stream_reply_from_wire(message) for message in context.written]
    late = [r for r in replies if isinstance(r, Refusal) and "after its deadline" in r.sentence]
    assert late
    assert {refusal.reason for refusal in late} == {"deadline"}
    assert intake.metrics.late.labels("stand-in")._value.get() == len(late)  # pyright: ignore[reportPrivateUsage]


def test_a_failing_model_gives_a_sentence_without_its_traceback() -> None:
    good = observations(1)[0]
    far = Pose(position=good.tcp_pose.position + 1.0, quaternion=good.tcp_pose.quaternion)
    context = WatchedContext([dataclasses.replace(good, tcp_pose=far)])

    async def work(service: PolicyService, _: Intake) -> None:
        await service.stream(None, context)
        context._incoming.append(wire.observation_to_wire(good).SerializeToString())
        await service.stream(None, context)

    model = FailingModel(StandInOptions(fixed_ms=1.0, per_sample_ms=0.1, image_size=32))
    run_service(work, model)
    failed, served = (wire.stream_reply_from_wire(message) for message in context.written)
    assert isinstance(failed, Refusal)
    assert failed.reason == "internal"
    assert "secret" not in failed.sentence
    assert not isinstance(served, Refusal), "the server goes on"


def test_the_loop_is_not_blocked_while_the_model_runs() -> None:
    model = StandIn(StandInOptions(fixed_ms=150.0, per_sample_ms=0.0, image_size=32))
    gaps: list[float] = []

    async def work(service: PolicyService, _: Intake) -> None:
        answered = asyncio.create_task(service.stream(None, WatchedContext(observations(1))))
        while not answered.done():
            before = time.perf_counter()
            await asyncio.sleep(0.005)
            gaps.append(time.perf_counter() - before)
        await answered

    run_service(work, model)
    assert len(gaps) > 8, "the loop went on turning during the batch"


def test_draining_ends_when_what_waits_expires() -> None:
    """Nothing runs and nothing is ready: the last observation goes by its deadline, which ends it."""

    class SlowToPrepare(StandIn):
        def prepare(self, observation: Observation) -> float:
            time.sleep(0.3)
            return super().prepare(observation)

    model = SlowToPrepare(StandInOptions(fixed_ms=1.0, per_sample_ms=0.1, image_size=32))
    context = WatchedContext(observations(1, deadline=0.05))

    async def work(service: PolicyService, intake: Intake) -> None:
        streaming = asyncio.create_task(service.stream(None, context))
        await asyncio.sleep(0.01)
        (version,) = intake.policies.versions()
        started_at = time.monotonic()
        assert await intake.drain(version, timeout=20.0)
        assert time.monotonic() - started_at < 10.0
        await streaming

    run_service(work, model)
    (reply,) = (wire.stream_reply_from_wire(message) for message in context.written)
    assert isinstance(reply, Refusal)
    assert reply.reason == "deadline"
