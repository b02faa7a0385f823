"""Clients of the policy server: `PolicyClient` for asyncio, `BlockingPolicyClient` for threads.

A refusal of a single call, a broken connection or a malformed answer raises `PolicyUnavailable` with the
server's sentence; on a stream a refusal is an answer like any other.
"""

import queue
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import grpc
import grpc.aio

from robot_contract import wire
from robot_contract import wire_pb2 as pb
from robot_contract.channel import TlsFiles, call_metadata, open_blocking_channel, open_channel
from robot_contract.errors import PolicyUnavailable, WireError
from robot_contract.messages import ActionChunk, Observation, Refusal
from robot_contract.policy_contract import PolicyContract
from robot_contract.wire_pb2_grpc import PolicyServiceStub

CALL_SECONDS = 10.0  # for calls that have no deadline of their own


def unavailable(error: grpc.RpcError, address: str) -> PolicyUnavailable:
    """The error a caller sees, with status and sentence."""
    call: Any = error
    return PolicyUnavailable(f"policy server {address}: {call.code().name}: {call.details()}")


class PolicyStream:
    """One robot's stream, seen from asyncio: send observations, iterate over replies."""

    def __init__(self, call: Any, address: str) -> None:
        self._call = call
        self._address = address

    async def send(self, observation: Observation) -> None:
        try:
            await self._call.write(wire.observation_to_wire(observation))
        except grpc.RpcError as error:
            raise unavailable(error, self._address) from error

    async def receive(self) -> ActionChunk | Refusal | None:
        """The next reply; None when the server has ended the stream."""
        try:
            message = await self._call.read()
        except grpc.RpcError as error:
            raise unavailable(error, self._address) from error
        if message is grpc.aio.EOF:
            return None
        return _reply(message, self._address)

    async def __aiter__(self) -> AsyncIterator[ActionChunk | Refusal]:
        while (reply := await self.receive()) is not None:
            yield reply

    async def end(self) -> None:
        """Say that no more observations come; replies under way still arrive."""
        await self._call.done_writing()


def _reply(message: pb.StreamReply, address: str) -> ActionChunk | Refusal:
    try:
        return wire.stream_reply_from_wire(message)
    except WireError as error:
        raise PolicyUnavailable(f"policy server {address} sent a malformed reply: {error}") from error


def _contract(message: pb.PolicyContract, address: str) -> PolicyContract:
    try:
        return wire.policy_contract_from_wire(message)
    except WireError as error:
        raise PolicyUnavailable(f"policy server {address} sent a malformed contract: {error}") from error


def _chunk(message: pb.ActionChunk, address: str) -> ActionChunk:
    try:
        return wire.action_chunk_from_wire(message)
    except WireError as error:
        raise PolicyUnavailable(f"policy server {address} sent a malformed chunk: {error}") from error


class PolicyClient:
    def __init__(self, address: str, *, tls: TlsFiles | None = None, token: str | None = None) -> None:
        self.address = address
        self._metadata = call_metadata(token)
        self._channel = open_channel(address, tls)
        self._stub: Any = PolicyServiceStub(self._channel)

    async def get_contract(self, policy: str, *, timeout: float = CALL_SECONDS) -> PolicyContract:
        try:
            message = await self._stub.GetContract(
                pb.GetContractRequest(policy=policy), timeout=timeout, metadata=self._metadata
            )
        except grpc.RpcError as error:
            raise unavailable(error, self.address) from error
        return _contract(message, self.address)

    async def predict(self, observation: Observation) -> ActionChunk:
        try:
            message = await self._stub.Predict(
                wire.observation_to_wire(observation),
                timeout=observation.deadline,
                metadata=self._metadata,
            )
        except grpc.RpcError as error:
            raise unavailable(error, self.address) from error
        return _chunk(message, self.address)

    @asynccontextmanager
    async def stream(self) -> AsyncGenerator[PolicyStream, None]:
        call = self._stub.Stream(metadata=self._metadata)
        try:
            yield PolicyStream(call, self.address)
        finally:
            call.cancel()

    async def close(self) -> None:
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class BlockingPolicyStream:
    """One robot's stream for a thread: `send` never waits, `receive` waits at most its timeout."""

    _END = object()

    def __init__(self, stub: Any, metadata: tuple[tuple[str, str], ...], address: str) -> None:
        self._address = address
        self._outgoing: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._incoming: queue.SimpleQueue[ActionChunk | Refusal | PolicyUnavailable] = queue.SimpleQueue()
        self._failure: PolicyUnavailable | None = None
        self._call = stub.Stream(self._observations(), metadata=metadata)
        self._reader = threading.Thread(target=self._read, name="policy-stream", daemon=True)
        self._reader.start()

    def _observations(self) -> Iterator[pb.Observation]:
        while (message := self._outgoing.get()) is not self._END:
            yield message

    def _read(self) -> None:
        try:
            for message in self._call:
                self._incoming.put(_reply(message, self._address))
            self._incoming.put(PolicyUnavailable(f"policy server {self._address} ended the stream"))
        except grpc.RpcError as error:
            self._incoming.put(unavailable(error, self._address))
        except PolicyUnavailable as error:
            self._incoming.put(error)

    def send(self, observation: Observation) -> None:
        if self._failure is not None:
            raise self._failure
        self._outgoing.put(wire.observation_to_wire(observation))

    def receive(self, timeout: float) -> ActionChunk | Refusal | None:
        """The next reply, or None when none came in `timeout` seconds."""
        if self._failure is not None:
            raise self._failure
        try:
            reply = self._incoming.get(timeout=timeout)
        except queue.Empty:
            return None
        if isinstance(reply, PolicyUnavailable):
            self._failure = reply
            raise reply
        return reply

    def close(self) -> None:
        self._outgoing.put(self._END)
        self._call.cancel()
        self._reader.join(timeout=2.0)


class BlockingPolicyClient:
    def __init__(self, address: str, *, tls: TlsFiles | None = None, token: str | None = None) -> None:
        self.address = address
        self._metadata = call_metadata(token)
        self._channel = open_blocking_channel(address, tls)
        self._stub: Any = PolicyServiceStub(self._channel)

    def get_contract(self, policy: str, *, timeout: float = CALL_SECONDS) -> PolicyContract:
        try:
            message = self._stub.GetContract(
                pb.GetContractRequest(policy=policy), timeout=timeout, metadata=self._metadata
            )
        except grpc.RpcError as error:
            raise unavailable(error, self.address) from error
        return _contract(message, self.address)

    def predict(self, observation: Observation) -> ActionChunk:
        try:
            message = self._stub.Predict(
                wire.observation_to_wire(observation),
                timeout=observation.deadline,
                metadata=self._metadata,
            )
        except grpc.RpcError as error:
            raise unavailable(error, self.address) from error
        return _chunk(message, self.address)

    def open_stream(self) -> BlockingPolicyStream:
        return BlockingPolicyStream(self._stub, self._metadata, self.address)

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
