"""Which programs make up a running system, as plain data: read by the demo and by the launch files.

Nothing here starts anything, and nothing but the standard library is needed: `ros2 launch` reads this with
the interpreter of ROS, whose libraries may be older than those of the programs.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from robot_bridge.ros.parameters import EXECUTABLE, NODE_NAME, Value

PACKAGE = "robot_bridge"  # the ROS package; its executables lie in lib/robot_bridge


@dataclass(frozen=True, kw_only=True)
class Process:
    name: str  # the program, as it is installed; also for people and log files
    module: str
    arguments: tuple[str, ...]
    ready_seconds: float  # [s] how long it may take until it answers

    @property
    def command(self) -> tuple[str, ...]:
        """With this interpreter, installed or not."""
        return (sys.executable, "-m", self.module, *self.arguments)


@dataclass(frozen=True, kw_only=True)
class RosNode:
    executable: str
    name: str
    namespace: str = ""  # such as left; empty: the root
    parameters: Mapping[str, Value] = field(default_factory=dict[str, Value])
    environment: Mapping[str, str] = field(default_factory=dict[str, str])  # beside the launcher's own
    log_level: str = "info"


@dataclass(frozen=True, kw_only=True)
class Ports:
    policy: int
    bridge: int
    console: int


def policy_server(*, checkpoint: Path, port: int) -> Process:
    return Process(
        name="policy-server",
        module="policy_server",
        arguments=("serve", "--checkpoints", str(checkpoint), "--address", f"127.0.0.1:{port}"),
        ready_seconds=120.0,
    )


def bridge(*, rig: str, port: int, policy_server: str, recordings: Path) -> Process:
    return Process(
        name="robot-bridge",
        module="robot_bridge",
        arguments=(
            *("run", "--rig", rig, "--address", f"127.0.0.1:{port}"),
            *("--policy-server", policy_server, "--recordings", str(recordings)),
        ),
        ready_seconds=60.0,
    )


def console(*, port: int, bridge: str, tls: str = "") -> Process:
    return Process(
        name="operator-console",
        module="operator_console",
        arguments=(
            *("serve", "--port", str(port), "--bridge", bridge),
            *(("--tls", tls) if tls else ()),
        ),
        ready_seconds=30.0,
    )


def bridge_node(
    *, namespace: str, parameters: Mapping[str, Value], environment: Mapping[str, str], log_level: str
) -> RosNode:
    """The bridge as a ROS node; parameters that are not named have the node's own defaults."""
    return RosNode(
        executable=EXECUTABLE,
        name=NODE_NAME,
        namespace=namespace,
        parameters=parameters,
        environment=environment,
        log_level=log_level,
    )


def ros_command(node: RosNode, executable: Path, parameter_file: Path) -> tuple[str, ...]:
    """What `launch_ros.actions.Node` starts for this node, word by word."""
    return (
        *(str(executable), "--ros-args", "--log-level", node.log_level),
        *("--ros-args", "-r", f"__node:={node.name}"),
        *(("-r", f"__ns:=/{node.namespace.strip('/')}") if node.namespace else ()),
        *("--params-file", str(parameter_file)),
    )


def parameter_file_text(node: RosNode) -> str:
    """The parameter file that it writes for it; JSON is YAML."""
    whom = f"/{node.namespace.strip('/')}/{node.name}" if node.namespace else "/**"
    return json.dumps({whom: {"ros__parameters": dict(node.parameters)}}, indent=2) + "\n"
