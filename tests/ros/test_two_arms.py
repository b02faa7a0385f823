"""Two arms on one host: two namespaces, two bridges, nothing shared; Ctrl-C ends each, moving or not."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticArray
from motion import moving_arm, patient_rig
from ros_client import RosClient
from running_node import RunningNode
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from robot_bridge.ros.quality import DIAGNOSTICS, stream_quality
from robot_contract.client import OperatorClient

STATE = stream_quality("reliable", 100)
END_SECONDS = 10.0  # on a machine with no core to spare; benchmarks/ros.py measures it


def test_each_namespace_has_a_bridge_of_its_own_and_ends_at_once(
    tmp_path: Path, installed: Mapping[str, str]
) -> None:
    parameters = {"rig": patient_rig(tmp_path), "image_rate_hz": 0.0}
    with (
        RosClient() as client,
        RunningNode(
            tmp_path / "left", parameters | {"arm_prefix": "left_"}, namespace="left", installed=installed
        ) as left,
        RunningNode(
            tmp_path / "right", parameters | {"arm_prefix": "right_"}, namespace="right", installed=installed
        ) as right,
    ):
        addresses = left.address(), right.address()
        assert addresses[0] != addresses[1]
        for node, side in ((left, "left"), (right, "right")):
            joints = client.hear(JointState, f"{node.name}/joint_states", STATE).until(
                lambda m: bool(m), 60.0
            )
            assert joints[0].name[0] == f"{side}_fr3_joint1"
            assert joints[0].header.frame_id == f"{side}_fr3_link0"
            heard = client.hear(DiagnosticArray, f"/{side}/diagnostics", DIAGNOSTICS)
            [array] = heard.until(lambda m: bool(m), 60.0)[:1]
            assert {status.name.partition(":")[0] for status in array.status} == {f"{side}/robot_bridge"}

        answer = client.call(Trigger, f"{left.name}/stop", Trigger.Request())
        assert answer.success
        assert asyncio.run(modes(addresses)) == ["FAULT", "IDLE"], "the other arm goes on"

        assert left.interrupt() < END_SECONDS, left.log
        assert asyncio.run(interrupt_while_moving(right, addresses[1])) < END_SECONDS, right.log
    for node in (left, right):
        assert "Traceback" not in node.log
        assert "terminate called" not in node.log


async def modes(addresses: tuple[str, str]) -> list[str]:
    found: list[str] = []
    for address in addresses:
        async with OperatorClient(address) as operator:
            async for status in operator.watch():
                found.append(status.mode)
                break
    return found


async def interrupt_while_moving(node: RunningNode, address: str) -> float:
    async with moving_arm(address):
        return await asyncio.to_thread(node.interrupt)
