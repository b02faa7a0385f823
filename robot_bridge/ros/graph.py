"""What is wrong in the ROS graph around a node: a second node of its name, and peers that cannot hear it.

DDS is silent where two ends of a topic do not fit; these sentences are what it does not say.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rclpy.node import Node
from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible
from rclpy.topic_endpoint_info import TopicEndpointInfo


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
    publisher, subscription = topic.qos, other.qos_profile
    if not topic.is_published:
        publisher, subscription = subscription, publisher
    compatibility, reason = qos_check_compatible(publisher, subscription)
    if compatibility == QoSCompatibility.ERROR:
        return f"{who} {what} {topic.name} with a QoS that does not fit, nothing arrives: {reason.strip()}"
    return ""
