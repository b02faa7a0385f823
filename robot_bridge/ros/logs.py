"""What the bridge's modules log, said through ROS: on the console and on /rosout."""

import logging

from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.node import Node


class RosLogHandler(logging.Handler):
    def __init__(self, logger: RcutilsLogger) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        words = self.format(record)
        if record.levelno >= logging.ERROR:
            self._logger.error(words)
        elif record.levelno >= logging.WARNING:
            self._logger.warning(words)
        elif record.levelno >= logging.INFO:
            self._logger.info(words)
        else:
            self._logger.debug(words)


def send_logs_through(node: Node) -> None:
    """`--ros-args --log-level` decides what is shown."""
    root = logging.getLogger()
    root.addHandler(RosLogHandler(node.get_logger()))
    root.setLevel(node.get_logger().get_effective_level().value)
