"""The parameters of `bridge_node` as plain data, for the node, the launch files and the manual. Needs no ROS.

A parameter names a rig, chooses a driver, makes the envelope stricter, or says how topics are published.
None makes anything looser than the rig file.
"""

from dataclasses import dataclass

EXECUTABLE = "bridge_node"
NODE_NAME = "robot_bridge"  # when no __node remapping is given

Value = bool | int | float | str


@dataclass(frozen=True, kw_only=True)
class Parameter:
    name: str
    default: Value
    description: str
    choices: tuple[str, ...] = ()  # of a word; empty: any
    low: float | None = None  # of a number
    high: float | None = None


_RELIABILITIES = ("reliable", "best_effort")

RIG_PARAMETERS = (
    Parameter(
        name="rig",
        default="mock",
        description="A shipped rig's name or the path of a rig file; whatever limits the arm stands there.",
    ),
    Parameter(
        name="driver",
        default="",
        description="A driver instead of the rig's own: mock rehearses the rig without hardware.",
        choices=("", "mock", "twin", "franka", "crisp"),
    ),
    Parameter(
        name="robot_ip",
        default="",
        description="Address of the arm's control for the driver franka, instead of the rig's.",
    ),
    Parameter(
        name="robot_type",
        default="",
        description="What the rig's arm must be; a rig for another one is refused. Empty: not checked.",
        choices=("", "fr3", "fer", "panda"),
    ),
    Parameter(
        name="arm_prefix",
        default="",
        description="Put before the names of frames and joints, such as left_.",
    ),
    Parameter(
        name="cameras_file",
        default="",
        description="A YAML file whose section `cameras` stands in for the rig's.",
    ),
    Parameter(
        name="safety_profile",
        default="",
        description="A safety profile that is stricter than the rig's; a looser one is refused.",
        choices=("", "reduced", "normal"),
    ),
    Parameter(
        name="dry_run",
        default=False,
        description="Compute and record everything, never move the arm or the gripper.",
    ),
)

SERVICE_PARAMETERS = (
    Parameter(
        name="policy_server",
        default="",
        description="host:port of the policy server instead of the rig's.",
    ),
    Parameter(
        name="policy_tls_dir",
        default="",
        description="Folder with certificates of role bridge for the policy server, instead of the rig's.",
    ),
    Parameter(
        name="operator_address",
        default="",
        description="host:port of OperatorService instead of the rig's; off loopback it needs certificates.",
    ),
    Parameter(
        name="record",
        default=True,
        description="Record trials; without, a trial that asks to be recorded is refused.",
    ),
    Parameter(
        name="recordings",
        default="",
        description="Folder for recordings instead of the rig's.",
    ),
    Parameter(
        name="autostart",
        default=True,
        description="Configure and activate at the start; false leaves that to a lifecycle manager.",
    ),
)

TOPIC_PARAMETERS = (
    Parameter(
        name="state_rate_hz",
        default=100.0,
        description="Poses, twist and joint states per second [Hz].",
        low=1.0,
        high=500.0,
    ),
    Parameter(
        name="image_rate_hz",
        default=30.0,
        description="Pictures per second and camera at most [Hz]; 0 publishes none.",
        low=0.0,
        high=60.0,
    ),
    Parameter(
        name="jpeg_quality",
        default=80,
        description="Of published pictures; what the policy sees and what is recorded does not depend on it.",
        low=10,
        high=95,
    ),
    Parameter(
        name="publish_tf",
        default=True,
        description="Broadcast the tool and the calibrated cameras on tf where tf2_msgs is installed.",
    ),
    Parameter(
        name="state_reliability",
        default="reliable",
        description="QoS of poses, twist and joint states.",
        choices=_RELIABILITIES,
    ),
    Parameter(
        name="state_depth",
        default=10,
        description="QoS history of poses, twist and joint states.",
        low=1,
        high=1000,
    ),
    Parameter(
        name="image_reliability",
        default="best_effort",
        description="QoS of pictures and camera infos.",
        choices=_RELIABILITIES,
    ),
    Parameter(
        name="image_depth",
        default=5,
        description="QoS history of pictures and camera infos.",
        low=1,
        high=100,
    ),
)

PARAMETERS = (*RIG_PARAMETERS, *SERVICE_PARAMETERS, *TOPIC_PARAMETERS)


def table_for_people() -> str:
    """The parameters as the manual prints them, in Markdown."""
    lines = ["| parameter | default | |", "|---|---|---|"]
    for parameter in PARAMETERS:
        default = f"`{parameter.default}`" if parameter.default != "" else "empty"
        if isinstance(parameter.default, bool):
            default = f"`{str(parameter.default).lower()}`"
        words = parameter.description
        if parameter.choices:
            words += f" One of {', '.join(f'`{choice}`' for choice in parameter.choices if choice)}."
        if parameter.low is not None:
            words += f" {parameter.low:g} to {parameter.high:g}."
        lines.append(f"| `{parameter.name}` | {default} | {words} |")
    return "\n".join(lines)
