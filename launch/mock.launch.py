"""ros2 launch robot_bridge mock.launch.py: policy server, bridge and console with no hardware at all.

A thin adapter: which processes run stands in robot_bridge/system.py.
"""

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, EmitEvent, ExecuteProcess, OpaqueFunction
from launch.events import Shutdown
from launch.substitutions import LaunchConfiguration

from robot_bridge import system

ARGUMENTS = (
    ("rig", "mock", "Rig without hardware: mock (kinematic arm) or twin (MuJoCo, with cameras)."),
    ("checkpoint", "", "Checkpoint folder to serve; empty: no server is started, policy_server is used."),
    ("policy_server", "127.0.0.1:50051", "Address host:port of the policy server."),
    ("bridge_port", "50052", "Port of the bridge's operator service, on loopback."),
    ("console", "true", "Start the operator console too (true or false)."),
    ("console_port", "8080", "Port of the console, on loopback."),
    ("recordings", "recordings", "Folder for recordings."),
)


def processes(values: dict[str, str]) -> list[system.Process]:
    """The processes that these argument values ask for."""
    if values["rig"] not in ("mock", "twin"):
        raise ValueError(f"rig is {values['rig']!r}, this launch file accepts mock and twin")
    wanted: list[system.Process] = []
    if values["checkpoint"]:
        port = int(values["policy_server"].rsplit(":", 1)[1])
        wanted.append(system.policy_server(checkpoint=Path(values["checkpoint"]), port=port))
    wanted.append(
        system.bridge(
            rig=values["rig"],
            port=int(values["bridge_port"]),
            policy_server=values["policy_server"],
            recordings=Path(values["recordings"]),
        )
    )
    if values["console"] == "true":
        bridge = f"127.0.0.1:{values['bridge_port']}"
        wanted.append(system.console(port=int(values["console_port"]), bridge=bridge))
    return wanted


def start(context: LaunchContext) -> list[ExecuteProcess]:
    values = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    return [
        ExecuteProcess(
            cmd=list(process.command),
            name=process.name,
            output="screen",
            on_exit=[EmitEvent(event=Shutdown(reason=f"{process.name} ended"))],
        )
        for process in processes(values)
    ]


def generate_launch_description() -> LaunchDescription:
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, default, description in ARGUMENTS
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])
