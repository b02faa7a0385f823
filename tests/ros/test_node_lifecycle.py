"""Lifecycle, parameters and stop of the installed node: activation never arms, and nothing gets looser."""

import asyncio
import multiprocessing
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from geometry_msgs.msg import PoseStamped
from motion import moving_arm, patient_rig
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import ParameterType, ParameterValue
from rcl_interfaces.srv import DescribeParameters, SetParameters
from ros_client import RosClient
from running_node import RunningNode
from sensor_msgs.msg import CompressedImage
from std_srvs.srv import Trigger

from robot_bridge.ros.messages import pose_of
from robot_bridge.ros.parameters import PARAMETERS, Value
from robot_bridge.ros.quality import stream_quality
from robot_contract.client import OperatorClient
from robot_contract.errors import BridgeUnavailable
from robot_contract.messages import BridgeStatus, OperatorAction, OperatorEvent
from robot_contract.pose import distance_between

NODE = "/robot_bridge"
STATE = stream_quality("reliable", 1000)
BURNERS = 2


@pytest.fixture
def client() -> Iterator[RosClient]:
    with RosClient() as client:
        yield client


def act(address: str, action: OperatorAction) -> BridgeStatus:
    async def send() -> BridgeStatus:
        async with OperatorClient(address) as operator:
            return await operator.send(OperatorEvent(action=action, operator="ann"))

    return asyncio.run(send())


def set_parameter(client: RosClient, name: str, value: Value) -> str:
    """Why it was refused; empty when it was taken."""
    message = ParameterMessage(name=name)
    match value:
        case str():
            message.value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=value)
        case float():
            message.value = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=value)
        case _:
            raise AssertionError(value)
    request = SetParameters.Request(parameters=[message])
    [result] = client.call(SetParameters, f"{NODE}/set_parameters", request).results
    assert result.successful == (result.reason == "")
    return result.reason


def test_each_transition_does_what_it_says_and_activation_never_arms(
    tmp_path: Path, installed: Mapping[str, str], client: RosClient
) -> None:
    with RunningNode(tmp_path, {"rig": "mock", "autostart": False}, installed=installed) as node:
        assert client.state_of(NODE) == "unconfigured"
        poses = client.hear(PoseStamped, f"{NODE}/tcp_pose", STATE)
        answer = client.call(Trigger, f"{NODE}/stop", Trigger.Request())
        assert not answer.success
        assert "no bridge to stop" in answer.message

        assert client.change_state(NODE, "configure")
        assert client.state_of(NODE) == "inactive"
        address = node.address()
        with pytest.raises(BridgeUnavailable, match="inactive: activate it"):
            act(address, "arm")
        assert not poses.messages, "an inactive node is silent"
        assert set_parameter(client, "rig", "twin").startswith("rig counts when the node is configured")

        assert client.change_state(NODE, "activate")
        poses.until(lambda m: len(m) > 5)
        assert act(address, "arm").mode == "ARMED", "a person arms, and only now"
        assert not client.change_state(NODE, "configure"), "what is not possible is refused, not fatal"
        assert client.state_of(NODE) == "active"

        assert client.change_state(NODE, "deactivate")
        poses.forget()
        with pytest.raises(BridgeUnavailable, match="inactive"):
            act(address, "arm")
        assert client.change_state(NODE, "activate")
        poses.until(lambda m: len(m) > 5)
        with pytest.raises(BridgeUnavailable, match="disarm is not possible in IDLE"):
            act(address, "disarm")  # deactivation has done so, and activation has not undone it

        assert client.change_state(NODE, "deactivate")
        assert client.change_state(NODE, "cleanup")
        assert client.state_of(NODE) == "unconfigured"
        with pytest.raises(BridgeUnavailable):
            act(address, "arm")
        assert set_parameter(client, "safety_profile", "normal") == ""
        assert not client.change_state(NODE, "configure")
        node.logged("safety profile 'normal' is looser than the rig's 'reduced'")
        assert client.state_of(NODE) == "unconfigured"


def test_parameters_describe_themselves_and_keep_their_ranges(
    tmp_path: Path, installed: Mapping[str, str], client: RosClient
) -> None:
    with RunningNode(tmp_path, {"autostart": False}, installed=installed):
        request = DescribeParameters.Request(names=[parameter.name for parameter in PARAMETERS])
        described = client.call(DescribeParameters, f"{NODE}/describe_parameters", request).descriptors
        for parameter, found in zip(PARAMETERS, described, strict=True):
            assert found.description == parameter.description
            assert bool(found.floating_point_range or found.integer_range) == (parameter.low is not None)
            assert bool(found.additional_constraints) == bool(parameter.choices)
        assert set_parameter(client, "state_rate_hz", 0.0) != ""
        assert set_parameter(client, "state_rate_hz", 5000.0) != ""
        assert set_parameter(client, "state_rate_hz", 50.0) == ""
        assert "accepted are" in set_parameter(client, "image_reliability", "certain")


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"rig": "mok"}, "no rig 'mok'; did you mean 'mock'"),
        ({"rig": "mock", "safety_profile": "normal"}, "is looser than the rig's"),
        ({"rig": "mock", "safety_profile": "slow"}, "safety_profile is 'slow', accepted are"),
        ({"rig": "mock", "robot_type": "panda"}, "rig mock is for fr3"),
        ({"rig": "mock", "state_rate_hz": 0.0}, "state_rate_hz"),
    ],
    ids=["rig", "looser", "word", "arm", "range"],
)
def test_what_does_not_fit_ends_the_program_with_one_sentence(
    tmp_path: Path, parameters: dict[str, Value], words: str
) -> None:
    with RunningNode(tmp_path, parameters) as node:
        assert node.wait(120.0) == 2
        assert words in node.log
        assert "Traceback" not in node.log


def test_stop_is_heard_by_a_moving_arm_on_a_machine_under_load(
    tmp_path: Path, installed: Mapping[str, str], client: RosClient
) -> None:
    with RunningNode(tmp_path, {"rig": patient_rig(tmp_path)}, installed=installed) as node:
        address = node.address()
        poses = client.hear(PoseStamped, f"{NODE}/sent_pose", STATE)
        for camera in ("external", "wrist"):
            topic = f"{NODE}/{camera}/image_raw/compressed"
            client.hear(CompressedImage, topic, stream_quality("best_effort", 5))
        start = poses.until(lambda m: len(m) > 5, 60.0)[-1]
        spawn = multiprocessing.get_context("spawn")
        burners = [spawn.Process(target=burn, daemon=True) for _ in range(BURNERS)]
        for burner in burners:
            burner.start()
        try:
            answer = asyncio.run(stop_while_moving(address, client))
        finally:
            for burner in burners:
                burner.terminate()
                burner.join()
        assert answer.success
        assert answer.message == "FAULT: ROS: stop"
        came = len(poses.messages)
        final = poses.until(lambda m: len(m) > came + 50 and m[-1].pose == m[-40].pose, 60.0)[-1]
        assert distance_between(pose_of(start.pose), pose_of(final.pose)) < 0.1, "it stopped on its way"
        with pytest.raises(BridgeUnavailable, match="stopped_by_command"):
            act(address, "arm")
        assert act(address, "clear").mode == "IDLE", "a person clears it"


async def stop_while_moving(address: str, client: RosClient) -> Trigger.Response:
    async with moving_arm(address):
        return await asyncio.to_thread(client.call, Trigger, f"{NODE}/stop", Trigger.Request())


def burn() -> None:
    while True:
        sum(range(100_000))
