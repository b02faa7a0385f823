"""What DDS itself never says: ends of a topic that do not fit, somebody who came late, two nodes of one name.

Each is said within 5 s, in diagnostics and in the log; bounds here allow for a machine with no core to spare.
"""

import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "ros"))
os.environ["ROS_DOMAIN_ID"] = str(os.getpid() % 100)  # nobody else's
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from ros_client import Heard, RosClient
from running_node import RunningNode
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import String

from robot_bridge.ros.quality import DIAGNOSTICS, LATCHED, stream_quality

PROMISE = 5.0  # [s]
PATIENCE = 60.0  # [s]
NODE = "/robot_bridge"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    with RunningNode(
        tmp_path_factory.mktemp("node"), {"rig": "mock", "image_reliability": "best_effort"}
    ) as node:
        assert node.address()
        yield node


@pytest.fixture
def client(node: RunningNode) -> Iterator[RosClient]:
    del node
    with RosClient("listener") as client:
        yield client


def graph(arrays: list[DiagnosticArray]) -> DiagnosticStatus | None:
    found = [status for array in arrays for status in array.status if status.name.endswith("ROS graph")]
    return found[-1] if found else None


def expect_warning(heard: Heard[DiagnosticArray], node: RunningNode, words: str) -> None:
    """In diagnostics and in the log; one look a second, and a few for the graph to hear of it."""
    begun = len(heard.messages)
    arrays = heard.until(lambda arrays: words in said(arrays), PATIENCE)
    assert len(arrays) - begun <= PROMISE + 5.0, "so many looks without a word"
    status = graph(arrays)
    assert status is not None
    assert status.level == DiagnosticStatus.WARN
    node.logged(re.escape(words), PATIENCE)


def said(arrays: list[DiagnosticArray]) -> str:
    status = graph(arrays)
    return status.message if status is not None else ""


def test_fault_18_who_cannot_hear_is_named(node: RunningNode, client: RosClient) -> None:
    heard = client.hear(DiagnosticArray, "/diagnostics", DIAGNOSTICS)
    heard.until(lambda arrays: said(arrays).startswith("one node of this name"), PATIENCE)
    topic = f"{NODE}/external/image_raw/compressed"
    pictures = client.hear(CompressedImage, topic, stream_quality("reliable", 5))
    heard.forget()
    words = "and nothing arrives: it is published best effort and wanted reliable"
    expect_warning(heard, node, f"/listener listens to {topic}, {words}")
    assert not pictures.messages


def test_fault_18_another_type_on_our_topic_is_named(node: RunningNode, client: RosClient) -> None:
    heard = client.hear(DiagnosticArray, "/diagnostics", DIAGNOSTICS)
    client.hear(String, f"{NODE}/tcp_pose", stream_quality("best_effort", 5))
    expect_warning(heard, node, f"/listener listens to {NODE}/tcp_pose as std_msgs/msg/String")


def test_fault_18_a_warning_goes_when_its_cause_goes(node: RunningNode) -> None:
    with RosClient("passing") as passing:
        heard = passing.hear(DiagnosticArray, "/diagnostics", DIAGNOSTICS)
        passing.hear(PoseStamped, f"{NODE}/tcp_pose", LATCHED)
        expect_warning(heard, node, "published volatile and wanted transient local")
    with RosClient("later") as later:
        heard = later.hear(DiagnosticArray, "/diagnostics", DIAGNOSTICS)
        heard.until(lambda arrays: bool(arrays) and "transient" not in said(arrays), PATIENCE)


def test_fault_18_who_comes_late_hears_the_mode(node: RunningNode, client: RosClient) -> None:
    began = time.monotonic()
    modes = client.hear(String, f"{NODE}/mode", LATCHED).until(lambda m: bool(m), PATIENCE)
    assert modes[0].data.startswith("IDLE"), f"after {time.monotonic() - began:.1f} s"


def test_fault_18_two_nodes_of_one_name_are_told_apart(
    node: RunningNode, client: RosClient, tmp_path: Path
) -> None:
    heard = client.hear(DiagnosticArray, "/diagnostics", DIAGNOSTICS)
    with RunningNode(tmp_path, {"rig": "mock", "autostart": False}) as second:
        second.logged("2 nodes are called", 120.0)  # when it has been imported and looks around
        heard.forget()
        expect_warning(heard, node, f"2 nodes are called {NODE}: give each its own namespace")
