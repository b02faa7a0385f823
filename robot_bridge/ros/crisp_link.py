"""A node of the driver's own with its own thread: the last state of an arm behind ROS topics, and its target.

What arrives is checked here once: names, finiteness, unit quaternions, a stamp that goes on. Instants are
those of arrival on the monotonic clock; the sender's stamps are compared with each other only.
"""

import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import rclpy
from geometry_msgs.msg import PoseStamped
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from robot_bridge.ros.graph import Topic, graph_problems
from robot_bridge.ros.messages import pose_message, pose_of
from robot_bridge.ros.quality import COMMAND, NEWEST
from robot_contract.errors import DeviceFault
from robot_contract.pose import Pose, Vector, read_only

_LISTENER_SECONDS = 2.0  # [s] that a controller may take to be found
_LOOK_PERIOD = 0.5  # [s] between two looks at the graph
_UNIT = 1e-3  # that a quaternion may miss unit length by
_POSE, _JOINTS = "geometry_msgs/msg/PoseStamped", "sensor_msgs/msg/JointState"


@dataclass(frozen=True, kw_only=True)
class ArmTopics:
    target: str
    pose: str
    joints: str
    base_frame: str  # of the target
    model: str  # joints are called [PREFIX_]MODEL_joint1 to 7


@dataclass(frozen=True, kw_only=True, eq=False)
class Joints:
    arrived_at: float  # [s], bridge clock
    position: Vector  # (7,) [rad]
    velocity: Vector  # (7,) [rad/s]


@dataclass(frozen=True, kw_only=True, eq=False)
class HeardPose:
    arrived_at: float  # [s], bridge clock
    pose: Pose


class CrispLink:
    def __init__(self, topics: ArmTopics) -> None:
        self.topics = topics
        self.joints: Joints | None = None
        self.pose: HeardPose | None = None
        self.refusal = ""  # why the newest message was not believed
        self._rivals = ""  # who else commands the arm
        self._graph: tuple[str, ...] | None = (
            None  # what is wrong around the topics; None before a first look
        )
        self._stamps: dict[str, tuple[int, int]] = {}
        self._context = Context()
        rclpy.init(args=[], context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        self.node = Node(
            "robot_bridge_crisp",
            context=self._context,
            namespace=topics.target.rpartition("/")[0] or "/",
            use_global_arguments=False,
            start_parameter_services=False,
        )
        self._target = self.node.create_publisher(PoseStamped, topics.target, COMMAND)
        self.node.create_subscription(PoseStamped, topics.pose, self._hear_pose, NEWEST)
        self.node.create_subscription(JointState, topics.joints, self._hear_joints, NEWEST)
        self._ends = [
            Topic(name=self._resolved(topics.target), type=_POSE, qos=COMMAND, is_published=True),
            Topic(name=self._resolved(topics.pose), type=_POSE, qos=NEWEST, is_published=False),
            Topic(name=self._resolved(topics.joints), type=_JOINTS, qos=NEWEST, is_published=False),
        ]
        self.node.create_timer(_LOOK_PERIOD, self._look_around)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._spin, name="crisp-topics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._ending.set()
        self._thread.join(timeout=5.0)
        self._executor.shutdown()  # never under a thread that spins
        self.node.destroy_node()
        self._context.try_shutdown()

    def _spin(self) -> None:
        while not self._ending.is_set():
            self._executor.spin_once(timeout_sec=0.05)

    def wait_for_arm(self, seconds: float) -> None:
        """Until the arm is heard; a controller that does not listen yet is no reason not to start."""
        until = time.monotonic() + seconds
        while self.joints is None or self.pose is None or self._graph is None:
            if time.monotonic() >= until:
                raise DeviceFault(self.silence(seconds))
            time.sleep(0.01)
        until = time.monotonic() + _LISTENER_SECONDS
        while self.target_problem() and time.monotonic() < until:
            time.sleep(0.01)

    def target_problem(self) -> str:
        """Why no target may be sent; empty when one may."""
        if not self._target.get_subscription_count():
            words = f"nobody hears {self._resolved(self.topics.target)}: is the Cartesian controller active?"
            return "; ".join([words, *(self._graph or ())])
        return self._rivals

    def silence(self, seconds: float) -> str:
        """What is said when nothing has come for so long."""
        now = time.monotonic()
        heard = (
            (self.topics.joints, self.joints.arrived_at if self.joints is not None else None),
            (self.topics.pose, self.pose.arrived_at if self.pose is not None else None),
        )
        silent = [name for name, at in heard if at is None or now - at >= seconds]
        reasons = [self.refusal] if self.refusal else list(self._graph or ())
        return "; ".join([f"nothing usable on {' and '.join(silent)} for {seconds:g} s", *reasons])

    def send(self, target: Pose) -> None:
        stamp = self.node.get_clock().now().to_msg()
        header = Header(frame_id=self.topics.base_frame, stamp=stamp)
        self._target.publish(PoseStamped(header=header, pose=pose_message(target)))

    def _resolved(self, name: str) -> str:
        return self.node.resolve_topic_name(name)

    def _look_around(self) -> None:
        target = self._resolved(self.topics.target)
        senders = self.node.get_publishers_info_by_topic(target)
        names = ", ".join(sorted(f"{info.node_namespace.rstrip('/')}/{info.node_name}" for info in senders))
        self._rivals = (
            f"{len(senders)} nodes publish {target} ({names}): an arm obeys one only"
            if len(senders) > 1
            else ""
        )
        self._graph = tuple(graph_problems(self.node, self._ends))

    def _hear_pose(self, message: PoseStamped) -> None:
        if not self._goes_on(self.topics.pose, message.header):
            return
        pose = pose_of(message.pose)
        norm = float(np.sqrt(pose.quaternion @ pose.quaternion))
        if not (pose.is_finite() and abs(norm - 1.0) <= _UNIT):
            self.refusal = f"{self.topics.pose}: expected a finite pose with a unit quaternion, found {pose}"
            return
        self.pose = HeardPose(
            arrived_at=time.monotonic(), pose=Pose(position=pose.position, quaternion=pose.quaternion / norm)
        )

    def _hear_joints(self, message: JointState) -> None:
        if not self._goes_on(self.topics.joints, message.header):
            return
        try:
            order = arm_joints(message.name, self.topics.model)
            position, velocity = _values(message.position, order), _values(message.velocity, order)
        except ValueError as error:
            self.refusal = f"{self.topics.joints}: {error}"
            return
        self.refusal = ""
        self.joints = Joints(arrived_at=time.monotonic(), position=position, velocity=velocity)

    def _goes_on(self, topic: str, header: Header) -> bool:
        """A sender that repeats one stamp for ever says nothing new; one that sends no stamps is believed."""
        stamp = (header.stamp.sec, header.stamp.nanosec)
        if stamp != (0, 0) and self._stamps.get(topic) == stamp:
            self.refusal = f"{topic} repeats the stamp {stamp[0]}.{stamp[1]:09d}"
            return False
        self._stamps[topic] = stamp
        return True


def arm_joints(names: Sequence[str], model: str) -> list[int]:
    """Where the seven joints of the arm stand in a JointState, in order."""
    order: list[int] = []
    for number in range(1, 8):
        wanted = re.compile(rf"(?:.*_)?{model}_joint{number}")
        found = [i for i, name in enumerate(names) if wanted.fullmatch(name)]
        if len(found) != 1:
            raise ValueError(
                f"expected one joint {model}_joint{number} (a prefix is allowed), found {len(found)}"
                f" in {', '.join(names) or 'no names'}"
            )
        order += found
    return order


def _values(values: Sequence[float], order: list[int]) -> Vector:
    if len(values) <= max(order):
        raise ValueError(f"expected positions and velocities of all joints, found {len(values)} values")
    found = read_only([values[i] for i in order])
    if not np.isfinite(found).all():
        raise ValueError(f"expected finite values, found {found}")
    return found
