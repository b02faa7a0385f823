"""Client of the bridge's OperatorService, for asyncio: what the console speaks.

A refusal or a broken connection raises `BridgeUnavailable` with the bridge's sentence.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import grpc
import grpc.aio

from robot_contract import messages as m
from robot_contract import wire
from robot_contract import wire_pb2 as pb
from robot_contract.channel import TlsFiles, call_metadata, open_channel
from robot_contract.errors import BridgeUnavailable
from robot_contract.wire_pb2_grpc import OperatorServiceStub

CALL_SECONDS = 10.0


class HoldStream:
    """The lease: heartbeats up, hold states with fresh nonces down. It ends when the stream does."""

    def __init__(self, call: Any, address: str) -> None:
        self._call = call
        self._address = address

    async def send(self, heartbeat: m.Heartbeat) -> None:
        try:
            await self._call.write(wire.heartbeat_to_wire(heartbeat))
        except grpc.RpcError as error:
            raise _unavailable(error, self._address) from error

    async def receive(self) -> m.HoldState | None:
        """The newest hold state; None when the bridge has ended the stream."""
        try:
            message = await self._call.read()
        except grpc.RpcError as error:
            raise _unavailable(error, self._address) from error
        return None if message is grpc.aio.EOF else wire.hold_state_from_wire(message)

    async def __aiter__(self) -> AsyncIterator[m.HoldState]:
        while (state := await self.receive()) is not None:
            yield state


def _unavailable(error: grpc.RpcError, address: str) -> BridgeUnavailable:
    call: Any = error
    return BridgeUnavailable(f"robot bridge {address}: {call.code().name}: {call.details()}")


class OperatorClient:
    def __init__(self, address: str, *, tls: TlsFiles | None = None, token: str | None = None) -> None:
        self.address = address
        self._metadata = call_metadata(token)
        self._channel = open_channel(address, tls)
        self._stub: Any = OperatorServiceStub(self._channel)

    async def _call(self, method: Any, message: Any, timeout: float) -> Any:
        try:
            return await method(message, timeout=timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            raise _unavailable(error, self.address) from error

    async def _stream(self, method: Any, message: Any) -> AsyncIterator[Any]:
        call = method(message, metadata=self._metadata)
        try:
            async for reply in call:
                yield reply
        except grpc.RpcError as error:
            raise _unavailable(error, self.address) from error
        finally:
            call.cancel()

    async def prepare(self, setup: m.TrialSetup, *, timeout: float = 60.0) -> m.BridgeStatus:
        reply = await self._call(self._stub.Prepare, wire.trial_setup_to_wire(setup), timeout)
        return wire.bridge_status_from_wire(reply)

    async def send(self, event: m.OperatorEvent, *, timeout: float = CALL_SECONDS) -> m.BridgeStatus:
        reply = await self._call(self._stub.Send, wire.operator_event_to_wire(event), timeout)
        return wire.bridge_status_from_wire(reply)

    async def move_to(self, goal: m.JointGoal) -> AsyncIterator[m.BridgeStatus]:
        async for reply in self._stream(self._stub.MoveTo, wire.joint_goal_to_wire(goal)):
            yield wire.bridge_status_from_wire(reply)

    async def watch(self, rate_hz: float = 0.0) -> AsyncIterator[m.BridgeStatus]:
        async for reply in self._stream(self._stub.Watch, pb.WatchRequest(rate_hz=rate_hz)):
            yield wire.bridge_status_from_wire(reply)

    async def images(
        self, cameras: tuple[str, ...] = (), rate_hz: float = 0.0
    ) -> AsyncIterator[m.CameraFrame]:
        request = pb.ImagesRequest(cameras=cameras, rate_hz=rate_hz)
        async for reply in self._stream(self._stub.Images, request):
            yield wire.camera_frame_from_wire(reply)

    async def export(self, request: m.ExportRequest) -> AsyncIterator[m.Progress]:
        async for reply in self._stream(self._stub.Export, wire.export_request_to_wire(request)):
            yield wire.progress_from_wire(reply)

    @asynccontextmanager
    async def hold_to_run(self) -> AsyncGenerator[HoldStream, None]:
        call = self._stub.HoldToRun(metadata=self._metadata)
        try:
            yield HoldStream(call, self.address)
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
