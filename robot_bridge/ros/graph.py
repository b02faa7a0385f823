"""What is wrong in the ROS graph around a node: a second node of its name, and peers that cannot hear it.

DDS is silent where two ends of a topic do not fit; these sentences are what it does not say.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy
from rclpy.topic_endpoint_info import TopicEndpointInfo

_UNLIMITED = 1e9  # [s]


@dataclass(frozen=True, kw_only=True)
class Topic:
    """One end of a topic that a node has."""

    name: str  # fully qualified
    type: str  # such as geometry_msgs/msg/PoseStamped
    qos: QoSProfile
    is_published: bool


def graph_problems(node: Node, topics: Sequence[Topic]) -> list[str]:
    problems = _duplicates(node)
    for topic in topics:
        if topic.is_published:
            others = node.get_subscriptions_info_by_topic(topic.name)
        else:
            others = node.get_publishers_info_by_topic(topic.name)
        problems += [problem for other in others if (problem := mismatch(topic, other))]
    return list(dict.fromkeys(problems))


def _duplicates(node: Node) -> list[str]:
    own = node.get_fully_qualified_name()
    names = [f"{space.rstrip('/')}/{name}" for name, space in node.get_node_names_and_namespaces()]
    if names.count(own) < 2:
        return []
    words = f"{names.count(own)} nodes are called {own}: give each its own namespace (-r __ns:=/left)"
    return [f"{words} or name (-r __node:=left_bridge)"]


def mismatch(topic: Topic, other: TopicEndpointInfo) -> str:
    """Why this peer and we do not hear each other; empty when we do."""
    who = f"{other.node_namespace.rstrip('/')}/{other.node_name}"
    what = "listens to" if topic.is_published else "publishes"
    if other.topic_type != topic.type:
        return f"{who} {what} {topic.name} as {other.topic_type}, here it is {topic.type}: nothing arrives"
    offered, wanted = topic.qos, other.qos_profile
    if not topic.is_published:
        offered, wanted = wanted, offered
    words = qos_conflict(offered, wanted)
    return f"{who} {what} {topic.name}, and nothing arrives: {words}" if words else ""


def qos_conflict(offered: QoSProfile, wanted: QoSProfile) -> str:
    """What the listener wants and the publisher does not offer; empty when they fit."""
    found: list[str] = []
    reliable, latched = ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL
    if wanted.reliability == reliable and offered.reliability == ReliabilityPolicy.BEST_EFFORT:
        found.append("it is published best effort and wanted reliable")
    if wanted.durability == latched and offered.durability == DurabilityPolicy.VOLATILE:
        found.append("it is published volatile and wanted transient local")
    deadlines = _seconds(offered.deadline), _seconds(wanted.deadline)
    if deadlines[1] < deadlines[0]:
        found.append(f"a message is wanted every {deadlines[1]:g} s, which the publisher does not offer")
    by_topic = LivelinessPolicy.MANUAL_BY_TOPIC
    if wanted.liveliness == by_topic and offered.liveliness != by_topic:
        found.append("liveliness is wanted by topic and offered automatically")
    return "; ".join(found)


def _seconds(duration: Duration) -> float:
    """Zero is how ROS writes a duration that nobody set."""
    seconds = duration.nanoseconds * 1e-9
    return seconds if 0 < seconds < _UNLIMITED else float("inf")
