"""`bridge_node`: the bridge as a ROS 2 process, until SIGINT or SIGTERM.

One thread spins; what must not wait for it (control, policy, operators, recorder) has threads of its own.
Ending lets a moving arm decelerate along its path, and then leaves it stopped.
"""

import signal
import sys
import threading

import rclpy
from rclpy.exceptions import InvalidParameterValueException
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.signals import SignalHandlerOptions

from robot_bridge.ros.logs import send_logs_through
from robot_bridge.ros.node import BridgeNode

_NAP = 0.05  # [s] the longest that a signal waits for an idle executor
_SWITCH_INTERVAL = 5e-4  # [s] the control thread must not wait 5 ms for the spinning one


def main(arguments: list[str] | None = None) -> None:
    ending = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ending.set())
    sys.setswitchinterval(_SWITCH_INTERVAL)
    rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    try:
        status = _run(ending)
    finally:
        rclpy.try_shutdown()
    sys.exit(status)


def _run(ending: threading.Event) -> int:
    try:
        node = BridgeNode()
    except InvalidParameterValueException as error:
        sys.stderr.write(f"bridge_node: {error}\n")
        return 2
    send_logs_through(node)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        if node.get_parameter("autostart").value and not _start(node):
            return 2
        while not ending.is_set() and not node.is_finalized:
            executor.spin_once(timeout_sec=_NAP)
            if node.has_failed:
                node.get_logger().fatal(node.has_failed)
                return 1
        return 0
    finally:
        node.release()
        executor.shutdown()
        node.destroy_node()


def _start(node: BridgeNode) -> bool:
    steps = (node.trigger_configure, node.trigger_activate)
    return all(step() == TransitionCallbackReturn.SUCCESS for step in steps)


if __name__ == "__main__":
    main()
