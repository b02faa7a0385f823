"""A small OperatorService with no robot behind it, for trying the page: modes, nonces, a clock, pictures.

It judges nothing and moves nothing; what it promises is the protocol, so that the console can be tried
alone. `RehearsalBridge.status` is what the next Watch message says.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import grpc
import grpc.aio
import numpy as np

from robot_contract import messages as m
from robot_contract import wire
from robot_contract import wire_pb2 as pb
from robot_contract.channel import server_options
from robot_contract.pose import Pose
from robot_contract.wire_pb2_grpc import OperatorServiceServicer, add_OperatorServiceServicer_to_server

TICK_SECONDS = 0.02
LONGEST_HOLD_AGE = 0.25  # [s]

_FOLLOWING: dict[tuple[str, m.Mode], m.Mode] = {
    ("arm", "IDLE"): "ARMED",
    ("disarm", "ARMED"): "IDLE",
    ("disarm", "RUNNING"): "IDLE",
    ("disarm", "HOLDING"): "IDLE",
    ("start", "ARMED"): "RUNNING",
    ("start", "HOLDING"): "RUNNING",
    ("pause", "RUNNING"): "HOLDING",
    ("clear", "FAULT"): "IDLE",
}

_NEEDS: dict[m.Mode, str] = {
    "IDLE": "prepare a trial and arm",
    "ARMED": "start, or disarm",
    "RUNNING": "keep holding the key; pause or stop",
    "HOLDING": "press and hold the key to go on, or disarm",
    "FAULT": "remove the cause, then clear",
}


def first_status(cameras: tuple[str, ...], *, hold_required: bool) -> m.BridgeStatus:
    return m.BridgeStatus(
        at=0.0,
        rig="rehearsal",
        driver="twin",
        mode="IDLE",
        why="the rehearsal has just started",
        problems=(),
        needs=_NEEDS["IDLE"],
        policy="",
        policy_digest="",
        trial_id="",
        instruction="",
        elapsed=0.0,
        time_limit=0.0,
        verdict=m.Verdict(kind="PASS"),
        verdict_counts={"PASS": 0, "CLAMP": 0, "HOLD": 0, "STOP": 0},
        tcp_pose=Pose(position=np.array([0.4, 0.0, 0.3]), quaternion=np.array([1.0, 0.0, 0.0, 0.0])),
        joint_position=np.zeros(7),
        tcp_speed=0.0,
        gripper_width=0.08,
        arm_age=0.01,
        cameras=tuple(m.CameraStatus(name=name, age=0.05, age_limit=0.15, rate=15.0) for name in cameras),
        server="rehearsal",
        server_state="connected",
        chunk_age=float("inf"),
        round_trip_p50=0.04,
        round_trip_p99=0.06,
        hold_required=hold_required,
        held=False,
        hold_age=float("inf"),
        lease_holder="",
        ticks=0,
        missed_ticks=0,
        late_chunks=0,
        recording=m.RecordingStatus(active=False, path="", dropped=0, free_bytes=50_000_000_000),
        truth=m.TruthStatus(instruction="put the carrot on the plate", stage="reach", success=False),
    )


class RehearsalBridge(OperatorServiceServicer):
    """`jpegs`: per camera one 4:3 picture that is sent again and again while `frozen` does not name it."""

    def __init__(self, jpegs: Mapping[str, bytes], *, hold_required: bool = True) -> None:
        self.jpegs = dict(jpegs)
        self.picture_size = (320, 240)  # [px]
        self.frozen: set[str] = set()
        self.status = first_status(tuple(jpegs), hold_required=hold_required)
        self.succeeds_after: float = float("inf")  # [s] of the trial
        self.refuse_start = ""  # why, while it does
        self.events: list[m.OperatorEvent] = []
        self.setups: list[m.TrialSetup] = []
        self.heartbeats: list[m.Heartbeat] = []
        self._nonce_left_at: dict[int, float] = {}
        self._echoed_at = -float("inf")
        self._lost_press = 0
        self._press = 0
        self._server: grpc.aio.Server | None = None
        self._ticking: asyncio.Task[None] | None = None

    async def start(self, address: str = "127.0.0.1:0") -> int:
        """Serve; returns the port."""
        self._server = grpc.aio.server(options=server_options())
        add_OperatorServiceServicer_to_server(self, self._server)
        port = self._server.add_insecure_port(address)
        await self._server.start()
        self._ticking = asyncio.create_task(self._tick())
        return port

    async def close(self) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
        if self._server is not None:
            await self._server.stop(None)

    def say(self, **changes: Any) -> None:
        """Change the status."""
        self.status = replace(self.status, **changes)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            age = time.monotonic() - self._echoed_at
            if self._press != 0 and not age <= LONGEST_HOLD_AGE:
                self._lost_press, self._press = self._press, 0
            held = self._press != 0
            self.say(
                at=time.monotonic(), ticks=self.status.ticks + 1, held=held, hold_age=age if held else np.inf
            )
            if self.status.mode == "RUNNING":
                self._run()
            elif self.status.mode == "HOLDING" and self.status.why == "the key is released" and held:
                self.say(mode="RUNNING", why="the key is held", needs=_NEEDS["RUNNING"])

    def _run(self) -> None:
        status = self.status
        if status.hold_required and not status.held:
            self.say(mode="HOLDING", why="the key is released", needs=_NEEDS["HOLDING"])
            return
        elapsed = status.elapsed + TICK_SECONDS
        success = elapsed >= self.succeeds_after
        counts = {**status.verdict_counts, "PASS": status.verdict_counts["PASS"] + 1}
        truth = None if status.truth is None else replace(status.truth, success=success)
        self.say(elapsed=elapsed, verdict_counts=counts, truth=truth)
        if elapsed >= status.time_limit:
            self.say(mode="ARMED", why="the time limit is reached", needs=_NEEDS["ARMED"])

    async def Prepare(self, request: pb.TrialSetup, context: Any) -> pb.BridgeStatus:
        setup = wire.trial_setup_from_wire(request)
        if self.status.mode not in ("IDLE", "ARMED"):
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"a trial is on: {self.status.mode}")
        self.setups.append(setup)
        truth = None if self.status.truth is None else replace(self.status.truth, success=False)
        self.say(
            policy=setup.policy,
            trial_id=setup.trial_id,
            instruction=setup.instruction or "put the carrot on the plate",
            time_limit=setup.time_limit,
            elapsed=0.0,
            verdict_counts={"PASS": 0, "CLAMP": 0, "HOLD": 0, "STOP": 0},
            needs=_NEEDS[self.status.mode],
            truth=truth,
        )
        return wire.bridge_status_to_wire(self.status)

    async def Send(self, request: pb.OperatorEvent, context: Any) -> pb.BridgeStatus:
        event = wire.operator_event_from_wire(request)
        following = _FOLLOWING.get((event.action, self.status.mode))
        if event.action == "stop":
            following = "FAULT"
        elif (event.action == "arm" and self.status.problems) or (
            event.action == "start" and self.refuse_start
        ):
            following = None
        if following is None:
            sentence = self.refuse_start or f"{event.action} is not possible in {self.status.mode}"
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, sentence)
            raise AssertionError("abort raises")
        self.events.append(event)
        self.say(
            mode=following,
            why=f"{event.action} by {event.operator or 'nobody named'}",
            needs=_NEEDS[following],
        )
        return wire.bridge_status_to_wire(self.status)

    async def HoldToRun(
        self, request_iterator: AsyncIterator[pb.Heartbeat], context: Any
    ) -> AsyncIterator[pb.HoldState]:
        if self.status.lease_holder:
            await context.abort(
                grpc.StatusCode.FAILED_PRECONDITION, f"{self.status.lease_holder} has the lease"
            )
        self.say(lease_holder=context.peer())
        listening = asyncio.create_task(self._listen(request_iterator))
        nonce = 2**60
        try:
            while not listening.done():
                nonce += 1
                self._nonce_left_at[nonce] = time.monotonic()
                age = time.monotonic() - self._echoed_at
                state = m.HoldState(nonce=nonce, held=self._press != 0, age=age, press=self._press)
                yield wire.hold_state_to_wire(state)
                await asyncio.sleep(0.05)
        finally:
            listening.cancel()
            self._press = 0
            self.say(lease_holder="")

    async def _listen(self, heartbeats: AsyncIterator[pb.Heartbeat]) -> None:
        async for message in heartbeats:
            beat = wire.heartbeat_from_wire(message)
            self.heartbeats.append(beat)
            left_at = self._nonce_left_at.get(beat.nonce, -np.inf)
            if not beat.held:
                self._lost_press, self._press = max(self._lost_press, self._press), 0
            elif beat.press > self._lost_press and time.monotonic() - left_at <= LONGEST_HOLD_AGE:
                self._press, self._echoed_at = beat.press, left_at

    async def Watch(self, request: pb.WatchRequest, context: Any) -> AsyncIterator[pb.BridgeStatus]:
        while True:
            yield wire.bridge_status_to_wire(self.status)
            await asyncio.sleep(1.0 / (request.rate_hz or 10.0))

    async def Images(self, request: pb.ImagesRequest, context: Any) -> AsyncIterator[pb.CameraFrame]:
        while True:
            for camera, jpeg in self.jpegs.items():
                if camera not in self.frozen:
                    width, height = self.picture_size
                    image = m.CameraImage(jpeg=jpeg, width=width, height=height, exposed_at=time.monotonic())
                    yield wire.camera_frame_to_wire(m.CameraFrame(camera=camera, image=image, age=0.03))
            await asyncio.sleep(1.0 / (request.rate_hz or 15.0))
