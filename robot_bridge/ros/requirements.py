"""Says in a sentence what of ROS is missing before it is imported, instead of a loader's message."""

from importlib.util import find_spec

from robot_contract.errors import DeviceFault


def require_ros() -> None:
    if find_spec("rclpy") is None:
        raise DeviceFault(
            "rclpy is not installed here: source ROS 2 Jazzy (. /opt/ros/jazzy/setup.sh) and this workspace"
        )


def require_franka_msgs(what_for: str) -> None:
    if find_spec("franka_msgs") is None:
        raise DeviceFault(f"{what_for}: franka_msgs is not installed here; it comes with franka_ros2")
