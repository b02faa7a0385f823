"""ros2 launch robot_bridge mock.launch.py: the same system with no hardware at all.

With checkpoint:=FOLDER a policy server runs as well. A thin adapter: see robot_bridge/launch_arguments.py.
"""

from launch import LaunchDescription

from robot_bridge import launch_arguments
from robot_bridge.ros.launch_actions import describe


def generate_launch_description() -> LaunchDescription:
    return describe(launch_arguments.MOCK, launch_arguments.mock)
