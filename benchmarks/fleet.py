"""A load generator for policy servers: robots that send pictures at a rate, or think and ask again.

All robots share one process and connection each; messages are made beforehand, so that the generator costs
little beside the server on the same machine.
"""

import asyncio
import dataclasses
import time
from dataclasses import dataclass, field
from typing import Any

import grpc.aio
import numpy as np
import simplejpeg

from robot_contract import wire_pb2 as pb
from robot_contract.channel import open_channel
from robot_contract.messages import CameraImage, Observation
from robot_contract.policy_contract import PolicyContract
from robot_contract.wire import observation_to_wire

STREAM = "/touchdown.v1.PolicyService/Stream"


@dataclass(frozen=True, kw_only=True)
class Robots:
    count: int
    deadline: float  # [s]
    rate_hz: float = 0.0  # observations at this rate whatever comes back; 0: one at a time, with think time
    think: float = 0.0  # [s] between an answer and the next observation


@dataclass(frozen=True, kw_only=True)
class Sample:
    round_trip: float  # [s] client's clock
    queue: float  # [s]
    preprocess: float  # [s]
    model: float  # [s]
    total: float  # [s] server's clock
    batch_size: int

    @property
    def outside_model(self) -> float:
        return self.round_trip - self.model


@dataclass(kw_only=True)
class RobotLog:
    samples: list[Sample] = field(default_factory=list)
    sent: int = 0
    in_time: int = 0  # answers within the deadline by the robot's clock
    late_at_server: int = 0  # answers sent after the deadline by the server's clock
    refused: dict[int, int] = field(default_factory=dict)


def textured_observation(blank: Observation, *, deadline: float) -> Observation:
    """Pictures with some detail: about as many bytes as a camera's."""
    random = np.random.default_rng(0)
    images: dict[str, CameraImage] = {}
    for name, image in blank.images.items():
        coarse = random.integers(0, 255, (image.height // 16, image.width // 16, 3), dtype=np.uint8)
        picture = np.kron(coarse, np.ones((16, 16, 1), np.uint8))
        picture = (picture + random.integers(0, 12, picture.shape)).clip(0, 255).astype(np.uint8)
        jpeg = simplejpeg.encode_jpeg(np.ascontiguousarray(picture), 95, colorsubsampling="420")
        images[name] = dataclasses.replace(image, jpeg=jpeg)
    return dataclasses.replace(blank, images=images, deadline=deadline)


async def run_fleet(
    address: str,
    contract: PolicyContract,
    blank: Observation,
    robots: Robots,
    *,
    seconds: float,
    settle: float,
) -> list[RobotLog]:
    """Let all robots work for `settle` + `seconds`; only what is sent after `settle` counts."""
    template = textured_observation(
        dataclasses.replace(blank, policy=contract.name), deadline=robots.deadline
    )
    counts_from = time.perf_counter() + settle
    ends_at = counts_from + seconds
    return await asyncio.gather(
        *(_robot(address, template, robots, number, counts_from, ends_at) for number in range(robots.count))
    )


async def _robot(
    address: str, template: Observation, robots: Robots, number: int, counts_from: float, ends_at: float
) -> RobotLog:
    message = observation_to_wire(dataclasses.replace(template, session=f"robot {number}"))
    log = RobotLog()
    async with open_channel(address) as channel:
        call: Any = channel.stream_stream(
            STREAM,
            request_serializer=pb.Observation.SerializeToString,
            response_deserializer=pb.StreamReply.FromString,
        )()
        sent_at: dict[int, float] = {}
        if robots.rate_hz:
            reading = asyncio.create_task(_read(call, sent_at, log, robots.deadline, counts_from, ends_at))
            # Spread over the period, so that nobody is served first by arriving first.
            due = time.perf_counter() + number / robots.count / robots.rate_hz
            sequence = 0
            while due < ends_at:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                await _send(call, message, sequence, sent_at, log, counts_from)
                sequence, due = sequence + 1, due + 1 / robots.rate_hz
            await call.done_writing()
            await reading
        else:
            sequence = 0
            while time.perf_counter() < ends_at:
                await _send(call, message, sequence, sent_at, log, counts_from)
                _note(await call.read(), sent_at, log, robots.deadline, counts_from, ends_at)
                sequence += 1
                await asyncio.sleep(robots.think)
            await call.done_writing()
            await call.read()
    return log


async def _send(
    call: Any, message: pb.Observation, sequence: int, sent_at: dict[int, float], log: RobotLog, since: float
) -> None:
    message.sequence = sequence
    now = time.perf_counter()
    sent_at[sequence] = now
    if now >= since:
        log.sent += 1
    await call.write(message)


async def _read(
    call: Any, sent_at: dict[int, float], log: RobotLog, deadline: float, since: float, until: float
) -> None:
    while (reply := await call.read()) is not grpc.aio.EOF:
        _note(reply, sent_at, log, deadline, since, until)


def _note(
    reply: pb.StreamReply,
    sent_at: dict[int, float],
    log: RobotLog,
    deadline: float,
    since: float,
    until: float,
) -> None:
    now = time.perf_counter()
    if reply.WhichOneof("reply") == "refusal":
        if since <= now <= until:
            reason = reply.refusal.reason
            log.refused[reason] = log.refused.get(reason, 0) + 1
        return
    timings = reply.chunk.timings
    log.late_at_server += timings.total > deadline
    if not since <= now <= until:
        return
    sample = Sample(
        round_trip=now - sent_at[reply.chunk.sequence],
        queue=timings.queue,
        preprocess=timings.preprocess,
        model=timings.model,
        total=timings.total,
        batch_size=timings.batch_size,
    )
    log.samples.append(sample)
    log.in_time += sample.round_trip <= deadline
