"""Hand and recovery of a franka_ros2 system, by its actions. Imported only where a rig names franka_msgs.

Grasp and Move take up to a second, so their answers are only noted; the newest wish counts. A reflex is named
by the robot's own state and goes away by the error recovery action, when a person clears it.
"""

import threading
import time
from typing import Any

from franka_msgs.action import ErrorRecovery, Grasp, Move
from franka_msgs.msg import FrankaRobotState
from rclpy.action import ActionClient
from rclpy.node import Node
from rclpy.task import Future
from sensor_msgs.msg import JointState

from robot_bridge.devices import GripperState, finger_gap
from robot_bridge.ros.position_hand import finger_joint
from robot_bridge.ros.quality import NEWEST
from robot_contract.errors import DeviceFault

_SILENCE = 1.0  # [s] without a state the hand does not answer
_SPEED = 0.1  # [m/s] of the width
_FORCE = 20.0  # [N]
_GRASP_BELOW = 0.01  # [m] closing to less than this is a grasp, which holds with force
_EPSILON = 0.08  # [m] a grasp of anything counts
_RECOVERY_SECONDS = 4.0  # [s]


class ActionHand:
    """`NAME/move`, `NAME/grasp` and `*finger_joint1` on the state topic."""

    def __init__(self, node: Node, name: str, state_topic: str, max_width: float) -> None:
        self._max_width = max_width
        self._state_topic = state_topic
        self._guard = threading.Lock()
        self._width: float | None = None
        self._heard_at = time.monotonic()
        self._asked: float | None = None  # [m] the last width that was taken
        self._busy = 0  # goals that have not been answered
        self._is_holding = False
        self._fault = ""
        self._move = ActionClient(node, Move, f"{name}/move")
        self._grasp = ActionClient(node, Grasp, f"{name}/grasp")
        node.create_subscription(JointState, state_topic, self._hear, NEWEST)

    def read(self) -> GripperState:
        with self._guard:
            now = time.monotonic()
            if self._width is None or not now - self._heard_at <= _SILENCE:
                raise DeviceFault(f"the hand is silent: no finger_joint1 on {self._state_topic}")
            return GripperState(
                measured_at=self._heard_at,
                width=finger_gap(self._width),
                is_moving=self._busy > 0,
                is_grasping=self._is_holding and not self._busy,
                fault=self._fault or None,
            )

    def move(self, width: float) -> None:
        if not 0.0 <= width <= 1.0:
            raise DeviceFault(f"the gripper takes a width of 0 to {self._max_width:g} m, not {width}")
        width = min(width, self._max_width)
        with self._guard:
            if self._fault:
                raise DeviceFault(f"the gripper refuses to move after {self._fault}; clear it first")
            if width == self._asked:
                return
            self._asked, self._is_holding = width, False
            self._busy += 1
        if width < _GRASP_BELOW:
            goal = Grasp.Goal(width=width, speed=_SPEED, force=_FORCE)
            goal.epsilon.inner = goal.epsilon.outer = _EPSILON
            sent = self._grasp.send_goal_async(goal)
        else:
            sent = self._move.send_goal_async(Move.Goal(width=width, speed=_SPEED))
        sent.add_done_callback(self._sent)

    def recover(self) -> None:
        with self._guard:
            self._fault, self._asked = "", None

    def close(self) -> None:
        """The node belongs to the arm."""

    def _sent(self, sent: Future) -> None:
        goal: Any = sent.result()
        if not goal.accepted:
            with self._guard:
                self._busy -= 1
                self._fault = "the hand's driver refused a command"
            return
        goal.get_result_async().add_done_callback(self._done)

    def _done(self, answered: Future) -> None:
        result: Any = answered.result().result
        with self._guard:
            self._busy -= 1
            if self._busy:
                return  # a newer wish has taken its place
            grasped = isinstance(result, Grasp.Result)
            self._is_holding = grasped and result.success
            if not result.success and not grasped:  # a grasp that finds nothing is no fault
                self._fault = result.error or "the hand did not get where it was sent"

    def _hear(self, message: JointState) -> None:
        finger = finger_joint(message.name)
        if finger is not None and len(message.position) > finger:
            with self._guard:
                self._width, self._heard_at = 2.0 * float(message.position[finger]), time.monotonic()


class FrankaRecovery:
    """The arm's own faults by name, and the action that takes them away."""

    def __init__(self, node: Node, action: str, state_topic: str) -> None:
        self._action = action
        self._client = ActionClient(node, ErrorRecovery, action)
        self._state: FrankaRobotState | None = None
        node.create_subscription(FrankaRobotState, state_topic, self._hear, NEWEST)

    def fault(self) -> str:
        state = self._state
        if state is None:
            return ""
        if state.robot_mode == FrankaRobotState.ROBOT_MODE_USER_STOPPED:
            return "user_stopped"
        if state.robot_mode != FrankaRobotState.ROBOT_MODE_REFLEX:
            return ""
        errors = state.last_motion_errors
        names = [name for name in errors.get_fields_and_field_types() if getattr(errors, name) is True]
        return ", ".join(names) or "reflex"

    def recover(self) -> None:
        """Waits for the answer; the driver's thread spins meanwhile."""
        if not self._client.server_is_ready():
            raise DeviceFault(f"nobody offers {self._action}: the arm cannot be recovered")
        finished = threading.Event()
        outcome: list[bool] = []

        def answered(result: Future) -> None:
            outcome.append(result.result() is not None)
            finished.set()

        def sent(goal_sent: Future) -> None:
            goal: Any = goal_sent.result()
            if goal.accepted:
                goal.get_result_async().add_done_callback(answered)
            else:
                finished.set()

        self._client.send_goal_async(ErrorRecovery.Goal()).add_done_callback(sent)
        if not finished.wait(_RECOVERY_SECONDS) or not outcome:
            raise DeviceFault(f"{self._action} did not recover the arm within {_RECOVERY_SECONDS:g} s")

    def _hear(self, state: FrankaRobotState) -> None:
        self._state = state
