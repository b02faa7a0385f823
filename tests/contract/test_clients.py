"""The clients against a real gRPC server of a few lines: answers, refusals, malformed replies, ends."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from concurrent import futures
from typing import Any

import grpc
import numpy as np
import pytest

from robot_contract import messages as m
from robot_contract import wire
from robot_contract import wire_pb2 as pb
from robot_contract.channel import is_loopback, server_options
from robot_contract.client import BlockingPolicyClient, OperatorClient, PolicyClient
from robot_contract.errors import BridgeUnavailable, PolicyUnavailable
from robot_contract.pose import Pose
from robot_contract.wire_pb2_grpc import (
    OperatorServiceServicer,
    PolicyServiceServicer,
    add_OperatorServiceServicer_to_server,
    add_PolicyServiceServicer_to_server,
)


def observation(sequence: int = 1, instruction: str = "put the can on the plate") -> m.Observation:
    return m.Observation(
        policy="put-on",
        session="robot-1",
        sequence=sequence,
        observed_at=12.5,
        images={"external": m.CameraImage(jpeg=b"\xff\xd8\xff", width=96, height=96, exposed_at=12.5)},
        tcp_pose=Pose.identity(),
        joint_position=np.zeros(7),
        gripper_width=0.08,
        gripper_command=1.0,
        instruction=instruction,
        deadline=5.0,
    )


class EchoPolicy(PolicyServiceServicer):
    """Answers with zeros; `refuse`, `malformed` and `crash` as instructions do what they say."""

    def _reply(self, message: pb.Observation) -> pb.StreamReply:
        if message.instruction == "refuse":
            return pb.StreamReply(
                refusal=wire.refusal_to_wire(
                    m.Refusal(
                        session=message.session,
                        sequence=message.sequence,
                        reason="overloaded",
                        sentence="the queue is full",
                    )
                )
            )
        chunk = wire.action_chunk_to_wire(
            m.ActionChunk(
                session=message.session,
                sequence=message.sequence,
                observed_at=message.observed_at,
                actions=np.zeros((8, 7)),
                interface_digest="0" * 64,
                policy_digest="0" * 64,
                timings=m.Timings(queue=0.0, preprocess=0.0, model=0.0, total=0.0, batch_size=1),
            )
        )
        if message.instruction == "malformed":
            chunk.actions[3] = float("nan")
        return pb.StreamReply(chunk=chunk)

    def Predict(self, request: pb.Observation, context: Any) -> pb.ActionChunk:
        if request.instruction == "refuse":
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "the queue is full")
        return self._reply(request).chunk

    def Stream(self, request_iterator: Iterator[pb.Observation], context: Any) -> Iterator[pb.StreamReply]:
        for request in request_iterator:
            if request.instruction == "crash":
                context.abort(grpc.StatusCode.INTERNAL, "the model failed")
            yield self._reply(request)

    def GetContract(self, request: pb.GetContractRequest, context: Any) -> pb.PolicyContract:
        if request.policy != "put-on":
            context.abort(grpc.StatusCode.NOT_FOUND, f"no policy {request.policy!r}; valid are put-on")
        return pb.PolicyContract(name="put-on")


class EchoBridge(OperatorServiceServicer):
    def Send(self, request: pb.OperatorEvent, context: Any) -> pb.BridgeStatus:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "clear is not possible in mode RUNNING")
        raise AssertionError

    def HoldToRun(self, request_iterator: Iterator[pb.Heartbeat], context: Any) -> Iterator[pb.HoldState]:
        nonce = 1
        yield pb.HoldState(nonce=nonce)
        for beat in request_iterator:
            nonce += 1
            yield pb.HoldState(nonce=nonce, held=beat.held, press=beat.press)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = grpc.server(futures.ThreadPoolExecutor(8), options=server_options())
    add_PolicyServiceServicer_to_server(EchoPolicy(), server)
    add_OperatorServiceServicer_to_server(EchoBridge(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(grace=None).wait()


def test_blocking_calls(address: str) -> None:
    with BlockingPolicyClient(address) as client:
        chunk = client.predict(observation(7))
        assert (chunk.session, chunk.sequence, chunk.observed_at) == ("robot-1", 7, 12.5)
        with pytest.raises(PolicyUnavailable, match="RESOURCE_EXHAUSTED: the queue is full"):
            client.predict(observation(instruction="refuse"))
        with pytest.raises(PolicyUnavailable, match="sent a malformed chunk: actions is"):
            client.predict(observation(instruction="malformed"))
        with pytest.raises(PolicyUnavailable, match="NOT_FOUND: no policy 'pick'; valid are put-on"):
            client.get_contract("pick")
        with pytest.raises(PolicyUnavailable, match="sent a malformed contract"):
            client.get_contract("put-on")


def test_blocking_stream(address: str) -> None:
    with BlockingPolicyClient(address) as client:
        stream = client.open_stream()
        assert stream.receive(0.01) is None
        for sequence in range(5):
            stream.send(observation(sequence))
        replies = [stream.receive(5.0) for _ in range(5)]
        assert [reply.sequence for reply in replies if reply is not None] == [0, 1, 2, 3, 4]
        stream.send(observation(9, "refuse"))
        assert isinstance(stream.receive(5.0), m.Refusal)
        stream.send(observation(10, "crash"))
        with pytest.raises(PolicyUnavailable, match="INTERNAL: the model failed"):
            stream.receive(5.0)
        with pytest.raises(PolicyUnavailable):
            stream.send(observation(11))
        stream.close()


def test_a_server_that_is_not_there_is_said_so() -> None:
    with (
        BlockingPolicyClient("127.0.0.1:1") as client,
        pytest.raises(PolicyUnavailable, match=r"127\.0\.0\.1:1: (UNAVAILABLE|DEADLINE_EXCEEDED)"),
    ):
        client.get_contract("put-on", timeout=2.0)


def test_asyncio_calls_and_stream(address: str) -> None:
    async def run() -> None:
        async with PolicyClient(address) as client:
            assert (await client.predict(observation(3))).sequence == 3
            with pytest.raises(PolicyUnavailable, match="RESOURCE_EXHAUSTED"):
                await client.predict(observation(instruction="refuse"))
            async with client.stream() as stream:
                await stream.send(observation(4))
                await stream.send(observation(5, "refuse"))
                await stream.end()
                replies = [reply async for reply in stream]
            assert [type(reply) for reply in replies] == [m.ActionChunk, m.Refusal]

    asyncio.run(run())


def test_operator_calls_and_the_lease(address: str) -> None:
    async def run() -> None:
        async with OperatorClient(address) as client:
            with pytest.raises(BridgeUnavailable, match="FAILED_PRECONDITION: clear is not possible"):
                await client.send(m.OperatorEvent(action="clear", operator="test"))
            with pytest.raises(BridgeUnavailable, match="UNIMPLEMENTED"):
                await anext(aiter(client.watch()))
            async with client.hold_to_run() as hold:
                first = await hold.receive()
                assert first is not None
                await hold.send(m.Heartbeat(nonce=first.nonce, press=1, held=True))
                second = await hold.receive()
                assert second is not None
                assert (second.nonce, second.held, second.press) == (2, True, 1)

    asyncio.run(run())


def test_a_killed_stream_ends_the_iteration(address: str) -> None:
    async def run() -> float:
        async def watch(client: OperatorClient) -> AsyncIterator[Any]:
            async for status in client.watch():
                yield status

        async with OperatorClient(address) as client:
            began = time.monotonic()
            with pytest.raises(BridgeUnavailable):
                await anext(watch(client))
            return time.monotonic() - began

    assert asyncio.run(run()) < 10.0


@pytest.mark.parametrize(
    ("address", "loopback"),
    [
        ("127.0.0.1:50051", True),
        ("127.9.9.9:1", True),
        ("localhost:50051", True),
        ("[::1]:50051", True),
        ("unix:/run/policy.sock", True),
        ("0.0.0.0:50051", False),
        ("[::]:50051", False),
        ("192.168.1.4:50051", False),
        ("gpu.lab:50051", False),
    ],
)
def test_loopback_is_recognised(address: str, loopback: bool) -> None:
    assert is_loopback(address) == loopback
