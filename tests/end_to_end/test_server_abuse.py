"""Hostile and broken clients against a real server: each is refused, the others do not notice."""

import dataclasses
import itertools
import random
import socket
import threading
import time
from collections.abc import Iterator

import grpc
import numpy as np
import pytest
import simplejpeg

from policy_server.served_model import blank_observation
from policy_server.server_process import ServerProcess
from policy_server.stand_in import StandInOptions, stand_in_contract
from robot_contract import wire
from robot_contract import wire_pb2 as pb
from robot_contract.channel import MAX_MESSAGE_BYTES, channel_options
from robot_contract.client import BlockingPolicyClient
from robot_contract.errors import PolicyUnavailable
from robot_contract.messages import ActionChunk, CameraImage, Observation, Refusal
from robot_contract.pose import Pose

STREAM = "/touchdown.v1.PolicyService/Stream"
PREDICT = "/touchdown.v1.PolicyService/Predict"


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    arguments = [
        "--stand-in",
        "--max-rate-hz",
        "100",
        "--max-sessions",
        "12",
        "--crowded-idle-seconds",
        "0.3",
    ]
    with ServerProcess(arguments) as process:
        yield process
        assert "Traceback" not in process.log


def observation(sequence: int = 1, **changes: object) -> Observation:
    blank = blank_observation(stand_in_contract(StandInOptions()))
    return dataclasses.replace(blank, sequence=sequence, deadline=10.0, **changes)  # pyright: ignore[reportArgumentType]


def with_image(jpeg: bytes, **changes: int) -> Observation:
    good = observation()
    image = dataclasses.replace(good.images["wrist"], jpeg=jpeg, **changes)
    return dataclasses.replace(good, images={**good.images, "wrist": image})


def jpeg_with_header(width: int, height: int) -> bytes:
    """A small picture whose header claims another size: what a decoder would allocate for."""
    jpeg = simplejpeg.encode_jpeg(np.zeros((16, 16, 3), np.uint8), quality=50)
    at = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:at] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + jpeg[at + 4 :]


class Bystander:
    """An honest robot that goes on working meanwhile."""

    def __init__(self, address: str) -> None:
        self._client = BlockingPolicyClient(address)
        self._stream = self._client.open_stream()
        self._stopping = threading.Event()
        self.round_trips: list[float] = []
        self.failures: list[object] = []
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        for sequence in itertools.count(1):
            if self._stopping.is_set():
                return
            sent_at = time.perf_counter()
            self._stream.send(observation(sequence, session="bystander"))
            reply = self._stream.receive(10)
            self.round_trips.append(time.perf_counter() - sent_at)
            if not isinstance(reply, ActionChunk):
                self.failures.append(reply)
            time.sleep(0.02)

    def __enter__(self) -> "Bystander":
        return self

    def __exit__(self, *_: object) -> None:
        give_up_at = time.monotonic() + 20
        while len(self.round_trips) < 5 and time.monotonic() < give_up_at:
            time.sleep(0.02)
        self._stopping.set()
        self._thread.join()
        self._client.close()
        assert not self.failures
        assert len(self.round_trips) >= 5
        # 8 + 2 B ms of model; anything that blocked the loop would show as far more.
        assert float(np.median(self.round_trips)) < 0.2


def test_a_message_of_200_megabytes(server: ServerProcess) -> None:
    options = [*channel_options(), ("grpc.max_send_message_length", -1)]
    huge = pb.Observation(session="x" * (200 << 20)).SerializeToString()
    with Bystander(server.address), grpc.insecure_channel(server.address, options=options) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary(PREDICT)(huge, timeout=20)
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED  # pyright: ignore[reportAttributeAccessIssue]
        assert str(MAX_MESSAGE_BYTES) in str(caught.value)


def test_pictures_that_are_not_what_they_say(server: ServerProcess) -> None:
    small = simplejpeg.encode_jpeg(np.zeros((16, 16, 3), np.uint8))
    good = observation().images["wrist"].jpeg
    cases = {
        "declared 30000 x 30000": (with_image(good, width=30_000, height=30_000), "30000"),
        "header 30000 x 30000": (with_image(jpeg_with_header(30_000, 30_000)), "holds 30000 x 30000 pixels"),
        "smaller than declared": (with_image(small), "holds 16 x 16 pixels"),
        "another size": (with_image(small, width=16, height=16), "the policy wants 256 x 256"),
        "no picture": (with_image(b"\xff\xd8 nothing"), "not a readable JPEG"),
        "not a JPEG": (with_image(b"GIF89a"), "does not begin like a JPEG"),
        "far too many bytes": (with_image(good + bytes(400_000)), "bytes, expected at most"),
    }
    with Bystander(server.address), BlockingPolicyClient(server.address) as client:
        for name, (bad, sentence) in cases.items():
            with pytest.raises(PolicyUnavailable, match="INVALID_ARGUMENT") as caught:
                client.predict(bad)
            assert sentence in str(caught.value), name


def test_numbers_that_are_none(server: ServerProcess) -> None:
    good = observation()
    nan_pose = Pose(position=np.array([np.nan, 0.0, 0.2]), quaternion=good.tcp_pose.quaternion)
    no_unit = Pose(position=good.tcp_pose.position, quaternion=np.array([1.0, 1.0, 0.0, 0.0]))
    cases = {
        "tcp_pose": dataclasses.replace(good, tcp_pose=nan_pose),
        "quaternion": dataclasses.replace(good, tcp_pose=no_unit),
        "joint_position": dataclasses.replace(good, joint_position=np.full(7, np.inf)),
        "gripper_width": dataclasses.replace(good, gripper_width=float("nan")),
        "deadline": dataclasses.replace(good, deadline=float("inf")),
    }
    with Bystander(server.address), grpc.insecure_channel(server.address) as channel:
        for field, bad in cases.items():
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary(PREDICT)(wire.observation_to_wire(bad).SerializeToString(), timeout=10)
            assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT  # pyright: ignore[reportAttributeAccessIssue]
            assert field in str(caught.value)


def test_a_flood_is_capped_and_read_no_faster_than_allowed(server: ServerProcess) -> None:
    with Bystander(server.address), BlockingPolicyClient(server.address) as client:
        stream = client.open_stream()
        for sequence in range(150):
            stream.send(observation(sequence))
        replies = [stream.receive(20) for _ in range(150)]
        stream.close()
    capped = [r for r in replies if isinstance(r, Refusal) and r.reason == "overloaded"]
    assert capped
    assert "faster than 100 Hz" in capped[0].sentence


def test_silent_streams_give_way_when_places_run_out(server: ServerProcess) -> None:
    with Bystander(server.address), BlockingPolicyClient(server.address) as client:
        silent = [client.open_stream() for _ in range(11)]
        time.sleep(0.1)
        one_too_many = client.open_stream()
        with pytest.raises(PolicyUnavailable, match=r"RESOURCE_EXHAUSTED: 12 sessions are open"):
            one_too_many.receive(5)
        time.sleep(0.4)
        robot = client.open_stream()
        robot.send(observation())
        assert isinstance(robot.receive(10), ActionChunk)
        ended = [stream for stream in silent if _has_ended(stream)]
        assert len(ended) == 1
        for stream in (*silent, robot):
            stream.close()


def _has_ended(stream: object) -> bool:
    try:
        stream.receive(0.05)  # pyright: ignore[reportAttributeAccessIssue]
    except PolicyUnavailable as error:
        assert "another robot needed the place" in str(error)  # noqa: PT017
        return True
    return False


def test_a_stream_that_says_nothing_for_too_long_is_ended() -> None:
    with (
        ServerProcess(["--stand-in", "--idle-seconds", "0.3"]) as server,
        BlockingPolicyClient(server.address) as client,
    ):
        stream = client.open_stream()
        with pytest.raises(PolicyUnavailable, match=r"DEADLINE_EXCEEDED: no observation came in 0.3 s"):
            stream.receive(10)


def test_connections_that_never_speak_http2(server: ServerProcess) -> None:
    host, port = server.address.rsplit(":", 1)
    connections = [socket.create_connection((host, int(port)), timeout=5) for _ in range(50)]
    try:
        for number, connection in enumerate(connections):
            connection.sendall(b"PRI * HTTP/2.0\r\n"[: number % 16])
        with Bystander(server.address):
            time.sleep(0.5)
    finally:
        for connection in connections:
            connection.close()


def fuzz(server: ServerProcess, messages: int, seed: int) -> None:
    """Mutated observations on streams and calls: refusals and chunks, no crash, nothing left hanging."""
    randomness = random.Random(seed)
    small = stand_in_contract(StandInOptions())
    good = wire.observation_to_wire(
        dataclasses.replace(blank_observation(small), deadline=0.5)
    ).SerializeToString()
    answered = 0
    with grpc.insecure_channel(server.address) as channel:
        call = channel.stream_stream(STREAM)
        while answered < messages:
            batch = [mutate(good, randomness) for _ in range(min(500, messages - answered))]
            replies = [
                wire.stream_reply_from_wire(wire.decode(pb.StreamReply, data))
                for data in call(iter(batch), timeout=120)
            ]
            assert len(replies) == len(batch)
            answered += len(replies)
        for _ in range(20):
            try:
                channel.unary_unary(PREDICT)(mutate(good, randomness), timeout=10)
            except grpc.RpcError as error:
                assert error.code() in {  # pyright: ignore[reportAttributeAccessIssue] # noqa: PT017
                    grpc.StatusCode.INVALID_ARGUMENT,
                    grpc.StatusCode.NOT_FOUND,
                    grpc.StatusCode.DEADLINE_EXCEEDED,
                    grpc.StatusCode.ABORTED,
                }


def mutate(data: bytes, randomness: random.Random) -> bytes:
    mutated = bytearray(data)
    for _ in range(randomness.choice((1, 1, 2, 5, 20))):
        at = randomness.randrange(len(mutated)) if randomness.random() < 0.5 else randomness.randrange(200)
        at = min(at, len(mutated) - 1)
        match randomness.randrange(4):
            case 0:
                mutated[at] = randomness.randrange(256)
            case 1:
                del mutated[at : at + randomness.randrange(1, 30)]
            case 2:
                mutated[at:at] = randomness.randbytes(randomness.randrange(1, 30))
            case _:
                mutated[at] ^= 1 << randomness.randrange(8)
        if not mutated:
            return b""
    return bytes(mutated)


FAST = ["--stand-in", "--max-rate-hz", "1000000"]


def test_mutated_messages_crash_nothing() -> None:
    with ServerProcess(FAST) as server, Bystander(server.address):
        fuzz(server, 3000, seed=1)
        assert "Traceback" not in server.log


@pytest.mark.slow
def test_100000_mutated_messages_crash_nothing() -> None:
    with ServerProcess(FAST) as server:
        with Bystander(server.address):
            fuzz(server, 100_000, seed=2)
        assert "Traceback" not in server.log
        assert server.stop() == 0


def test_a_picture_that_lies_is_never_decoded() -> None:
    """The header is read before anything is allocated."""
    image = CameraImage(jpeg=jpeg_with_header(60_000, 60_000), width=256, height=256, exposed_at=0.0)
    assert simplejpeg.decode_jpeg_header(image.jpeg)[:2] == (60_000, 60_000)
