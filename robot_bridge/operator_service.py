"""OperatorService: how a console prepares trials, drives modes, holds the key and watches. gRPC, asyncio.

Everything that can be refused is refused here or in `Bridge` with a sentence; the control thread never waits
for a client. A stop is taken from anybody, at once.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn

import grpc
import grpc.aio

from robot_bridge.bridge import Bridge, Refused
from robot_bridge.lease import Lease
from robot_bridge.observation import encode_jpeg
from robot_bridge.recording.export_request import recorded_trials_export
from robot_contract import wire
from robot_contract import wire_pb2 as pb
from robot_contract.errors import DeviceFault, PolicyUnavailable, WireError
from robot_contract.messages import CameraFrame, CameraImage, HoldState, OperatorEvent
from robot_contract.wire_pb2_grpc import OperatorServiceServicer

_log = logging.getLogger(__name__)

NONCE_PERIOD = 0.05  # [s] between two hold states
_STATUS_RATE = 10.0  # [Hz] when the client does not say
_IMAGE_RATE = 5.0  # [Hz]
_GREATEST_RATE = 50.0  # [Hz]
_CONSOLE_ROLES = ("console", "admin")

Context = grpc.aio.ServicerContext[Any, Any]


class OperatorServicer(OperatorServiceServicer):
    def __init__(self, bridge: Bridge, *, uses_tls: bool) -> None:
        self._bridge = bridge
        self._uses_tls = uses_tls
        self._lease = Lease()

    async def Prepare(self, request: pb.TrialSetup, context: Context) -> pb.BridgeStatus:
        setup = await _parsed(wire.trial_setup_from_wire, request, context)
        await self._require_command(context)
        await _carried_out(asyncio.to_thread(self._bridge.prepare, setup), context)
        return await self._status(context)

    async def Send(self, request: pb.OperatorEvent, context: Context) -> pb.BridgeStatus:
        event: OperatorEvent = await _parsed(wire.operator_event_from_wire, request, context)
        self._lease.introduce(context.peer(), event.operator)
        if event.action != "stop":
            await self._require_command(context)
        await _carried_out(asyncio.to_thread(self._bridge.send, event), context)
        return await self._status(context)

    async def MoveTo(self, request: pb.JointGoal, context: Context) -> AsyncIterator[pb.BridgeStatus]:
        goal = await _parsed(wire.joint_goal_from_wire, request, context)
        await self._require_command(context)
        operator = self._lease.holder or context.peer()
        await _carried_out(asyncio.to_thread(self._bridge.move_to, goal, operator), context)
        try:
            while self._bridge.is_moving:
                yield await self._status(context)
                await asyncio.sleep(1.0 / _STATUS_RATE)
            yield await self._status(context)
        finally:
            if self._bridge.is_moving:  # whoever asked for the motion no longer watches it
                await asyncio.to_thread(self._bridge.pause_move, operator)

    async def HoldToRun(
        self, request_iterator: AsyncIterator[pb.Heartbeat], context: Context
    ) -> AsyncIterator[pb.HoldState]:
        await self._require_role(context)
        peer = context.peer()
        if not self._lease.take(peer):
            await context.abort(
                grpc.StatusCode.FAILED_PRECONDITION, f"{self._lease.holder} has the lease; one at a time"
            )
        self._bridge.lease_holder = self._lease.holder
        hold, clock = self._bridge.loop.conduct.hold_to_run, self._bridge.devices.clock
        listening = asyncio.ensure_future(self._listen(request_iterator))
        try:
            while not listening.done():
                state: HoldState = hold.issue(clock.now())
                yield wire.hold_state_to_wire(state)
                self._bridge.lease_holder = self._lease.holder
                await asyncio.wait([listening], timeout=NONCE_PERIOD)
        finally:
            listening.cancel()
            hold.drop()
            self._lease.give_back(peer)
            self._bridge.lease_holder = self._lease.holder

    async def _listen(self, heartbeats: AsyncIterator[pb.Heartbeat]) -> None:
        hold, clock = self._bridge.loop.conduct.hold_to_run, self._bridge.devices.clock
        async for message in heartbeats:
            try:
                hold.beat(wire.heartbeat_from_wire(message), clock.now())
            except WireError as error:
                _log.warning("a malformed heartbeat ends the hold: %s", error)
                return

    async def Watch(self, request: pb.WatchRequest, context: Context) -> AsyncIterator[pb.BridgeStatus]:
        period = _period(request.rate_hz, _STATUS_RATE)
        while True:
            yield await self._status(context)
            await asyncio.sleep(period)

    async def Images(self, request: pb.ImagesRequest, context: Context) -> AsyncIterator[pb.CameraFrame]:
        cameras = self._bridge.devices.cameras
        names = list(request.cameras) or list(cameras)
        for name in names:
            if name not in cameras:
                await context.abort(
                    grpc.StatusCode.INVALID_ARGUMENT, f"no camera {name!r}; there are {', '.join(cameras)}"
                )
        period = _period(request.rate_hz, _IMAGE_RATE)
        shown: dict[str, int] = {}
        while True:
            for name in names:
                frame = await asyncio.to_thread(self._newest_frame, name, shown)
                if frame is not None:
                    yield wire.camera_frame_to_wire(frame)
            await asyncio.sleep(period)

    def _newest_frame(self, name: str, shown: dict[str, int]) -> CameraFrame | None:
        try:
            frame = self._bridge.devices.cameras[name].latest()
        except DeviceFault:
            return None  # the status says so
        if frame is None or shown.get(name) == frame.sequence:
            return None
        shown[name] = frame.sequence
        height, width = frame.picture.shape[:2]
        image = CameraImage(
            jpeg=encode_jpeg(frame.picture), width=width, height=height, exposed_at=frame.exposed_at
        )
        age = self._bridge.devices.clock.now() - frame.exposed_at
        return CameraFrame(camera=name, image=image, age=max(age, 0.0))

    async def Export(self, request: pb.ExportRequest, context: Context) -> AsyncIterator[pb.Progress]:
        wanted = await _parsed(wire.export_request_from_wire, request, context)
        await self._require_role(context)
        steps = recorded_trials_export(self._bridge.rig.recording.folder, wanted)
        while (step := await _carried_out(asyncio.to_thread(next, steps, None), context)) is not None:
            yield wire.progress_to_wire(step)

    async def _status(self, context: Context) -> pb.BridgeStatus:
        status = await _carried_out(asyncio.to_thread(self._bridge.status), context)
        return wire.bridge_status_to_wire(status)

    async def _require_command(self, context: Context) -> None:
        await self._require_role(context)
        needed = self._bridge.rig.hold_to_run
        problem = self._lease.refusal(context.peer(), needed=needed)
        if problem:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, problem)

    async def _require_role(self, context: Context) -> None:
        if not self._uses_tls:
            return
        role = role_of(context)
        if role not in _CONSOLE_ROLES:
            await context.abort(
                grpc.StatusCode.PERMISSION_DENIED,
                f"this certificate has the role {role or 'none'}; commands are for the role console",
            )


def role_of(context: Context) -> str:
    """The role in the client certificate; empty where there is none, or more than one."""
    names = [
        name.decode(errors="replace")
        for name in (context.auth_context() or {}).get("x509_subject_alternative_name", ())
    ]
    roles = [name.removeprefix(ROLE_PREFIX) for name in names if name.startswith(ROLE_PREFIX)]
    return roles[0] if len(roles) == 1 else ""


ROLE_PREFIX = "urn:touchdown:role:"  # as `policy-server make-certs` writes it


def _period(rate_hz: float, usual: float) -> float:
    """[s]; a rate that makes no sense gets the usual one."""
    return 1.0 / min(rate_hz, _GREATEST_RATE) if rate_hz >= 0.01 else 1.0 / usual


async def _parsed(parse: Callable[[Any], Any], message: object, context: Context) -> Any:
    try:
        return parse(message)
    except WireError as error:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))


async def _carried_out(work: Awaitable[Any], context: Context) -> Any:
    """The result, or the status code and sentence that belong to what went wrong."""
    try:
        return await work
    except Refused as error:
        await _abort(context, grpc.StatusCode.FAILED_PRECONDITION, str(error))
    except PolicyUnavailable as error:
        await _abort(context, grpc.StatusCode.UNAVAILABLE, str(error))
    except ValueError as error:  # a wrong rig name, scene or contract: said in full where it was raised
        await _abort(context, grpc.StatusCode.INVALID_ARGUMENT, str(error))
    except DeviceFault as error:
        await _abort(context, grpc.StatusCode.INTERNAL, str(error))
    except Exception:  # noqa: BLE001 - the RPC boundary: the rest goes to the log
        _log.exception("a request failed")
        await _abort(context, grpc.StatusCode.INTERNAL, "the bridge failed inside; its log says how")


async def _abort(context: Context, code: grpc.StatusCode, sentence: str) -> NoReturn:
    await context.abort(code, sentence)
    raise AssertionError("abort raises")
