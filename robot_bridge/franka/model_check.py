"""Is the arm that answers the one that the rig is for? Read from the model that the arm itself serves."""

import xml.etree.ElementTree as ET

import numpy as np

from robot_bridge.safety.arm_tables import ARM_TABLES, ArmTable

_KNOWN = {"fr3": ("fr3", "fr3_before_5_9"), "panda": ("panda",), "fer": ("panda",)}  # model: its tables
_PUBLISHED = 0.02  # [rad] between the ranges in the maker's model files and in its tables


def model_problem(urdf: str, table: ArmTable) -> str:
    """Why this arm does not fit the rig's limits; empty when it does."""
    try:
        root = ET.fromstring(urdf)
    except ET.ParseError as error:
        return f"its model cannot be read: {error}"
    name = root.get("name", "").lower()
    model = next((known for known in _KNOWN if known in name), "")
    if not model:
        return f"it calls itself {name!r}; expected one of {', '.join(_KNOWN)}"
    if table.name not in _KNOWN[model]:
        return f"it calls itself {model}, and the rig's limits are those of {table.name}"
    ranges = [
        (float(limit.get("lower", "nan")), float(limit.get("upper", "nan")))
        for joint in root.findall("joint")
        if joint.get("type") == "revolute" and (limit := joint.find("limit")) is not None
    ]
    if len(ranges) != 7:
        return f"its model has {len(ranges)} turning joints; expected 7"
    found = np.array(ranges)
    for known in _KNOWN[model]:
        maker = ARM_TABLES[known]  # pyright: ignore[reportArgumentType]
        wanted = np.stack([maker.joint_low, maker.joint_high], axis=1)
        if float(np.abs(found - wanted).max()) <= _PUBLISHED:
            return ""
    return f"its joint ranges {found.round(3).tolist()} are none of those published for {model}"
