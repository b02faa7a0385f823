"""The safety envelope: one pure function judges every target that may reach an arm."""

from robot_bridge.safety.arm_tables import ARM_TABLES, ArmTable, arm_table
from robot_bridge.safety.filter import filter_action
from robot_bridge.safety.limits import (
    FRANKA_HAND_POINTS,
    PROFILES,
    Box,
    Profile,
    SafetyLimits,
    ToolPoint,
    profile,
    stricter,
)
from robot_bridge.safety.memory import Memory
from robot_bridge.safety.verdict import Reason, RobotState, Target, Verdict

__all__ = [
    "ARM_TABLES",
    "FRANKA_HAND_POINTS",
    "PROFILES",
    "ArmTable",
    "Box",
    "Memory",
    "Profile",
    "Reason",
    "RobotState",
    "SafetyLimits",
    "Target",
    "ToolPoint",
    "Verdict",
    "arm_table",
    "filter_action",
    "profile",
    "stricter",
]
