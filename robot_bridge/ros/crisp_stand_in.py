"""A crisp controller without an arm: it follows `target_pose` without physics and reports where it is.

`python -m robot_bridge.ros.crisp_stand_in`, for trying out the driver and for tests. Like the real one it
keeps the last target for ever, and obeys nobody while several nodes publish targets.
"""

import signal
import sys
import threading
import time

import numpy as np
import rclpy
from geometry_msgs.msg import PoseStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, Header

from robot_bridge.kinematics import flange_pose, solve
from robot_bridge.ros.frames import names_of
from robot_bridge.ros.messages import pose_message, pose_of
from robot_bridge.ros.quality import COMMAND, NEWEST
from robot_bridge.safety.limits import NOMINAL_POSTURE
from robot_contract.pose import Vector

_LAG = 0.04  # [s] time constant of following, as a soft impedance has it
_FINGER_SPEED = 0.05  # [m/s] of one finger
_OPEN = 0.04  # [m] one finger


class CrispStandIn(Node):
    def __init__(self) -> None:
        super().__init__("crisp_controller")
        rate = float(self.declare_parameter("rate_hz", 100.0).value)
        self._names = names_of("fr3", str(self.declare_parameter("arm_prefix", "").value))
        self._stepped_at = time.monotonic()
        self._joints: Vector = np.array(NOMINAL_POSTURE)
        self._target: Vector = self._joints
        self._finger = self._wanted_finger = _OPEN
        self._pose = self.create_publisher(PoseStamped, "current_pose", NEWEST)
        self._states = self.create_publisher(JointState, "joint_states", NEWEST)
        self._targets = self.create_subscription(PoseStamped, "target_pose", self._follow, COMMAND)
        self.create_subscription(
            Float64MultiArray, "gripper_position_controller/commands", self._close_hand, COMMAND
        )
        self.create_timer(1.0 / rate, self._step)

    def _follow(self, message: PoseStamped) -> None:
        if self.count_publishers("target_pose") > 1:
            self.get_logger().warning("several nodes publish target_pose: none is obeyed", once=True)
            return
        solution = solve(pose_of(message.pose), self._joints)
        if solution is not None:
            self._target = solution

    def _close_hand(self, message: Float64MultiArray) -> None:
        self._wanted_finger = min(max(float(message.data[0]), 0.0), _OPEN)

    def _step(self) -> None:
        before, now = self._joints, time.monotonic()
        elapsed = max(now - self._stepped_at, 1e-6)
        self._stepped_at = now
        self._joints = before + (self._target - before) * (1.0 - float(np.exp(-elapsed / _LAG)))
        reach = _FINGER_SPEED * elapsed
        self._finger += min(max(self._wanted_finger - self._finger, -reach), reach)
        header = Header(frame_id=self._names.base, stamp=self.get_clock().now().to_msg())
        velocity = (self._joints - before) / elapsed
        self._states.publish(
            JointState(
                header=header,
                name=list(self._names.joints),
                position=[*self._joints.tolist(), self._finger, self._finger],
                velocity=[*velocity.tolist(), 0.0, 0.0],
            )
        )
        self._pose.publish(PoseStamped(header=header, pose=pose_message(flange_pose(self._joints))))


def main() -> None:
    ending = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ending.set())
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = CrispStandIn()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    sys.stdout.write(f"{node.get_fully_qualified_name()} stands in for a crisp controller\n")
    sys.stdout.flush()
    while not ending.is_set():
        executor.spin_once(timeout_sec=0.05)
    executor.shutdown()
    node.destroy_node()
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()
