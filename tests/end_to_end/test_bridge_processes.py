"""Real processes over real sockets: policy server, bridge on the mock rig, and an operator."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from policy_server.server_process import ServerProcess
from robot_bridge.bridge_process import BridgeProcess
from robot_bridge.rig_file import find_rig, load_rig
from robot_contract.client import BlockingPolicyClient, OperatorClient
from robot_contract.errors import BridgeUnavailable
from robot_contract.messages import BridgeStatus, Heartbeat, JointGoal, OperatorEvent, TrialSetup

SETUP = TrialSetup(
    trial_id="t-1",
    policy="stand-in",
    instruction="move down",
    start_pose="home",
    time_limit=60.0,
    record=False,
)


def with_key(folder: Path, server: str) -> Path:
    """The mock rig with the server's tool, with a key to hold, patient with slow machines."""
    with BlockingPolicyClient(server) as client:
        tool = client.get_contract("stand-in").flange_from_tcp
    text = find_rig("mock").read_text()
    mock = load_rig(find_rig("mock")).flange_from_tcp
    for old, new in (
        ("hold_to_run: false", "hold_to_run: true"),
        ("rate_hz: 30", "rate_hz: 15"),
        ("margin: 0.03", "margin: 0.2"),
        ("control_rate_hz: 100", "control_rate_hz: 50"),
        ("missed_ticks: 10 ", "missed_ticks: 100 "),
        ("deadline: 2.0", "deadline: 10.0"),
        ("  profile: reduced", "  arm_age: 0.1\n  profile: reduced"),
        (f"quaternion: {mock.quaternion.tolist()}", f"quaternion: {tool.quaternion.tolist()}"),
        (f"position: {mock.position.tolist()}", f"position: {tool.position.tolist()}"),
    ):
        assert old in text
        text = text.replace(old, new)
    path = folder / "mock_with_key.yaml"
    path.write_text(text)
    return path


def stand_in(folder: Path) -> list[str]:
    path = folder / "stand-in.json"
    path.write_text(json.dumps({"mark_mm": -1.0, "chunk_length": 16}))
    return ["--stand-in", "--checkpoints", f"stand-in={path}"]


async def press(client: OperatorClient, action: str) -> BridgeStatus:
    return await client.send(OperatorEvent(action=action, operator="ann"))  # type: ignore[arg-type]


async def until(
    client: OperatorClient, holds: Callable[[BridgeStatus], bool], seconds: float = 10.0
) -> BridgeStatus:
    async def look() -> BridgeStatus:
        async for status in client.watch(20.0):
            if holds(status):
                return status
        raise AssertionError("the watch ended")

    return await asyncio.wait_for(look(), seconds)


class Key:
    """A person's finger: answers every nonce while `press` is not 0."""

    def __init__(self) -> None:
        self.press = 0
        self.is_listening = True


@asynccontextmanager
async def holding(client: OperatorClient) -> AsyncIterator[Key]:
    key = Key()

    async def beat() -> None:
        async for state in stream:
            if key.is_listening:
                await stream.send(Heartbeat(nonce=state.nonce, press=key.press, held=key.press != 0))

    async with client.hold_to_run() as stream:
        task = asyncio.ensure_future(beat())
        try:
            await asyncio.sleep(0.2)
            yield key
        finally:
            task.cancel()


async def start_running(client: OperatorClient, key: Key, press_id: int = 1) -> None:
    status = await client.prepare(SETUP)
    assert status.problems == ()
    assert (await press(client, "arm")).mode == "ARMED"
    key.press = press_id
    await until(client, lambda s: s.held)
    await press(client, "start")
    await keep_running(client, key, lambda s: s.chunk_age < 1.0)


async def keep_running(
    client: OperatorClient, key: Key, holds: Callable[[BridgeStatus], bool]
) -> BridgeStatus:
    return await persist(client, key, lambda s: s.mode == "RUNNING" and holds(s))


async def persist(
    client: OperatorClient, key: Key, is_done: Callable[[BridgeStatus], bool], seconds: float = 40.0
) -> BridgeStatus:
    """Do what the bridge needs whenever it holds: a busy computer loses heartbeats."""

    async def look() -> BridgeStatus:
        async for status in client.watch(10.0):
            if is_done(status):
                return status
            assert status.mode in ("RUNNING", "HOLDING"), status.why
            if status.mode == "HOLDING" and status.needs.startswith("press"):
                key.press += 100
            elif status.mode == "HOLDING" and status.needs.startswith("release"):
                key.press = 0
            elif status.mode == "HOLDING" and key.press != 0:
                await press(client, "start")
            elif status.mode == "HOLDING":
                key.press = round(status.at * 1000)
        raise AssertionError("the watch ended")

    return await asyncio.wait_for(look(), seconds)


def drive(
    tmp_path: Path, scene: Callable[[OperatorClient, ServerProcess, BridgeProcess], Awaitable[None]]
) -> None:
    with (
        ServerProcess(stand_in(tmp_path)) as server,
        BridgeProcess(
            [
                "--rig",
                str(with_key(tmp_path, server.address)),
                "--policy-server",
                server.address,
                "--log-level",
                "warning",
            ]
        ) as bridge,
    ):

        async def play() -> None:
            async with OperatorClient(bridge.address) as client:
                await scene(client, server, bridge)

        asyncio.run(play())


def test_trial_with_the_key(tmp_path: Path) -> None:
    """Prepare, arm, hold, run; release holds; the same press does not resume, a new one does; pause; stop."""

    async def scene(client: OperatorClient, server: ServerProcess, bridge: BridgeProcess) -> None:
        with pytest.raises(BridgeUnavailable, match="open the hold-to-run stream first"):
            await press(client, "arm")
        async with holding(client) as key:
            await start_running(client, key)
            before = (await press(client, "pause")).tcp_pose.position[2]
            moved = await keep_running(client, key, lambda s: s.tcp_pose.position[2] < before - 0.003)
            assert moved.lease_holder == "ann"
            lost, key.press = key.press, 0
            await until(client, lambda s: s.mode == "HOLDING")
            key.press = lost
            await asyncio.sleep(0.4)
            assert (await until(client, lambda s: True)).mode == "HOLDING", "a lost press stays lost"
            key.press = lost + 1
            await keep_running(client, key, lambda s: True)
            assert (await press(client, "pause")).mode == "HOLDING"
            await keep_running(client, key, lambda s: True)
            key.is_listening = False  # a sleeping page: the stream is open, nothing comes
            await until(client, lambda s: s.mode == "HOLDING", 5.0)
            async with OperatorClient(bridge.address) as other:
                status = await other.send(OperatorEvent(action="stop", operator="passer-by"))
            assert status.mode == "FAULT"
            assert status.why == "passer-by: stop"
            with pytest.raises(BridgeUnavailable, match="start is not possible in FAULT"):
                await press(client, "start")
            await asyncio.sleep(0.6)
            assert (await press(client, "clear")).mode == "IDLE"

    drive(tmp_path, scene)


def test_killed_server_holds_and_its_successor_lets_the_operator_resume(tmp_path: Path) -> None:
    async def scene(client: OperatorClient, server: ServerProcess, bridge: BridgeProcess) -> None:
        async with holding(client) as key:
            await start_running(client, key)
            server.signal(signal.SIGKILL)
            await persist(client, key, lambda s: s.mode == "HOLDING" and "chunk" in s.why)
            status = await until(client, lambda s: s.server_state != "connected")
            assert "UNAVAILABLE" in status.server_state
            height = status.tcp_pose.position[2]
            with pytest.raises(BridgeUnavailable):
                await press(client, "start")
            status = await until(client, lambda s: s.mode == "HOLDING")
            assert abs(status.tcp_pose.position[2] - height) < 0.002
            key.press = 0
            await until(client, lambda s: "start to go on" in s.needs)
            assert (await press(client, "disarm")).mode == "IDLE"

    drive(tmp_path, scene)


def test_one_lease_and_its_end(tmp_path: Path) -> None:
    """A second console may watch and stop, not command; when the first is gone, its motion is, too."""

    async def scene(client: OperatorClient, server: ServerProcess, bridge: BridgeProcess) -> None:
        async with OperatorClient(bridge.address) as second:
            async with holding(client) as key:
                await start_running(client, key)
                with pytest.raises(BridgeUnavailable, match="ann has the lease"):
                    await second.send(OperatorEvent(action="pause", operator="bob"))
                with pytest.raises(BridgeUnavailable, match="has the lease"):
                    async with second.hold_to_run() as stream:
                        await stream.receive()
                assert (await keep_running(second, key, lambda s: True)).lease_holder == "ann"
            await until(second, lambda s: s.mode == "HOLDING")
            async with holding(second) as key:
                key.press = 999_999
                await keep_running(second, key, lambda s: True)

    drive(tmp_path, scene)


def test_move_to_a_pose_needs_the_key_and_arrives(tmp_path: Path) -> None:
    async def scene(client: OperatorClient, server: ServerProcess, bridge: BridgeProcess) -> None:
        async with holding(client) as key:
            await press(client, "arm")
            with pytest.raises(BridgeUnavailable, match="no pose 'redy'; did you mean 'ready'"):
                async for _ in client.move_to(JointGoal(name="redy")):
                    pass
            modes: list[str] = []
            last = None
            async for status in client.move_to(JointGoal(name="ready")):
                last = status
                if not modes or modes[-1] != status.mode:
                    modes.append(status.mode)
                if len(modes) == 1 and status.mode == "HOLDING":
                    key.press = 5
            assert modes == ["HOLDING", "RUNNING", "ARMED"]
            assert last is not None
            assert last.why == "the arm has arrived"

    drive(tmp_path, scene)


def test_images_health_and_reflection(tmp_path: Path) -> None:
    async def scene(client: OperatorClient, server: ServerProcess, bridge: BridgeProcess) -> None:
        seen: set[str] = set()
        async for frame in client.images(rate_hz=20.0):
            assert (frame.image.width, frame.image.height) == (640, 480)
            seen.add(frame.camera)
            if seen == {"external", "wrist"}:
                break
        with grpc.insecure_channel(bridge.address) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            reply = health.Check(health_pb2.HealthCheckRequest(service="touchdown.v1.OperatorService"))
            assert reply.status == health_pb2.HealthCheckResponse.SERVING
            database = ProtoReflectionDescriptorDatabase(channel)
            assert "touchdown.v1.OperatorService" in database.get_services()
            service = DescriptorPool(database).FindServiceByName("touchdown.v1.OperatorService")
            assert "HoldToRun" in service.methods_by_name

    drive(tmp_path, scene)


def test_taken_port_is_said_in_a_sentence(tmp_path: Path) -> None:
    with BridgeProcess(["--rig", "mock"]) as first, pytest.raises(RuntimeError, match="another program has"):
        BridgeProcess(["--rig", "mock", "--address", first.address])
