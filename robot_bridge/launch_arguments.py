"""The arguments of the launch files as plain data, and which programs their values ask for.

The launch files are thin adapters around this. An argument names a rig, a driver or a stricter profile;
none makes anything looser than the rig file, whatever is written here: the node refuses it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from robot_bridge import system
from robot_bridge.ros.dds_profile import environment
from robot_bridge.ros.parameters import PARAMETERS, Value
from robot_bridge.system import Process, RosNode

Values = Mapping[str, str]  # as `ros2 launch` has them
Part = Process | RosNode

BRIDGE_ADDRESS = "127.0.0.1:50052"  # OperatorService of the shipped rigs
_FLAGS = ("true", "false")
_MOCK_FLAGS = ("use_mock", "use_fake_hardware", "use_mock_hardware")


@dataclass(frozen=True, kw_only=True)
class Argument:
    name: str
    default: str
    description: str
    choices: tuple[str, ...] = ()  # empty: any


def _flag(name: str, default: str, description: str) -> Argument:
    return Argument(name=name, default=default, description=description, choices=_FLAGS)


def _as_parameter(name: str, default: str | None = None) -> Argument:
    """An argument that is passed on as the node's parameter of the same name."""
    parameter = next(parameter for parameter in PARAMETERS if parameter.name == name)
    own = str(parameter.default).lower() if isinstance(parameter.default, bool) else str(parameter.default)
    choices = _FLAGS if isinstance(parameter.default, bool) else parameter.choices
    return Argument(
        name=name,
        default=own if default is None else default,
        description=parameter.description,
        choices=choices,
    )


_COMMON = (
    _as_parameter("dry_run"),
    _as_parameter("record"),
    _as_parameter("recordings"),
    _as_parameter("safety_profile"),
    Argument(
        name="namespace",
        default="",
        description="ROS namespace of the node, such as left; two arms on one host need two.",
    ),
    _as_parameter("arm_prefix"),
    Argument(
        name="operator_address",
        default="",
        description=f"host:port of the bridge's operator service; empty: the rig's, {BRIDGE_ADDRESS} for the"
        " console.",
    ),
    _flag("console", "true", "Start the operator console on this machine too; its link is printed."),
    Argument(name="console_port", default="8080", description="Port of the console's page, on loopback."),
    Argument(
        name="dds_profile",
        default="network",
        description="Fast DDS profile with room for pictures: for a network or for one_machine; own: as the"
        " environment says.",
        choices=("network", "one_machine", "own"),
    ),
    Argument(
        name="log_level",
        default="info",
        description="How much the node logs.",
        choices=("debug", "info", "warn", "error", "fatal"),
    ),
)

FRANKA = (
    _as_parameter("robot_ip"),
    _as_parameter("robot_type"),
    _as_parameter("rig", "franka"),
    _as_parameter("driver"),
    _flag(
        "use_mock", "false", "Rehearse without hardware: mock arm, gripper and cameras; limits and key stay."
    ),
    _flag("use_fake_hardware", "false", "The same as use_mock, under the name that franka_ros2 has for it."),
    _flag("use_mock_hardware", "false", "The same as use_mock, under the name that ros2_control has for it."),
    _as_parameter("policy_server"),
    _as_parameter("policy_tls_dir"),
    _as_parameter("cameras_file"),
    *_COMMON,
    Argument(
        name="console_tls_dir",
        default="",
        description="Folder with ca.pem, console.pem and console.key, where operator_address has TLS.",
    ),
)

MOCK = (
    Argument(
        name="rig",
        default="mock",
        description="A rig without hardware: mock (kinematic arm) or twin (MuJoCo, with pictures).",
        choices=("mock", "twin"),
    ),
    Argument(
        name="checkpoint",
        default="",
        description="Checkpoint folder to serve on this machine; empty: a server that runs already is asked.",
    ),
    _as_parameter("policy_server", "127.0.0.1:50051"),
    *_COMMON,
)


def franka(values: Values) -> list[Part]:
    """The bridge node for a real arm, and the console."""
    _check(values, FRANKA)
    wants_mock = [name for name in _MOCK_FLAGS if values[name] == "true"]
    if wants_mock and values["driver"] not in ("", "mock"):
        raise ValueError(f"driver is {values['driver']!r} and {wants_mock[0]} is true; give one of the two")
    changed = {**values, "driver": "mock"} if wants_mock else values
    return _bridge_and_console(changed, FRANKA, tls=values["console_tls_dir"])


def mock(values: Values) -> list[Part]:
    """The same system with no hardware at all, and a policy server where there is a checkpoint for one."""
    _check(values, MOCK)
    server: list[Part] = []
    if values["checkpoint"]:
        port = _port("policy_server", values["policy_server"].rpartition(":")[2])
        server = [system.policy_server(checkpoint=Path(values["checkpoint"]), port=port)]
    return server + _bridge_and_console(values, MOCK)


def _bridge_and_console(values: Values, arguments: tuple[Argument, ...], tls: str = "") -> list[Part]:
    parts: list[Part] = [
        system.bridge_node(
            namespace=values["namespace"],
            parameters=_parameters(values, arguments),
            environment=_dds_environment(values["dds_profile"]),
            log_level=values["log_level"],
        )
    ]
    if values["console"] == "true":
        port = _port("console_port", values["console_port"])
        parts.append(system.console(port=port, bridge=values["operator_address"] or BRIDGE_ADDRESS, tls=tls))
    return parts


def _parameters(values: Values, arguments: tuple[Argument, ...]) -> dict[str, Value]:
    """The rig, and of the other arguments that are parameters of the node those that change something."""
    named = {argument.name for argument in arguments}
    chosen: dict[str, Value] = {}
    for parameter in PARAMETERS:
        if parameter.name in named:
            text = values[parameter.name]
            value = text == "true" if isinstance(parameter.default, bool) else text
            if value != parameter.default or parameter.name == "rig":
                chosen[parameter.name] = value
    return chosen


def _dds_environment(profile: str) -> dict[str, str]:
    return {} if profile == "own" else environment(one_machine=profile == "one_machine")


def _check(values: Values, arguments: tuple[Argument, ...]) -> None:
    for argument in arguments:
        value = values[argument.name]
        if argument.choices and value not in argument.choices:
            accepted = ", ".join(choice or "nothing" for choice in argument.choices)
            raise ValueError(f"{argument.name} is {value!r}; accepted are {accepted}")


def _port(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise ValueError(f"{name} has the port {text!r}; expected a number from 1 to 65535")
    return int(text)


def table_for_people(arguments: tuple[Argument, ...]) -> str:
    """As it stands in the manual."""
    lines = ["| argument | default | what it does |", "|---|---|---|"]
    for argument in arguments:
        default = f"`{argument.default}`" if argument.default else "–"
        lines.append(f"| `{argument.name}` | {default} | {argument.description} |")
    return "\n".join(lines) + "\n"
