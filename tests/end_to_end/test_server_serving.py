"""A real server process with the timed stand-in: what a robot, a tool and an orchestrator see of it."""

import asyncio
import dataclasses
import json
import queue
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from policy_server.admin_socket import socket_path
from policy_server.served_model import blank_observation
from policy_server.server_process import ServerProcess
from policy_server.stand_in import ECHO, StandInOptions, stand_in_contract
from robot_contract import wire
from robot_contract import wire_pb2 as pb
from robot_contract.channel import open_blocking_channel
from robot_contract.client import BlockingPolicyClient, PolicyClient
from robot_contract.errors import PolicyUnavailable
from robot_contract.messages import ActionChunk, Observation, Refusal
from robot_contract.pose import Pose
from robot_contract.wire_pb2_grpc import AdminServiceStub

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with ServerProcess(["--stand-in"]) as process:
        yield process


def observation(
    session: str = "robot", sequence: int = 1, *, x: float = 0.5, **changes: object
) -> Observation:
    blank = blank_observation(stand_in_contract(StandInOptions()))
    pose = Pose(position=np.array([x, 0.0, 0.2]), quaternion=blank.tcp_pose.quaternion)
    changed = {"session": session, "sequence": sequence, "tcp_pose": pose, "deadline": 10.0, **changes}
    return dataclasses.replace(blank, **changed)  # pyright: ignore[reportArgumentType]


def check_health(address: str, service: str) -> int:
    with grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        return stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=10).status


def test_contract_call_and_stream_give_the_same_policy(server: ServerProcess) -> None:
    with BlockingPolicyClient(server.address) as client:
        contract = client.get_contract("stand-in")
        chunk = client.predict(observation())
        stream = client.open_stream()
        stream.send(observation(sequence=7))
        reply = stream.receive(10)
        stream.close()
    assert isinstance(reply, ActionChunk)
    assert (reply.session, reply.sequence) == ("robot", 7)
    for answer in (chunk, reply):
        assert answer.interface_digest == contract.interface_digest
        assert answer.policy_digest == contract.policy_digest
        assert answer.actions.shape == (contract.chunk_length, 7)
        timings = answer.timings
        assert timings.batch_size >= 1
        assert timings.model >= 0.008
        assert timings.preprocess > 0.0
        assert timings.total >= timings.queue + timings.preprocess + timings.model


def test_every_robot_gets_its_own_answer(server: ServerProcess) -> None:
    async def robot(client: PolicyClient, number: int) -> None:
        x = 0.01 * number
        async with client.stream() as stream:
            for sequence in range(20):
                await stream.send(observation(f"robot {number}", sequence, x=x))
                reply = await stream.receive()
                assert isinstance(reply, ActionChunk)
                assert (reply.session, reply.sequence) == (f"robot {number}", sequence)
                assert reply.actions[0, 0] == pytest.approx(ECHO * x)

    async def all_robots() -> None:
        async with PolicyClient(server.address) as client:
            await asyncio.gather(*(robot(client, number) for number in range(12)))

    asyncio.run(all_robots())


def test_a_newer_observation_supersedes_on_the_stream(server: ServerProcess) -> None:
    with BlockingPolicyClient(server.address) as client:
        stream = client.open_stream()
        for sequence in range(1, 21):
            stream.send(observation(sequence=sequence))
        replies = [stream.receive(10) for _ in range(20)]
        stream.close()
    assert {reply.sequence for reply in replies if reply is not None} == set(range(1, 21))
    refusals = [reply for reply in replies if isinstance(reply, Refusal)]
    assert {refusal.reason for refusal in refusals} == {"superseded"}
    chunks = [reply.sequence for reply in replies if isinstance(reply, ActionChunk)]
    assert chunks[-1] == 20, "the newest is always answered"
    assert chunks == sorted(chunks)


def test_a_deadline_that_cannot_be_met_is_refused_at_once(server: ServerProcess) -> None:
    with BlockingPolicyClient(server.address) as client:
        stream = client.open_stream()
        stream.send(observation(deadline=0.004))
        reply = stream.receive(10)
        stream.close()
    assert isinstance(reply, Refusal)
    assert reply.reason == "deadline"
    assert "cannot be answered in time" in reply.sentence


def test_a_refusal_on_the_stream_leaves_it_open(server: ServerProcess) -> None:
    good = wire.observation_to_wire(observation(sequence=9)).SerializeToString()
    wrong_camera = observation(sequence=2)
    renamed = {"extrenal": wrong_camera.images["external"], "wrist": wrong_camera.images["wrist"]}
    wrong_camera = dataclasses.replace(wrong_camera, images=renamed)
    skewed = observation(sequence=3)
    late = dataclasses.replace(skewed.images["wrist"], exposed_at=1.0)
    skewed = dataclasses.replace(skewed, images={**skewed.images, "wrist": late})
    cases = [
        (b"\xff\xff not a message", "invalid", "not such a message"),
        (wire.observation_to_wire(wrong_camera).SerializeToString(), "invalid", "did you mean 'external'"),
        (wire.observation_to_wire(skewed).SerializeToString(), "invalid", "apart"),
        (
            wire.observation_to_wire(observation(policy="stand-on")).SerializeToString(),
            "unknown_policy",
            "did you mean 'stand-in'",
        ),
    ]
    outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    with grpc.insecure_channel(server.address) as channel:
        call = channel.stream_stream("/touchdown.v1.PolicyService/Stream")
        incoming = call(iter(outgoing.get, None), timeout=10)
        for data, reason, sentence in cases:
            outgoing.put(data)
            reply = wire.stream_reply_from_wire(wire.decode(pb.StreamReply, next(incoming)))
            assert isinstance(reply, Refusal)
            assert reply.reason == reason
            assert sentence in reply.sentence
        outgoing.put(good)
        outgoing.put(None)
        (last,) = incoming
    reply = wire.stream_reply_from_wire(wire.decode(pb.StreamReply, last))
    assert isinstance(reply, ActionChunk), "the client had finished sending, and is still answered"


def test_single_calls_are_refused_with_a_status_and_a_sentence(server: ServerProcess) -> None:
    with BlockingPolicyClient(server.address) as client:
        with pytest.raises(
            PolicyUnavailable, match=r"NOT_FOUND: no policy is called 'stand-on'; did you mean"
        ):
            client.get_contract("stand-on")
        with pytest.raises(PolicyUnavailable, match="NOT_FOUND"):
            client.predict(observation(policy="nothing"))
        with pytest.raises(PolicyUnavailable, match=r"INVALID_ARGUMENT: instruction is empty"):
            client.predict(observation(instruction=""))


def test_health_per_policy_and_reflection_without_project_code(server: ServerProcess) -> None:
    for service in ("", "stand-in", "touchdown.v1.PolicyService"):
        assert check_health(server.address, service) == SERVING
    with pytest.raises(grpc.RpcError) as caught:
        check_health(server.address, "nothing")
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND  # pyright: ignore[reportAttributeAccessIssue]
    with grpc.insecure_channel(server.address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert set(database.get_services()) >= {
            "touchdown.v1.PolicyService",
            "touchdown.v1.AdminService",
            "grpc.health.v1.Health",
        }
        pool = DescriptorPool(database)
        method = pool.FindServiceByName("touchdown.v1.PolicyService").methods_by_name["GetContract"]
        request = message_factory.GetMessageClass(method.input_type)(policy="stand-in")
        answer_type = message_factory.GetMessageClass(method.output_type)
        call = channel.unary_unary(
            "/touchdown.v1.PolicyService/GetContract",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer_type.FromString,
        )
        answer = call(request, timeout=10)
    assert answer.name == "stand-in"
    assert answer.chunk_length == 8


def test_status_shows_what_is_served_and_what_was_refused(server: ServerProcess) -> None:
    with BlockingPolicyClient(server.address) as client:
        stream = client.open_stream()
        stream.send(observation(deadline=0.001))
        assert isinstance(stream.receive(10), Refusal)
        stream.close()
    table = run_command("status", "--port", str(server.port))
    assert re.search(r"stand-in\s+serving", table.stdout)
    assert "a batch of B takes" in table.stdout
    status = json.loads(run_command("status", "--port", str(server.port), "--json").stdout)
    (policy,) = status["policies"]
    assert policy["refused"]["deadline"] >= 1
    assert status["batch_seconds"][0] > 0.004


def test_serving_only_after_the_warm_up(tmp_path: Path) -> None:
    slow = tmp_path / "slow.json"
    slow.write_text('{"fixed_ms": 200}')
    arguments = ["--stand-in", "--checkpoints", f"slow={slow}"]
    with (
        ServerProcess(arguments, wait_for="listening") as server,
        BlockingPolicyClient(server.address) as client,
    ):
        assert check_health(server.address, "slow") == NOT_SERVING
        with pytest.raises(PolicyUnavailable, match="UNAVAILABLE: policy 'slow' is warming"):
            client.get_contract("slow")
        with pytest.raises(PolicyUnavailable, match=r"UNAVAILABLE.*warming"):
            client.predict(observation(policy="slow"))
        give_up_at = time.monotonic() + 60
        while check_health(server.address, "slow") != SERVING:
            assert time.monotonic() < give_up_at
            time.sleep(0.1)
        client.predict(observation(policy="slow"))


def test_a_model_that_keeps_failing_is_no_longer_called_serving(tmp_path: Path) -> None:
    failing = tmp_path / "failing.json"
    failing.write_text('{"fails_after": 8}')
    arguments = ["--stand-in", "--checkpoints", f"arm={failing}", "--max-batch", "2"]
    with ServerProcess(arguments) as server, BlockingPolicyClient(server.address) as client:
        assert check_health(server.address, "arm") == SERVING
        stream = client.open_stream()
        reasons: list[str] = []
        for sequence in range(8):
            stream.send(observation(sequence=sequence, policy="arm"))
            reply = stream.receive(10)
            reasons.append(reply.reason if isinstance(reply, Refusal) else "")
        assert reasons == [""] * 2 + ["internal"] * 6, "each batch that fails is told, none is lost"
        give_up_at = time.monotonic() + 20
        while (
            check_health(server.address, "arm") != NOT_SERVING or check_health(server.address, "") == SERVING
        ):
            assert time.monotonic() < give_up_at
            time.sleep(0.05)
        stream.close()


def test_sigterm_answers_what_waits_and_exits_with_zero(tmp_path: Path) -> None:
    slow = tmp_path / "slow.json"
    slow.write_text('{"fixed_ms": 400}')
    server = ServerProcess(["--stand-in", "--checkpoints", f"slow={slow}", "--max-batch", "1"])
    with BlockingPolicyClient(server.address) as client:
        streams = [client.open_stream() for _ in range(2)]
        for number, stream in enumerate(streams):
            stream.send(observation(f"robot {number}", policy="slow"))
        time.sleep(0.15)
        server.signal(signal.SIGTERM)
        time.sleep(0.1)
        streams[0].send(observation("robot 0", 2, policy="slow"))
        replies = [streams[0].receive(10), streams[0].receive(10)]
        assert sorted(type(reply).__name__ for reply in replies) == ["ActionChunk", "Refusal"]
        refusal = next(reply for reply in replies if isinstance(reply, Refusal))
        assert refusal.reason == "draining"
        assert isinstance(streams[1].receive(10), ActionChunk), "was still waiting when the signal came"
        with pytest.raises(PolicyUnavailable, match="UNAVAILABLE: the server is shutting down"):
            streams[1].receive(10)
    assert server.wait() == 0
    server.stop()


def test_cancelling_a_stream_frees_its_place_in_the_queue(tmp_path: Path) -> None:
    slow = tmp_path / "slow.json"
    slow.write_text('{"fixed_ms": 900}')
    arguments = ["--stand-in", "--checkpoints", f"slow={slow}", "--max-batch", "1"]
    with (
        ServerProcess(arguments) as server,
        BlockingPolicyClient(server.address) as client,
        open_blocking_channel(f"unix:{socket_path(server.port)}") as channel,
    ):
        admin = AdminServiceStub(channel)

        def wait_for(queue_length: int) -> None:
            give_up_at = time.monotonic() + 10
            while admin.Status(pb.StatusRequest(), timeout=10).queue_length != queue_length:
                assert time.monotonic() < give_up_at
                time.sleep(0.005)

        working, leaving = client.open_stream(), client.open_stream()
        working.send(observation("works", policy="slow"))
        time.sleep(0.1)
        leaving.send(observation("leaves", policy="slow"))
        wait_for(1)
        leaving.close()
        wait_for(0)
        assert isinstance(working.receive(10), ActionChunk)
        status = admin.Status(pb.StatusRequest(), timeout=10)
        assert status.policies[0].served == 1


def test_sigkill_is_seen_by_clients_within_a_second() -> None:
    server = ServerProcess(["--stand-in"])
    with BlockingPolicyClient(server.address) as client:
        stream = client.open_stream()
        stream.send(observation())
        assert isinstance(stream.receive(10), ActionChunk)
        server.signal(signal.SIGKILL)
        killed_at = time.monotonic()
        with pytest.raises(PolicyUnavailable, match="UNAVAILABLE"):
            stream.receive(5)
        assert time.monotonic() - killed_at < 1.0
        server.kill()
        # Started again at the same address, it is found by the same client.
        with ServerProcess(["--stand-in"], address=server.address):
            assert client.get_contract("stand-in", timeout=20.0).name == "stand-in"
            stream = client.open_stream()
            stream.send(observation())
            assert isinstance(stream.receive(10), ActionChunk)
            stream.close()


def run_command(*arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    finished = subprocess.run(
        [sys.executable, "-m", "policy_server", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert finished.returncode == status, finished.stderr
    return finished


def test_a_port_in_use_gives_one_sentence(server: ServerProcess) -> None:
    finished = run_command("--stand-in", "--address", server.address, status=1)
    assert f"policy-server: cannot listen on {server.address}: is another server there" in finished.stderr
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--stand-in", "--address", "0.0.0.0:0"], "refusing to listen on 0.0.0.0:0 without TLS"),
        ([], "no checkpoint folder was given"),
        (["nowhere"], "nowhere"),
        (["--stand-in", "--checkpoints", "a=x.json", "a=y.json"], "two policies are called 'a'"),
    ],
)
def test_a_server_that_cannot_start_says_why_in_a_sentence(arguments: list[str], sentence: str) -> None:
    finished = run_command("serve", *arguments, status=1)
    assert sentence in finished.stderr
    assert "Traceback" not in finished.stderr


def test_help_reads_as_documentation() -> None:
    text = run_command("--help").stdout
    for command in ("serve", "reload", "status", "make-certs", "inspect", "make-random", "convert"):
        assert command in text
    assert "SIGTERM answers what waits" in " ".join(re.sub("[│╭╰─╮╯]", " ", text).split())
