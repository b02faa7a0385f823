"""From the system's plain data to launch actions; imported by `launch/*.launch.py` only, inside ROS."""

# ROS's own libraries are not on PyPI, and `launch` there is another program.
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

from collections.abc import Callable
from typing import Any

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, EmitEvent, ExecuteProcess, OpaqueFunction
from launch.events import Shutdown
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackagePrefix

from robot_bridge.launch_arguments import Argument, Part, Values
from robot_bridge.ros.parameters import Value
from robot_bridge.system import PACKAGE, RosNode


def describe(arguments: tuple[Argument, ...], parts: Callable[[Values], list[Part]]) -> LaunchDescription:
    def start(context: LaunchContext) -> list[Any]:
        values = {
            argument.name: LaunchConfiguration(argument.name).perform(context) for argument in arguments
        }
        return [action(part) for part in parts(values)]

    return LaunchDescription([*(declare(argument) for argument in arguments), OpaqueFunction(function=start)])


def declare(argument: Argument) -> DeclareLaunchArgument:
    return DeclareLaunchArgument(
        argument.name,
        default_value=argument.default,
        description=argument.description,
        choices=list(argument.choices) or None,
    )


def action(part: Part) -> Any:
    """What ends the bridge ends everything; a console that ended can be started again beside it."""
    if isinstance(part, RosNode):
        return Node(
            package=PACKAGE,
            executable=part.executable,
            name=part.name,
            namespace=part.namespace or None,
            parameters=[{name: as_it_is(value) for name, value in part.parameters.items()}],
            ros_arguments=["--log-level", part.log_level],
            additional_env=dict(part.environment),
            output="screen",
            on_exit=[EmitEvent(event=Shutdown(reason="the bridge ended"))],
        )
    # By its installed executable: that one has the interpreter with the libraries it needs.
    program = PathJoinSubstitution([FindPackagePrefix(PACKAGE), "lib", PACKAGE, part.name])
    return ExecuteProcess(cmd=[program, *part.arguments], name=part.name, output="screen")


def as_it_is(value: Value) -> Any:
    """A word stays a word: launch would read 2026 as a number and off as a truth value."""
    return ParameterValue(value, value_type=str) if isinstance(value, str) else value
