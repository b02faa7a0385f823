"""What the crisp driver does not believe, whom it does not obey beside, each by name; and its last hop."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from crisp_controller import answered, crisp_controller, crisp_rig
from geometry_msgs.msg import PoseStamped
from ros_client import RosClient
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from robot_bridge.kinematics import flange_pose
from robot_bridge.open_devices import Devices, open_devices
from robot_bridge.ros.crisp_link import arm_joints
from robot_bridge.ros.messages import pose_message
from robot_bridge.ros.quality import COMMAND
from robot_bridge.safety.limits import NOMINAL_POSTURE
from robot_contract.errors import DeviceFault
from robot_contract.pose import distance_between

NAMES = [*(f"fr3_joint{i}" for i in range(1, 8)), "fr3_finger_joint1"]


class ScriptedArm:
    """Says on the topics what a test wants, 50 times a second, as long as it lives."""

    def __init__(self, client: RosClient) -> None:
        self.joints = np.array(NOMINAL_POSTURE)
        self.pose = flange_pose(self.joints)
        self.names = NAMES
        self.frozen: Header | None = None
        self._node = client.node
        self._poses = client.node.create_publisher(PoseStamped, "current_pose", COMMAND)
        self._joints = client.node.create_publisher(JointState, "joint_states", COMMAND)
        client.hear(PoseStamped, "target_pose", COMMAND)
        client.node.create_timer(0.02, self._say)

    def _say(self) -> None:
        header = self.frozen or Header(frame_id="fr3_link0", stamp=self._node.get_clock().now().to_msg())
        positions = [*self.joints.tolist(), 0.04]
        self._joints.publish(
            JointState(header=header, name=self.names, position=positions, velocity=[0.0] * 8)
        )
        self._poses.publish(PoseStamped(header=header, pose=pose_message(self.pose)))


@pytest.fixture
def arm() -> Iterator[ScriptedArm]:
    with RosClient("scripted_arm") as client:
        yield ScriptedArm(client)


@pytest.fixture
def devices(arm: ScriptedArm) -> Iterator[Devices]:
    del arm
    opened = open_devices(crisp_rig())
    yield opened
    opened.close()


def expect_fault(act: Callable[[], object], words: str, seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    last = "nothing was refused"
    while time.monotonic() < until:
        try:
            act()
        except DeviceFault as fault:
            last = str(fault)
            if words in last:
                return
        time.sleep(0.05)
    raise AssertionError(f"expected {words!r}, found {last!r}")


def test_joints_and_pose_of_two_arms_are_refused(arm: ScriptedArm, devices: Devices) -> None:
    assert answered(devices.arm).fault is None
    arm.pose = flange_pose(np.array(NOMINAL_POSTURE) + 0.2)
    expect_fault(devices.arm.read, "disagree by")


def test_one_stamp_repeated_for_ever_is_silence(arm: ScriptedArm, devices: Devices) -> None:
    answered(devices.arm)
    arm.frozen = Header(stamp=arm._node.get_clock().now().to_msg())
    expect_fault(devices.arm.read, "repeats the stamp")


def test_joints_of_another_arm_are_told(arm: ScriptedArm, devices: Devices) -> None:
    answered(devices.arm)
    arm.names = [name.replace("fr3", "panda") for name in NAMES]
    expect_fault(devices.arm.read, "expected one joint fr3_joint1")


def test_what_is_not_a_number_is_not_believed(arm: ScriptedArm, devices: Devices) -> None:
    answered(devices.arm)
    arm.joints = np.full(7, np.nan)
    expect_fault(devices.arm.read, "expected finite values")


def test_a_second_commander_is_named_and_nothing_is_sent(arm: ScriptedArm, devices: Devices) -> None:
    target = answered(devices.arm).commanded_flange_pose
    devices.arm.track(target, None)
    with RosClient("rival") as rival:
        rival.node.create_publisher(PoseStamped, "target_pose", COMMAND)
        expect_fault(lambda: devices.arm.track(target, None), "2 nodes publish /target_pose (/rival, ")


def test_no_target_is_sent_where_nobody_hears_it() -> None:
    with RosClient("deaf_arm") as client:
        deaf = ScriptedArm(client)
        assert deaf.names == NAMES
        [target] = [s for s in client.node.subscriptions if s.topic_name == "/target_pose"]
        client.node.destroy_subscription(target)
        devices = open_devices(crisp_rig())
        try:
            pose = answered(devices.arm).commanded_flange_pose
            with pytest.raises(DeviceFault, match="nobody hears /target_pose"):
                devices.arm.track(pose, None)
        finally:
            devices.close()


def test_joint_names_may_have_a_prefix_and_must_be_complete() -> None:
    names = ["left_" + name for name in reversed(NAMES)]
    assert arm_joints(names, "fr3") == [7, 6, 5, 4, 3, 2, 1]
    with pytest.raises(ValueError, match="expected one joint fr3_joint7"):
        arm_joints([name for name in NAMES if name != "fr3_joint7"], "fr3")
    with pytest.raises(ValueError, match="found 2"):
        arm_joints([*NAMES, "right_fr3_joint1"], "fr3")


PULLER = """
import sys, time
sys.path[:0] = {path!r}
import numpy as np
from crisp_controller import crisp_rig
from robot_bridge.open_devices import open_devices
from robot_contract.pose import apply_delta
arm = open_devices(crisp_rig()).arm
target = arm.read().commanded_flange_pose
for i in range(100000):
    target = apply_delta(target, np.array([0.0, 0.0005 if i < 400 else 0.0, 0.0]), np.zeros(3), "base")
    arm.track(target, None)
    if i == 20:
        print("pulls", flush=True)
    time.sleep(0.01)
"""


def test_the_arm_rests_within_the_leash_when_its_bridge_is_killed_in_motion() -> None:
    with crisp_controller():
        puller = subprocess.Popen(
            [sys.executable, "-c", PULLER.format(path=sys.path[:4])], stdout=subprocess.PIPE, text=True
        )
        try:
            assert puller.stdout is not None
            assert puller.stdout.readline() == "pulls\n"
            before = open_devices(crisp_rig())
            os.kill(puller.pid, signal.SIGKILL)
            killed_at = answered(before.arm).flange_pose
        finally:
            puller.kill()
            puller.wait()
            puller.stdout.close()
        time.sleep(1.0)
        first = answered(before.arm).flange_pose
        time.sleep(0.3)
        second = answered(before.arm).flange_pose
        before.close()
    assert distance_between(first, second) < 1e-4, "it stands"
    assert distance_between(killed_at, second) < 0.04, "and no farther than the leash"
