"""Profiles, the makers' tables, and which limits are refused."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from robot_bridge.safety import (
    ARM_TABLES,
    PROFILES,
    Box,
    SafetyLimits,
    ToolPoint,
    arm_table,
    profile,
    stricter,
)
from robot_contract.errors import RigError

WORKSPACE = Box(name="workspace", low=np.array([0.1, -0.5, 0.0]), high=np.array([0.8, 0.5, 0.9]))


def limits(**changes: Any) -> SafetyLimits:
    chosen = {
        "profile": PROFILES["reduced"],
        "arm": ARM_TABLES["fr3"],
        "workspace": WORKSPACE,
        "table_height": 0.0,
    }
    return SafetyLimits(**(chosen | changes))


def test_profiles_are_those_of_the_design() -> None:
    reduced, normal = PROFILES["reduced"], PROFILES["normal"]
    assert (reduced.speed, reduced.acceleration, reduced.jerk) == (0.25, 2.0, 40.0)
    assert (reduced.angular_speed, reduced.angular_acceleration, reduced.angular_jerk) == (0.5, 4.0, 80.0)
    assert (normal.speed, normal.angular_speed, normal.acceleration, normal.jerk) == (0.5, 1.0, 4.0, 80.0)
    assert profile("reduced") is reduced
    with pytest.raises(RigError, match="did you mean 'reduced'"):
        profile("reduce")


def test_a_profile_may_only_become_stricter() -> None:
    assert stricter(PROFILES["reduced"], PROFILES["normal"]) is PROFILES["reduced"]
    with pytest.raises(RigError, match="looser than the rig's 'reduced'"):
        stricter(PROFILES["normal"], PROFILES["reduced"])
    with pytest.raises(RigError, match="looser"):  # in a single field
        stricter(replace(PROFILES["reduced"], jerk=41.0), PROFILES["reduced"])
    assert limits(profile=PROFILES["normal"]).with_profile(PROFILES["reduced"]).profile.name == "reduced"
    with pytest.raises(RigError, match="looser"):
        limits().with_profile(PROFILES["normal"])


def test_the_arms_own_report_chooses_the_table() -> None:
    assert arm_table("fr3", "5.9.1").name == "fr3"
    assert arm_table("fr3", "5.10").name == "fr3"
    assert arm_table("fr3", "5.8.2").name == "fr3_before_5_9"
    assert arm_table("fr3").name == "fr3_before_5_9"  # unknown: the narrower one
    assert arm_table("panda").name == arm_table("FER", "4.2").name == "panda"
    with pytest.raises(RigError, match="expected fr3, panda or fer"):
        arm_table("fr4")
    with pytest.raises(RigError, match=r"two numbers such as 5\.9"):
        arm_table("fr3", "new")


def test_tables_are_the_published_ones() -> None:
    new, old, panda = ARM_TABLES["fr3"], ARM_TABLES["fr3_before_5_9"], ARM_TABLES["panda"]
    assert new.joint_high.tolist() == [2.9007, 1.8361, 2.9007, -0.1169, 2.8763, 4.6216, 3.0508]
    assert old.joint_low.tolist() == [-2.7437, -1.7837, -2.9007, -3.0421, -2.8065, 0.5445, -3.0159]
    assert panda.joint_low.tolist() == [-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973]
    assert panda.joint_speed.tolist() == [2.175] * 4 + [2.61] * 3
    assert (new.speed, new.acceleration, new.jerk) == (3.0, 9.0, 4500.0)
    assert (panda.speed, panda.acceleration, panda.jerk) == (1.7, 13.0, 6500.0)
    for table in ARM_TABLES.values():
        assert (table.joint_low < table.joint_high).all()


def test_fr3_joint_speed_falls_towards_the_end_of_the_range() -> None:
    table = ARM_TABLES["fr3"]
    middle = (table.joint_high + table.joint_low) / 2
    near = table.joint_high - 0.1
    np.testing.assert_allclose(table.joint_speed_up(middle)[0], 2.62)
    expected = -0.6599 + np.sqrt(2 * 6.0 * 0.1)  # the formula of the maker, joint 1
    assert table.joint_speed_up(near)[0] == pytest.approx(expected)
    assert table.joint_speed_down(table.joint_low + 0.1)[0] == pytest.approx(expected)
    assert (table.joint_speed_up(table.joint_high + 0.5) == 0).all()
    assert (ARM_TABLES["panda"].joint_speed_up(ARM_TABLES["panda"].joint_high) > 2).all()


@pytest.mark.parametrize("name", ["speed", "acceleration", "jerk", "angular_speed", "angular_acceleration"])
def test_a_profile_above_the_makers_table_less_a_margin_is_refused(name: str) -> None:
    allowed = 0.9 * getattr(ARM_TABLES["fr3"], name)
    assert limits(profile=replace(PROFILES["normal"], **{name: allowed}))
    with pytest.raises(RigError, match=rf"limits\.profile\.{name}: found"):
        limits(profile=replace(PROFILES["normal"], **{name: allowed * 1.01}))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"profile": replace(PROFILES["reduced"], jerk=np.nan)}, "limits.profile.jerk"),
        ({"leash_distance": 0.2}, "limits.leash_distance"),
        ({"leash_angle": np.nan}, "limits.leash_angle"),
        ({"arm_age": 0.5}, "limits.arm_age"),
        ({"late_period": 1.0}, "limits.late_period"),
        ({"step_distance": 0.0}, "limits.step_distance"),
        ({"step_distance": np.nan}, "limits.step_distance"),
        ({"gross_distance": 0.05}, "more than step_distance"),
        ({"gross_angle": np.nan}, "limits.gross_angle"),
        ({"joint_margin": 0.0}, "limits.joint_margin"),
        ({"joint_speed_share": 1.0}, "limits.joint_speed_share"),
        ({"singularity_slow": 40.0}, "less than singularity_halt"),
        ({"singularity_halt": np.inf}, "limits.singularity_halt"),
        ({"table_height": np.nan}, "limits.table_height"),
        ({"table_height": 1.0}, "nothing of it can be reached"),
        ({"workspace": Box(name="w", low=WORKSPACE.high, high=WORKSPACE.low)}, "expected low < high"),
        ({"workspace": Box(name="w", low=np.full(3, np.nan), high=WORKSPACE.low)}, "expected low < high"),
        ({"keep_out": (Box(name="post", low=np.zeros(2), high=np.ones(2)),)}, "limits box 'post'"),
        ({"tool_points": ()}, "at least one point"),
        ({"tool_points": (ToolPoint(name="tip", position=np.array([0, 0, np.nan])),)}, "tool point 'tip'"),
        ({"tool_points": (ToolPoint(name="tip", position=np.zeros(3), radius=-1.0),)}, "radius"),
        ({"nominal_posture": np.zeros(7)}, "inside the joint range"),
    ],
)
def test_bad_limits_are_refused_by_name(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RigError, match=sentence):
        limits(**change)
