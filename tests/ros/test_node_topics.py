"""What the installed node publishes, over real DDS: types, frames, stamps, rates, pictures, diagnostics."""

from collections.abc import Iterator, Mapping
from itertools import pairwise

import numpy as np
import pytest
import simplejpeg
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped, TwistStamped, WrenchStamped
from ros_client import RosClient
from running_node import RunningNode
from sensor_msgs.msg import CameraInfo, CompressedImage, JointState
from std_msgs.msg import String

from robot_bridge.kinematics import flange_pose
from robot_bridge.rig_file import find_rig, load_rig
from robot_bridge.ros.messages import pose_of
from robot_bridge.ros.quality import DIAGNOSTICS, LATCHED, stream_quality
from robot_contract.pose import distance_between

STATE = stream_quality("reliable", 100)
IMAGES = stream_quality("best_effort", 5)
NODE = "/robot_bridge"
RIG = load_rig(find_rig("mock"))


@pytest.fixture(scope="module")
def client() -> Iterator[RosClient]:
    with RosClient() as client:
        yield client


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, installed: Mapping[str, str]) -> Iterator[RunningNode]:
    with RunningNode(tmp_path_factory.mktemp("node"), {"rig": "mock"}, installed=installed) as node:
        assert node.address()
        yield node


def seconds(message: PoseStamped) -> float:
    return message.header.stamp.sec + message.header.stamp.nanosec * 1e-9


def test_the_pose_of_the_tool_comes_at_its_rate_with_stamps_that_go_on(
    node: RunningNode, client: RosClient
) -> None:
    heard = client.hear(PoseStamped, f"{NODE}/tcp_pose", STATE)
    heard.until(lambda m: len(m) >= 20, 60.0)
    heard.forget()
    poses = heard.until(lambda m: len(m) >= 200, 60.0)
    assert {pose.header.frame_id for pose in poses} == {"fr3_link0"}
    stamps = [seconds(pose) for pose in poses]
    assert all(earlier < later for earlier, later in pairwise(stamps)), "nothing twice, nothing backwards"
    assert 10.0 < 199 / (stamps[-1] - stamps[0]) < 130.0, "100 Hz, fewer on a busy machine"
    age = client.node.get_clock().now().nanoseconds * 1e-9 - stamps[-1]
    assert -0.01 < age < 30.0
    home = flange_pose(np.array(RIG.pose("home"))) @ RIG.flange_from_tcp
    assert distance_between(pose_of(poses[0].pose), home) < 1e-6


def test_sent_pose_twist_wrench_and_joints_agree_with_it(node: RunningNode, client: RosClient) -> None:
    tcp = client.hear(PoseStamped, f"{NODE}/tcp_pose", STATE).until(lambda m: bool(m), 60.0)[0]
    sent = client.hear(PoseStamped, f"{NODE}/sent_pose", STATE).until(lambda m: bool(m), 60.0)[0]
    twist = client.hear(TwistStamped, f"{NODE}/tcp_twist", STATE).until(lambda m: bool(m), 60.0)[0]
    wrench = client.hear(WrenchStamped, f"{NODE}/external_wrench", STATE).until(lambda m: bool(m), 60.0)[0]
    joints = client.hear(JointState, f"{NODE}/joint_states", STATE).until(lambda m: bool(m), 60.0)[0]
    assert distance_between(pose_of(tcp.pose), pose_of(sent.pose)) < 1e-6
    assert {twist.header.frame_id, wrench.header.frame_id, joints.header.frame_id} == {"fr3_link0"}
    assert abs(twist.twist.linear.x) < 1e-6
    assert list(joints.name) == [f"fr3_joint{i}" for i in range(1, 8)] + [
        "fr3_finger_joint1",
        "fr3_finger_joint2",
    ]
    assert list(joints.position[:7]) == pytest.approx(RIG.pose("home"))
    assert list(joints.position[7:]) == pytest.approx([0.04, 0.04])


def test_pictures_are_jpegs_with_the_time_of_exposure_and_their_camera_s_intrinsics(
    node: RunningNode, client: RosClient
) -> None:
    base = f"{NODE}/external"
    images = client.hear(CompressedImage, f"{base}/image_raw/compressed", IMAGES)
    infos = client.hear(CameraInfo, f"{base}/camera_info", IMAGES)
    pictures = images.until(lambda m: len(m) >= 10, 60.0)
    info = infos.until(lambda m: bool(m), 60.0)[0]
    stamps = [seconds(picture) for picture in pictures]
    assert all(earlier < later for earlier, later in pairwise(stamps))
    assert (len(stamps) - 1) / (stamps[-1] - stamps[0]) < 33.0, "30 Hz at most"
    assert pictures[0].header.frame_id == info.header.frame_id == "external_optical_frame"
    assert "jpeg" in pictures[0].format
    assert simplejpeg.decode_jpeg(bytes(pictures[0].data)).shape == (480, 640, 3)
    assert (info.width, info.height) == (640, 480)
    assert info.k[4] == pytest.approx(240 / np.tan(0.5 * RIG.camera("external").vertical_field_of_view))


def test_diagnostics_name_everything_once_a_second(node: RunningNode, client: RosClient) -> None:
    heard = client.hear(DiagnosticArray, "/diagnostics", DIAGNOSTICS)
    arrays = heard.until(lambda m: len(m) >= 4, 60.0)
    stamps = [seconds(array) for array in arrays]
    assert 0.5 < (stamps[-1] - stamps[0]) / (len(stamps) - 1) < 5.0
    named = {status.name: status for status in arrays[-1].status}
    assert set(named) == {
        f"robot_bridge: {what}"
        for what in (
            *("bridge", "arm", "control loop", "camera external", "camera wrist"),
            *("policy server", "recording", "ROS graph"),
        )
    }
    assert {status.hardware_id for status in named.values()} == {"mock-arm"}
    assert named["robot_bridge: bridge"].message.startswith("IDLE: ")
    assert named["robot_bridge: ROS graph"].level == DiagnosticStatus.OK, named["robot_bridge: ROS graph"]


def test_who_joins_late_hears_the_mode_at_once(node: RunningNode) -> None:
    with RosClient("late") as late:
        modes = late.hear(String, f"{NODE}/mode", LATCHED).until(lambda m: bool(m), 30.0)
    assert modes[0].data == "IDLE: the bridge has just started"


def test_nothing_is_absolute(node: RunningNode, client: RosClient) -> None:
    names = {name for name, _ in client.node.get_publisher_names_and_types_by_node("robot_bridge", "/")}
    of_every_node = {"/rosout", "/parameter_events", "/diagnostics"}
    assert all(name.startswith(f"{NODE}/") for name in names - of_every_node), names
