"""Every safety parameter changes what is sent: a parameter that nothing reads would fail here.

(A well-known stack puts a time-out into every message that no receiver looks at.)
"""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from robot_bridge.safety import ARM_TABLES, PROFILES, Box, SafetyLimits, ToolPoint
from robot_bridge.safety.limits import FRANKA_HAND_POINTS, NOMINAL_POSTURE, Profile
from robot_bridge.safety.rehearsal import FLANGE_FROM_TCP, Rehearsal
from robot_contract.pose import apply_delta

ROOM = Box(name="room", low=np.full(3, -1.2), high=np.full(3, 1.2))
WIDE = SafetyLimits(profile=PROFILES["reduced"], arm=ARM_TABLES["fr3"], workspace=ROOM, table_height=-1.0)


def jump(run: Rehearsal, way: tuple[float, ...] = (0.05, 0, 0), turn: tuple[float, ...] = (0, 0, 0)) -> None:
    tcp = apply_delta(run.sent @ FLANGE_FROM_TCP, np.array(way), np.array(turn), "base")
    for _ in range(45):
        run.tick(tcp @ FLANGE_FROM_TCP.inverse())


def turn(run: Rehearsal) -> None:
    jump(run, (0, 0, 0), (0, 0, -0.3))


def travel(run: Rehearsal) -> None:
    """A long way, always well ahead of what was sent."""
    for _ in range(100):
        run.tick(apply_delta(run.sent, np.array([0.035, 0, 0.0]), np.zeros(3), "base"))


def down(run: Rehearsal) -> None:
    for _ in range(60):
        run.tick(apply_delta(run.sent, np.array([0, 0, -0.035]), np.zeros(3), "base"))


def wrist(run: Rehearsal) -> None:
    for _ in range(120):
        run.tick(apply_delta(run.sent, np.zeros(3), np.array([0, 0, -0.15]), "base"))


def blocked(run: Rehearsal) -> None:
    run.follows = 0.0
    jump(run, (0.05, 0, 0), (0.2, 0, 0))


def far(run: Rehearsal) -> None:
    jump(run, (0.055, 0, 0), (0.25, 0, 0))


def late(run: Rehearsal) -> None:
    jump(run)
    for _ in range(20):
        run.tick(apply_delta(run.start, np.array([0.02, 0, 0]), np.zeros(3), "base"), dt=0.03)


def stale(run: Rehearsal) -> None:
    for _ in range(20):
        run.tick(apply_delta(run.start, np.array([0.02, 0, 0]), np.zeros(3), "base"), age=0.02)


def sway(run: Rehearsal) -> None:
    for k in range(1, 150):
        way = np.array([0.0, 0.1 * (1 - np.cos(2 * k * 0.01)), 0.0])
        run.tick(apply_delta(run.start, way, np.zeros(3), "base"))


CAMERA = (*FRANKA_HAND_POINTS, ToolPoint(name="camera", position=np.array([0.06, -0.06, 0.1]), radius=0.04))
POST = Box(name="post", low=np.array([0.4, -0.2, 0.0]), high=np.array([0.5, 0.2, 1.0]))
NEAR = Box(name="room", low=ROOM.low, high=np.array([0.4, 1.2, 1.2]))

NEAR_THE_END = np.array([0.0, -np.pi / 4, 0.0, -3 * np.pi / 4, 0.0, np.pi / 2, 2.4])  # of joint 7
FR3 = ARM_TABLES["fr3"]
SMALL_STEPS = {"step_distance": 0.02, "step_angle": 0.1}

# per parameter: the scene, another value, and what the limits are besides
EFFECTS: dict[str, tuple[Callable[[Rehearsal], None], Any, dict[str, Any]]] = {
    "profile": (travel, PROFILES["normal"], {}),
    "arm": (wrist, replace(FR3, joint_high=FR3.joint_high - 0.5), {}),
    "workspace": (travel, NEAR, {}),
    "table_height": (down, 0.4, {}),
    "keep_out": (travel, (POST,), {}),
    "tool_points": (down, CAMERA, {"table_height": 0.4}),
    "step_distance": (far, 0.01, {}),
    "step_angle": (far, 0.05, {}),
    "gross_distance": (far, 0.05, SMALL_STEPS),
    "gross_angle": (far, 0.2, SMALL_STEPS),
    "leash_distance": (blocked, 0.01, {}),
    "leash_angle": (blocked, 0.05, {}),
    "arm_age": (stale, 0.01, {}),
    "late_period": (late, 0.02, {}),
    "joint_margin": (wrist, 0.5, {}),
    "joint_speed_share": (sway, 0.05, {}),
    "singularity_slow": (travel, 2.0, {}),
    "singularity_halt": (travel, 12.0, {"singularity_slow": 8.0}),
    "nominal_posture": (sway, WIDE.nominal_posture + 0.1, {}),
}
PROFILE_EFFECTS: dict[str, Callable[[Rehearsal], None]] = {
    "speed": travel,
    "acceleration": travel,
    "jerk": jump,
    "angular_speed": wrist,
    "angular_acceleration": turn,
    "angular_jerk": turn,
}


def trace(limits: SafetyLimits, scene: Callable[[Rehearsal], None]) -> np.ndarray:
    """Everything that was sent: poses and postures."""
    run = Rehearsal(limits, NEAR_THE_END if scene is wrist else NOMINAL_POSTURE)
    scene(run)
    sent = [tick.target for tick in run.ticks]
    return np.array(
        [
            [*target.flange_pose.position, *target.flange_pose.quaternion, *target.joint_posture]
            for target in sent
            if target.joint_posture is not None
        ]
    )


def difference(a: SafetyLimits, b: SafetyLimits, scene: Callable[[Rehearsal], None]) -> float:
    return float(np.abs(trace(a, scene) - trace(b, scene)).max())


def test_every_parameter_is_in_this_table() -> None:
    assert set(EFFECTS) == {field.name for field in fields(SafetyLimits)}
    assert set(PROFILE_EFFECTS) == {field.name for field in fields(Profile)} - {"name"}


@pytest.mark.parametrize("name", EFFECTS)
def test_the_parameter_changes_what_is_sent(name: str) -> None:
    scene, value, besides = EFFECTS[name]
    base = replace(WIDE, **besides)
    assert difference(base, replace(base, **{name: value}), scene) > 1e-4


@pytest.mark.parametrize("name", PROFILE_EFFECTS)
def test_the_profile_changes_what_is_sent(name: str) -> None:
    slower = replace(PROFILES["reduced"], **{name: getattr(PROFILES["reduced"], name) * 0.5})
    scene = PROFILE_EFFECTS[name]
    assert difference(WIDE, replace(WIDE, profile=slower), scene) > 1e-4


def test_a_stricter_age_ends_the_motion() -> None:
    run = Rehearsal(replace(WIDE, arm_age=0.01))
    stale(run)
    assert run.sent == run.start
    assert {tick.verdict.codes for tick in run.ticks} == {("arm_age",)}


def test_the_arms_table_sets_the_joint_speed() -> None:
    slow = replace(ARM_TABLES["fr3"], joint_speed=ARM_TABLES["fr3"].joint_speed * 0.05)
    assert difference(WIDE, replace(WIDE, arm=slow), sway) > 1e-4
