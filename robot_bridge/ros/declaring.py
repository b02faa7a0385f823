"""The parameter table as ROS declares it, and what the values mean for the bridge and for the topics."""

from dataclasses import dataclass
from pathlib import Path

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.qos import QoSProfile

from robot_bridge.ros.parameters import PARAMETERS, Parameter, Value
from robot_bridge.ros.quality import stream_quality
from robot_bridge.run_options import RunOptions


@dataclass(frozen=True, kw_only=True)
class TopicSettings:
    state_rate_hz: float
    image_rate_hz: float  # 0: none
    jpeg_quality: int
    publish_tf: bool
    state_quality: QoSProfile
    image_quality: QoSProfile


def declare(node: Node) -> None:
    for parameter in PARAMETERS:
        node.declare_parameter(parameter.name, parameter.default, descriptor(parameter))


def descriptor(parameter: Parameter) -> ParameterDescriptor:
    described = ParameterDescriptor(name=parameter.name, description=parameter.description)
    if parameter.choices:
        accepted = ", ".join(choice or "(empty)" for choice in parameter.choices)
        described.additional_constraints = f"one of {accepted}"
    if parameter.low is not None and parameter.high is not None:
        low, high = parameter.low, parameter.high
        if isinstance(parameter.default, float):
            described.floating_point_range = [FloatingPointRange(from_value=low, to_value=high, step=0.0)]
        else:
            described.integer_range = [IntegerRange(from_value=int(low), to_value=int(high), step=1)]
    return described


def refusal(name: str, value: Value) -> str:
    """Why a word is not one of the accepted ones; empty when it is. Ranges are ROS's own business."""
    for parameter in PARAMETERS:
        if parameter.name == name and parameter.choices and value not in parameter.choices:
            accepted = ", ".join(choice or "(empty)" for choice in parameter.choices)
            return f"{name} is {value!r}, accepted are {accepted}"
    return ""


def values_of(node: Node) -> dict[str, Value]:
    return {parameter.name: node.get_parameter(parameter.name).value for parameter in PARAMETERS}


def run_options(values: dict[str, Value]) -> RunOptions:
    def folder(name: str) -> Path | None:
        return Path(str(values[name])).expanduser() if values[name] else None

    return RunOptions(
        policy_server=str(values["policy_server"]),
        policy_tls=folder("policy_tls_dir"),
        address=str(values["operator_address"]),
        profile=str(values["safety_profile"]),
        robot_ip=str(values["robot_ip"]),
        robot_type=str(values["robot_type"]),
        driver=str(values["driver"]),
        cameras_file=folder("cameras_file"),
        recordings=folder("recordings"),
        record=bool(values["record"]),
        dry_run=bool(values["dry_run"]),
    )


def topic_settings(values: dict[str, Value]) -> TopicSettings:
    return TopicSettings(
        state_rate_hz=float(values["state_rate_hz"]),
        image_rate_hz=float(values["image_rate_hz"]),
        jpeg_quality=int(values["jpeg_quality"]),
        publish_tf=bool(values["publish_tf"]),
        state_quality=stream_quality(str(values["state_reliability"]), int(values["state_depth"])),
        image_quality=stream_quality(str(values["image_reliability"]), int(values["image_depth"])),
    )
