"""The part of a rig file that bounds every motion: profile, walls, tool points, and single limits."""

import dataclasses

import numpy as np

from robot_bridge.rig import ArmRig
from robot_bridge.safety import Box, SafetyLimits, ToolPoint, arm_table, profile
from robot_bridge.scene.lined_yaml import Field
from robot_contract.errors import RigError

_LIMIT_NUMBERS = {  # optional keys of `safety`, each with the range that is worth writing down
    "step_distance": (0.001, 0.2),
    "step_angle": (0.01, 1.0),
    "gross_distance": (0.01, 0.5),
    "gross_angle": (0.01, 1.6),
    "leash_distance": (0.005, 0.1),
    "leash_angle": (0.02, 0.6),
    "arm_age": (0.002, 0.1),
    "joint_margin": (0.02, 0.5),
    "joint_speed_share": (0.05, 0.9),
    "singularity_slow": (1.0, 60.0),
    "singularity_halt": (1.0, 60.0),
}


def read_limits(field: Field, arm: ArmRig) -> SafetyLimits:
    f = field.mapping(["profile", "workspace", "table_height", "keep_out", "tool_points"], [*_LIMIT_NUMBERS])
    try:
        limits = SafetyLimits(
            profile=profile(f["profile"].word()),
            arm=arm_table(arm.model, arm.system_version),
            workspace=_box("workspace", f["workspace"]),
            table_height=f["table_height"].number(-2.0, 2.0),
            keep_out=tuple(_box(name, value) for name, value in f["keep_out"].items()),
            tool_points=tuple(_tool_point(name, value) for name, value in f["tool_points"].items()),
        )
        numbers = {name: f[name].number(*_LIMIT_NUMBERS[name]) for name in _LIMIT_NUMBERS if name in f}
        return dataclasses.replace(limits, **numbers)  # pyright: ignore[reportArgumentType]
    except RigError as error:
        field.refuse(str(error))


def _box(name: str, field: Field) -> Box:
    f = field.mapping(["low", "high"])
    return Box(
        name=name,
        low=np.array(f["low"].numbers(3, -3.0, 3.0)),
        high=np.array(f["high"].numbers(3, -3.0, 3.0)),
    )


def _tool_point(name: str, field: Field) -> ToolPoint:
    f = field.mapping(["position", "radius"])
    return ToolPoint(
        name=name, position=np.array(f["position"].numbers(3, -1.0, 1.0)), radius=f["radius"].number(0.0, 0.5)
    )
