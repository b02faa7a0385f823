# What is used of rclpy: ROS is not on PyPI, and the type checker runs without it.
from rclpy.context import Context
from rclpy.signals import SignalHandlerOptions

def init(
    *,
    args: list[str] | None = None,
    context: Context | None = None,
    signal_handler_options: SignalHandlerOptions | None = None,
) -> None: ...
def try_shutdown(*, context: Context | None = None) -> None: ...
