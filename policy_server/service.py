"""PolicyService over asyncio gRPC: one stream per robot with one writer, and single calls for tools.

Messages arrive as bytes and are parsed here, so that malformed ones get a status or a refusal with a
sentence instead of ending the stream.
"""

import asyncio
import itertools
import logging
import time
from typing import Any

import grpc
import grpc.aio

from policy_server.intake import Intake, refusal
from policy_server.outbox import Ending, Outbox
from policy_server.rate_cap import RateCap
from policy_server.request import Answer, Arrival
from robot_contract import wire
from robot_contract import wire_pb2 as pb
from robot_contract.errors import WireError
from robot_contract.messages import ActionChunk, Refusal, RefusalReason

log = logging.getLogger(__name__)

SERVICE = "touchdown.v1.PolicyService"
MAX_SESSION = 200  # characters that are echoed

STATUS: dict[RefusalReason, grpc.StatusCode] = {
    "superseded": grpc.StatusCode.ABORTED,
    "deadline": grpc.StatusCode.DEADLINE_EXCEEDED,
    "overloaded": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "invalid": grpc.StatusCode.INVALID_ARGUMENT,
    "unknown_policy": grpc.StatusCode.NOT_FOUND,
    "unauthorised": grpc.StatusCode.PERMISSION_DENIED,
    "draining": grpc.StatusCode.UNAVAILABLE,
    "internal": grpc.StatusCode.INTERNAL,
}


class PolicyService:
    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._numbers = itertools.count(1)
        self._outboxes: set[Outbox] = set()

    def handler(self) -> grpc.GenericRpcHandler:
        """What a server registers: the three methods, taking bytes."""
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "GetContract": grpc.unary_unary_rpc_method_handler(
                    self.get_contract, response_serializer=pb.PolicyContract.SerializeToString
                ),
                "Predict": grpc.unary_unary_rpc_method_handler(
                    self.predict, response_serializer=pb.ActionChunk.SerializeToString
                ),
                "Stream": grpc.stream_stream_rpc_method_handler(
                    self.stream, response_serializer=pb.StreamReply.SerializeToString
                ),
            },
        )

    async def get_contract(self, data: bytes, context: Any) -> pb.PolicyContract:
        try:
            name = wire.decode(pb.GetContractRequest, data).policy
        except WireError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            raise
        policy = self._intake.policies.find(name)
        if policy is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, self._intake.policies.unknown(name))
            raise AssertionError
        if policy.current is None:
            await context.abort(grpc.StatusCode.UNAVAILABLE, f"policy {name!r} is {policy.state}")
            raise AssertionError
        return policy.current.contract_message

    async def predict(self, data: bytes, context: Any) -> pb.ActionChunk:
        """One call, one answer. Calls of one client and session supersede each other like a stream's."""
        arrived_at = time.monotonic()
        try:
            arrival = arrival_from_wire(wire.decode(pb.Observation, data), arrived_at)
        except WireError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            raise
        session = f"call {context.peer()} {arrival.session}"
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        refused = self._intake.open(session)
        if refused is not None:
            await context.abort(refused.status, refused.sentence)
        ticket = None
        try:
            ticket = self._intake.submit(arrival, session=session, deliver=answered.set_result)
            answer = self._intake.settle(await answered)
        finally:
            if ticket is not None:
                self._intake.withdraw(ticket)
            self._intake.close(session)
        if isinstance(answer.reply, Refusal):
            await context.abort(STATUS[answer.reply.reason], answer.reply.sentence)
        return _chunk_to_wire(answer)

    async def stream(self, _requests: Any, context: Any) -> None:
        """Read in one task, write in this one and nowhere else: two writers on one stream fail."""
        session = f"stream {next(self._numbers)}"
        outbox = Outbox(limit=self._intake.limits.max_replies)
        refused = self._intake.open(session, outbox.close)
        if refused is not None:
            await context.abort(refused.status, refused.sentence)
        self._outboxes.add(outbox)
        reader = asyncio.create_task(self._read(context, session, outbox))
        try:
            while (answer := await outbox.take()) is not None:
                await self._write(context, answer)
        finally:
            self._outboxes.discard(outbox)
            reader.cancel()
            self._intake.close(session)
        if outbox.ending is not None:
            await context.abort(outbox.ending.status, outbox.ending.sentence)

    async def _write(self, context: Any, answer: Answer) -> None:
        message = wire.stream_reply_to_wire(answer.reply)  # before the last look at the clock
        settled = self._intake.settle(answer)
        if settled is not answer:
            message = wire.stream_reply_to_wire(settled.reply)
        elif isinstance(answer.reply, ActionChunk):
            now = time.monotonic()
            message.chunk.timings.total = now - answer.arrived_at
            if now > answer.deadline_at:
                self._intake.metrics.sent_late.labels(answer.policy).inc()
        await context.write(message)

    def end_streams(self) -> None:
        """Tell every robot that the server goes away, after the answers that it is owed."""
        for outbox in self._outboxes:
            outbox.close(Ending(status=grpc.StatusCode.UNAVAILABLE, sentence="the server is shutting down"))

    async def _read(self, context: Any, session: str, outbox: Outbox) -> None:
        """Take observations until the client is done, then close the outbox."""
        cap = RateCap(self._intake.limits.max_rate_hz, now=time.monotonic())
        owed = _Owed(outbox)
        try:
            while True:
                await outbox.wait_for_room()
                data: Any = await context.read()
                if data is grpc.aio.EOF:
                    await owed.paid()
                    return
                if not self._take(data, session, owed, cap):
                    await asyncio.sleep(cap.period)
        finally:
            outbox.close()

    def _take(self, data: bytes, session: str, owed: "_Owed", cap: RateCap) -> bool:
        """Hand one message on; False when it came too fast."""
        arrived_at = time.monotonic()
        try:
            arrival = arrival_from_wire(wire.decode(pb.Observation, data), arrived_at)
        except WireError as error:
            owed.outbox.put(refusal(arrival_from_wire(pb.Observation(), arrived_at), "invalid", str(error)))
            return True
        if not cap.admit(arrived_at):
            limit = self._intake.limits.max_rate_hz
            sentence = f"observations come faster than {limit:g} Hz, the limit of one session"
            owed.outbox.put(refusal(arrival, "overloaded", sentence))
            return False
        owed.count += 1
        self._intake.submit(arrival, session=session, deliver=owed.pay)
        return True


class _Owed:
    """Counts answers that a stream still waits for."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        self.count = 0
        self._none = asyncio.Event()

    def pay(self, answer: Answer) -> None:
        self.count -= 1
        self.outbox.put(answer)
        if self.count == 0:
            self._none.set()

    async def paid(self) -> None:
        while self.count:
            self._none.clear()
            await self._none.wait()


def arrival_from_wire(message: pb.Observation, arrived_at: float) -> Arrival:
    return Arrival(
        policy=message.policy,
        session=message.session[:MAX_SESSION],
        sequence=message.sequence,
        observed_at=message.observed_at,
        deadline=message.deadline,
        arrived_at=arrived_at,
        read=lambda: wire.observation_from_wire(message),
    )


def _chunk_to_wire(answer: Answer) -> pb.ActionChunk:
    assert isinstance(answer.reply, ActionChunk)
    message = wire.action_chunk_to_wire(answer.reply)
    message.timings.total = time.monotonic() - answer.arrived_at
    return message
