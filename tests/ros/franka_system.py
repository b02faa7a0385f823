"""Hand and error recovery as franka_ros2 offers them, without a hand: `hand/move`, `hand/grasp`, `recovery`.

An object of 30 mm lies between the fingers. SIGUSR1 is a reflex, and a recovery takes it away.
"""

import signal
import sys
import threading
import time

import rclpy
from franka_msgs.action import ErrorRecovery, Grasp, Move
from franka_msgs.msg import FrankaRobotState
from rclpy.action import ActionServer
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState

from robot_bridge.ros.quality import NEWEST

OBJECT = 0.03  # [m]


class FrankaSystem(Node):
    def __init__(self) -> None:
        super().__init__("franka_system")
        self.width = 0.08
        self.is_reflex = False
        self.asked: list[str] = []
        ActionServer(self, Move, "hand/move", self.move)
        ActionServer(self, Grasp, "hand/grasp", self.grasp)
        ActionServer(self, ErrorRecovery, "recovery", self.recover)
        self._state = self.create_publisher(FrankaRobotState, "robot_state", NEWEST)
        self._fingers = self.create_publisher(JointState, "hand_states", NEWEST)
        self.create_timer(0.02, self.report)

    def move(self, goal):
        time.sleep(0.3)
        self.width = goal.request.width
        goal.succeed()
        return Move.Result(success=True)

    def grasp(self, goal):
        time.sleep(0.3)
        self.width = OBJECT
        goal.succeed()
        return Grasp.Result(success=abs(goal.request.width - OBJECT) <= goal.request.epsilon.outer)

    def recover(self, goal):
        self.is_reflex = False
        goal.succeed()
        return ErrorRecovery.Result()

    def report(self) -> None:
        state = FrankaRobotState(robot_mode=FrankaRobotState.ROBOT_MODE_MOVE)
        if self.is_reflex:
            state.robot_mode = FrankaRobotState.ROBOT_MODE_REFLEX
            state.last_motion_errors.cartesian_reflex = True
        self._state.publish(state)
        names = ["fr3_finger_joint1", "fr3_finger_joint2"]
        self._fingers.publish(JointState(name=names, position=[self.width / 2, self.width / 2]))


def main() -> None:
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = FrankaSystem()
    signal.signal(signal.SIGUSR1, lambda *_: setattr(node, "is_reflex", True))
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    print("stands", flush=True)
    while not ending.is_set():
        executor.spin_once(timeout_sec=0.05)
    executor.shutdown()
    node.destroy_node()
    rclpy.try_shutdown()
    sys.exit(0)


if __name__ == "__main__":
    main()
