"""A two-finger hand that takes a finger's position as a number, as ros2_control's forward controllers do.

Half the width goes out as Float64MultiArray; `*finger_joint1` of a JointState comes back. Such a hand says
nothing of grasping: fingers that stand before they are where they were sent are taken to hold something.
"""

import re
import threading
import time
from collections.abc import Sequence

from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from robot_bridge.devices import GripperState, finger_gap
from robot_bridge.ros.quality import COMMAND, NEWEST
from robot_contract.errors import DeviceFault

_SILENCE = 1.0  # [s] without a state the hand does not answer
_ARRIVED = 0.001  # [m] of the width
_STANDING = 0.3  # [s] without a change of the width
_CHANGE = 0.0002  # [m] of the width that counts as motion
_HELD = 0.003  # [m] that the fingers stand open beyond where they were sent


class PositionHand:
    def __init__(self, node: Node, command_topic: str, state_topic: str, max_width: float) -> None:
        self._max_width = max_width
        self._state_topic = state_topic
        self._guard = threading.Lock()
        self._width: float | None = None  # [m]
        self._heard_at = time.monotonic()
        self._changed_at = float("-inf")  # [s] when the width changed last, or a command went out
        self._target: float | None = None  # [m]
        self._commands = node.create_publisher(Float64MultiArray, command_topic, COMMAND)
        node.create_subscription(JointState, state_topic, self._hear, NEWEST)

    def read(self) -> GripperState:
        with self._guard:
            now = time.monotonic()
            if self._width is None or not now - self._heard_at <= _SILENCE:
                raise DeviceFault(f"the hand is silent: no finger_joint1 on {self._state_topic}")
            gap = 0.0 if self._target is None else self._width - self._target
            is_moving = abs(gap) > _ARRIVED and now - self._changed_at < _STANDING
            return GripperState(
                measured_at=self._heard_at,
                width=finger_gap(self._width),
                is_moving=is_moving,
                is_grasping=gap > _HELD and not is_moving,
            )

    def move(self, width: float) -> None:
        if not 0.0 <= width <= 1.0:
            raise DeviceFault(f"the gripper takes a width of 0 to {self._max_width:g} m, not {width}")
        with self._guard:
            self._target = min(width, self._max_width)
            self._changed_at = time.monotonic()
            self._commands.publish(Float64MultiArray(data=[0.5 * self._target]))

    def recover(self) -> None:
        """Nothing latches here."""

    def close(self) -> None:
        """The node belongs to the arm."""

    def _hear(self, message: JointState) -> None:
        finger = finger_joint(message.name)
        if finger is None or len(message.position) <= finger:
            return  # the arm's own joints, on the same topic
        width = 2.0 * float(message.position[finger])
        if not -0.01 <= width <= 1.0:
            return  # not a width; the hand counts as silent until there is one
        with self._guard:
            self._heard_at = time.monotonic()
            if self._width is None or abs(width - self._width) > _CHANGE:
                self._width, self._changed_at = width, self._heard_at


def finger_joint(names: Sequence[str]) -> int | None:
    """Where the first finger stands in a JointState."""
    return next((i for i, name in enumerate(names) if re.fullmatch(r".*finger_joint1", name)), None)
