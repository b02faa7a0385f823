"""Everything that the node publishes of its bridge, from one snapshot of the loop at a time.

Publishers are managed: in the lifecycle's inactive state they are silent. Pictures are encoded only while
somebody listens, and no picture or state goes out twice.
"""

import importlib.util
from dataclasses import dataclass
from typing import Any

from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseStamped, TwistStamped, WrenchStamped
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.qos import QoSProfile
from rclpy.time import Time as RosTime
from sensor_msgs.msg import CameraInfo, CompressedImage, JointState
from std_msgs.msg import String

from robot_bridge.bridge import Bridge
from robot_bridge.loop import Snapshot
from robot_bridge.rig import CameraRig
from robot_bridge.ros import messages
from robot_bridge.ros.declaring import TopicSettings
from robot_bridge.ros.frames import Names
from robot_bridge.ros.graph import Topic
from robot_bridge.ros.quality import LATCHED

HAS_TF = importlib.util.find_spec("tf2_msgs") is not None
_EARLY = 0.7  # of a period: a picture that comes a little early still counts as the next one


@dataclass(kw_only=True, eq=False)
class _CameraTopics:
    camera: CameraRig
    image: LifecyclePublisher
    info: LifecyclePublisher
    sequence: int = -1  # of the newest picture that went out
    exposed_at: float = float("-inf")  # [s], bridge clock


class Topics:
    """The publishers of one bridge; `close` takes them away again."""

    def __init__(self, node: LifecycleNode, bridge: Bridge, names: Names, settings: TopicSettings) -> None:
        self._node = node
        self._bridge = bridge
        self._names = names
        self.settings = settings
        self.ends: list[Topic] = []
        self._publishers: list[LifecyclePublisher] = []
        self._newest = float("-inf")  # [s] of the newest state that went out
        self._told = ("", "")  # the mode that was published last
        state, image = settings.state_quality, settings.image_quality
        self._tcp = self._publisher(PoseStamped, "~/tcp_pose", state)
        self._sent = self._publisher(PoseStamped, "~/sent_pose", state)
        self._twist = self._publisher(TwistStamped, "~/tcp_twist", state)
        self._wrench = self._publisher(WrenchStamped, "~/external_wrench", state)
        self._joints = self._publisher(JointState, "~/joint_states", state)
        self._mode = self._publisher(String, "~/mode", LATCHED)
        self._cameras = [
            _CameraTopics(
                camera=camera,
                image=self._publisher(CompressedImage, f"~/{camera.name}/image_raw/compressed", image),
                info=self._publisher(CameraInfo, f"~/{camera.name}/camera_info", image),
            )
            for camera in bridge.rig.cameras
            if settings.image_rate_hz > 0
        ]
        if HAS_TF and settings.publish_tf:
            from robot_bridge.ros import transforms

            self._transforms = transforms
            self._tf = self._publisher(transforms.MESSAGE, "tf", state)
            self._tf_static = self._publisher(transforms.MESSAGE, "tf_static", LATCHED)
        else:
            self._transforms = None

    def close(self) -> None:
        for publisher in self._publishers:
            self._node.destroy_lifecycle_publisher(publisher)

    def begin(self) -> None:
        """On activation: what late joiners find."""
        self._told = ("", "")
        self._tell_mode(self._bridge.snapshot())
        if self._transforms is not None:
            stamp = self._node.get_clock().now().to_msg()
            cameras = self._bridge.rig.cameras
            self._tf_static.publish(self._transforms.camera_transforms(cameras, self._names, stamp))

    def publish_state(self) -> None:
        snapshot = self._bridge.snapshot()
        self._tell_mode(snapshot)
        arm = snapshot.sensed.arm
        if arm.measured_at == self._newest:
            return
        self._newest = arm.measured_at
        base, stamp = self._names.base, self._stamp(arm.measured_at)
        flange_from_tcp = self._bridge.rig.flange_from_tcp
        tcp, sent = arm.flange_pose @ flange_from_tcp, arm.commanded_flange_pose @ flange_from_tcp
        self._tcp.publish(messages.pose_stamped(tcp, base, stamp))
        self._sent.publish(messages.pose_stamped(sent, base, stamp))
        self._twist.publish(messages.twist_stamped(arm, flange_from_tcp.position, base, stamp))
        self._wrench.publish(messages.wrench_stamped(arm, base, stamp))
        self._joints.publish(messages.joint_state(arm, snapshot.sensed.gripper, self._names, stamp))
        if self._transforms is not None:
            self._tf.publish(self._transforms.tool_transform(tcp, self._names, stamp))

    def publish_pictures(self) -> None:
        frames = self._bridge.snapshot().sensed.frames
        for topics in self._cameras:
            name, frame = topics.camera.name, frames.get(topics.camera.name)
            if frame is None or frame.sequence == topics.sequence:
                continue
            if frame.exposed_at - topics.exposed_at < _EARLY / self.settings.image_rate_hz:
                continue
            topics.sequence, topics.exposed_at = frame.sequence, frame.exposed_at
            frame_id, stamp = self._names.camera(name), self._stamp(frame.exposed_at)
            if topics.image.get_subscription_count():
                quality = self.settings.jpeg_quality
                topics.image.publish(messages.compressed_image(frame, frame_id, stamp, quality))
            if topics.info.get_subscription_count():
                topics.info.publish(messages.camera_info(topics.camera, frame_id, stamp))

    def _tell_mode(self, snapshot: Snapshot) -> None:
        now = (snapshot.modes.mode, snapshot.modes.why)
        if now != self._told:
            self._told = now
            self._mode.publish(String(data=f"{now[0]}: {now[1]}"))

    def _publisher(self, kind: type[Any], name: str, quality: QoSProfile) -> LifecyclePublisher:
        publisher = self._node.create_lifecycle_publisher(kind, name, quality)
        self._publishers.append(publisher)
        self.ends.append(
            Topic(name=publisher.topic_name, type=message_name(kind), qos=quality, is_published=True)
        )
        return publisher

    def _stamp(self, at: float) -> Time:
        """ROS time of an instant on the bridge's clock."""
        age = self._bridge.devices.clock.now() - at
        now = self._node.get_clock().now().nanoseconds
        return RosTime(nanoseconds=max(now - round(age * 1e9), 0)).to_msg()


def message_name(kind: type[Any]) -> str:
    """Such as geometry_msgs/msg/PoseStamped."""
    package, folder = kind.__module__.split(".")[:2]
    return f"{package}/{folder}/{kind.__name__}"
