"""ros2 launch robot_bridge franka.launch.py robot_ip:=172.16.0.2 rig:=lab.yaml policy_server:=gpu.lab:50051

The robot computer: the bridge as a ROS node, and the operator console. A thin adapter: the arguments and what
they start stand in robot_bridge/launch_arguments.py; `--show-args` prints them. Nothing moves before a person
has armed the bridge, started a trial and holds the key.
"""

from launch import LaunchDescription

from robot_bridge import launch_arguments
from robot_bridge.ros.launch_actions import describe


def generate_launch_description() -> LaunchDescription:
    return describe(launch_arguments.FRANKA, launch_arguments.franka)
