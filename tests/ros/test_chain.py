"""The whole chain and no metal: policy server, the installed ROS node on libfranka before a simulated control
interface, pictures of the twin that follows the arm, an operator with the key, topics, and the recording.
"""

import asyncio
import contextlib
import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from bad_trial import RIG_CHANGES, BadTrial
from geometry_msgs.msg import PoseStamped
from ros_client import Heard, RosClient
from running_node import RunningNode
from sensor_msgs.msg import CompressedImage, JointState
from std_msgs.msg import String
from std_srvs.srv import Trigger
from workspace import ROOT, clean_environment

from robot_bridge.franka.simulated import SimulatedFci, missing_environment
from robot_bridge.recording.reading import read_recording
from robot_bridge.rig_file import find_rig, load_rig
from robot_bridge.ros.quality import LATCHED, stream_quality
from robot_contract.client import BlockingPolicyClient, OperatorClient
from robot_contract.errors import BridgeUnavailable

SERVER = ROOT / ".venv" / "bin" / "python"  # where PyTorch is; the node's environment has none
NODE = "/arm/robot_bridge"
ATTEMPTS = 5
STATE = stream_quality("reliable", 100)

pytestmark = [
    pytest.mark.skipif(bool(missing_environment()), reason=missing_environment() or "it is there"),
    pytest.mark.skipif(not SERVER.exists(), reason="no .venv with the policy server; make setup makes it"),
]


@contextlib.contextmanager
def policy_server(folder: Path) -> Iterator[str]:
    """Its address; the policy goes straight down."""
    settings = folder / "policy.json"
    settings.write_text(json.dumps({"mark_mm": -1.0, "chunk_length": 16}))
    words = ["--stand-in", "--checkpoints", f"stand-in={settings}", "--address", "127.0.0.1:0"]
    with subprocess.Popen(
        [str(SERVER), "-m", "policy_server", "serve", *words],
        stdout=subprocess.PIPE,
        text=True,
        env=clean_environment(),
        cwd=ROOT,
    ) as process:
        assert process.stdout is not None
        try:
            address = ""
            for line in process.stdout:
                found = re.search(r"listening on (\S+)", line)
                address = found[1] if found else address
                if line.split()[1:2] == ["serving"]:
                    break
            assert address, "the policy server has ended"
            yield address
        finally:
            process.terminate()


def write_rig(folder: Path, server: str, robot: str) -> Path:
    """The rig of the simulated control interface, with the policy's tool and more patient."""
    with BlockingPolicyClient(server) as client:
        tool = client.get_contract("stand-in").flange_from_tcp
    shipped = find_rig("franka_simulated")
    own = load_rig(shipped).flange_from_tcp
    text = shipped.read_text()
    for old, new in (
        *RIG_CHANGES,
        (f"quaternion: {own.quaternion.tolist()}", f"quaternion: {tool.quaternion.tolist()}"),
        (f"position: {own.position.tolist()}", f"position: {tool.position.tolist()}"),
        ("address: 127.0.0.1 ", f"address: {robot} "),
        ("width: 640", "width: 320"),
        ("height: 480", "height: 240"),
    ):
        assert old in text, old
        text = text.replace(old, new)
    path = folder / "rig.yaml"
    path.write_text(text)
    return path


@pytest.fixture(autouse=True)
def realtime() -> Iterator[None]:
    """Packets are due every millisecond: all of this goes before other work, where the machine permits it."""
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(5))
    yield
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


class Topics:
    def __init__(self, client: RosClient) -> None:
        self.client = client
        self.poses: Heard[PoseStamped] = client.hear(PoseStamped, f"{NODE}/tcp_pose", STATE)
        self.joints: Heard[JointState] = client.hear(JointState, f"{NODE}/joint_states", STATE)
        self.modes: Heard[String] = client.hear(String, f"{NODE}/mode", LATCHED)
        self.pictures: Heard[CompressedImage] = client.hear(
            CompressedImage, f"{NODE}/external/image_raw/compressed", stream_quality("best_effort", 5)
        )


async def drive(address: str, topics: Topics) -> None:
    async with OperatorClient(address) as client:
        trial = BadTrial(client, None)  # type: ignore[arg-type] - nothing is injected in the bridge
        async with trial.key():
            began = await start(trial)
            topics.poses.forget()
            await asyncio.sleep(1.0)
            moved = await trial.until(lambda s: True)
            assert moved.driver == "franka"
            assert moved.tcp_pose.position[2] < began - 0.002, "the policy goes down"
            await asyncio.to_thread(topics.poses.until, lambda m: len(m) > 20, 60.0)
            answer = await asyncio.to_thread(topics.client.call, Trigger, f"{NODE}/stop", Trigger.Request())
            assert answer.success
            await trial.until(lambda s: s.mode == "FAULT")
            await asyncio.sleep(0.7)
            assert (await trial.act("clear")).mode == "IDLE"


async def start(trial: BadTrial) -> float:
    """The height [m] it starts from. A machine with no core to spare loses packets: then once more."""
    for attempt in range(ATTEMPTS):
        try:
            return (await trial.start()).tcp_pose.position[2]
        except (AssertionError, BridgeUnavailable) as error:
            if "too late" not in str(error) or attempt == ATTEMPTS - 1:
                raise
            trial.press_id = 0
            await asyncio.sleep(0.7)
            await trial.act("clear")
    raise AssertionError("no attempt was made")


def started(recording: Path) -> float:
    return recording.stat().st_mtime


def test_a_trial_from_the_key_to_the_recording(tmp_path: Path, installed: Mapping[str, str]) -> None:
    recordings = tmp_path / "recordings"
    with policy_server(tmp_path) as server, RosClient() as client, contextlib.ExitStack() as robot:
        fci = robot.enter_context(SimulatedFci())
        parameters = {
            "rig": str(write_rig(tmp_path, server, fci.address)),
            "policy_server": server,
            "recordings": str(recordings),
            "robot_type": "fr3",
        }
        node = robot.enter_context(RunningNode(tmp_path, parameters, namespace="arm", installed=installed))
        topics = Topics(client)
        topics.modes.until(lambda heard: len(heard) > 0, 60.0)  # found, before anything is pressed
        asyncio.run(drive(node.address(), topics))
        heights = [message.pose.position.z for message in topics.poses.messages]
        assert min(heights) < heights[0], "the way down was published"
        assert len(topics.joints.messages[-1].name) == 9
        assert topics.pictures.messages, "the twin's pictures of the arm"
        modes = [message.data.partition(":")[0] for message in topics.modes.messages]
        assert {"IDLE", "ARMED", "RUNNING", "FAULT"} <= set(modes)
        node.interrupt()
    newest = max((path for path in recordings.iterdir() if ".mcap" in path.name), key=started)
    recording = read_recording(newest)
    running = [tick for tick in recording.ticks if tick.mode == "RUNNING"]
    assert len(running) > 20
    assert any(tick.was_tracked for tick in running)
    assert recording.ticks[-1].mode == "FAULT"
    assert recording.pictures
