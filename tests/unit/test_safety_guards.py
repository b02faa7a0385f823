"""Every guard of the filter, by what it keeps from happening, and by what happens without it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from robot_bridge import kinematics
from robot_bridge.safety import (
    ARM_TABLES,
    PROFILES,
    Box,
    SafetyLimits,
    Verdict,
    envelope,
    gate,
    goal,
    look_ahead,
)
from robot_bridge.safety import filter as safety_filter
from robot_bridge.safety.limits import NOMINAL_POSTURE
from robot_bridge.safety.motion import Motion
from robot_bridge.safety.recount import used_shares
from robot_bridge.safety.rehearsal import FLANGE_FROM_TCP, Rehearsal
from robot_contract.pose import Pose, angle_between, apply_delta, distance_between

ROOM = Box(name="room", low=np.full(3, -1.2), high=np.full(3, 1.2))
WIDE = SafetyLimits(profile=PROFILES["reduced"], arm=ARM_TABLES["fr3"], workspace=ROOM, table_height=-1.0)
TURNED = np.array([-0.94, -0.23, -0.92, -2.86, -0.17, 1.37, 0.53])  # the elbow moves faster than the hand


def glide(
    run: Rehearsal, velocity: tuple[float, ...], turning: tuple[float, ...] = (0, 0, 0), *, ticks: int = 200
) -> None:
    """A policy that speeds up smoothly to a TCP velocity [m/s] and turning [rad/s], and goes on."""
    tcp = run.sent @ FLANGE_FROM_TCP
    for tick in range(ticks):
        ramp = min(1.0, tick / 60)
        speed = ramp * ramp * (3 - 2 * ramp)
        tcp = apply_delta(tcp, np.array(velocity) * 0.01 * speed, np.array(turning) * 0.01 * speed, "base")
        if distance_between(tcp @ FLANGE_FROM_TCP.inverse(), run.sent) > 0.05:
            tcp = run.sent @ FLANGE_FROM_TCP  # as a chain of deltas is anchored anew at what was sent
        run.tick(tcp @ FLANGE_FROM_TCP.inverse())


def worst(run: Rehearsal, name: str) -> float:
    return used_shares(run)[name]


def a_jump() -> float:
    run = Rehearsal(WIDE)
    target = apply_delta(run.sent, np.array([0.0015, 0, 0]), np.zeros(3), "base")
    for _ in range(60):
        run.tick(target)
    return max(worst(run, name) for name in ("speed", "acceleration", "jerk"))


def tool_point_speed() -> float:
    run = Rehearsal(WIDE)
    glide(run, (0.23, 0, 0), (0, 0, 0.45), ticks=100)
    return worst(run, "point_speed")


def walls_when_the_target_is_lost() -> float:
    run = Rehearsal(replace(WIDE, table_height=0.35))
    glide(run, (0, 0, -0.24), ticks=70)
    while (run.sent @ FLANGE_FROM_TCP).position[2] > 0.365:
        run.tick(apply_delta(run.sent, np.array([0, 0, -0.0024]), np.zeros(3), "base"))
    for _ in range(30):
        run.tick(None)
    return worst(run, "walls")


def keep_out_box() -> float:
    post = Box(name="post", low=np.array([0.5, -0.1, 0.0]), high=np.array([0.6, 0.1, 1.0]))
    run = Rehearsal(replace(WIDE, keep_out=(post,)))
    glide(run, (0.2, 0, 0), ticks=250)
    return worst(run, "walls")


def joint_range() -> float:
    run = Rehearsal(WIDE)
    glide(run, (0, 0, 0), (0, 0, -0.4), ticks=700)
    return float(run.memory.posture.joint_position[6] / WIDE.joint_high[6])


def joint_speed() -> float:
    limits = replace(WIDE, joint_speed_share=0.1)
    run = Rehearsal(limits)
    glide(run, (0, 0.2, 0), ticks=120)
    return worst(run, "joint_speed") / 0.1


def elbow_speed() -> float:
    run = Rehearsal(WIDE, TURNED)
    glide(run, (0.0, 0.14, 0.18), ticks=60)
    return worst(run, "elbow_speed")


def unreachable() -> float:
    run = Rehearsal(replace(WIDE, singularity_halt=60.0, singularity_slow=59.0))
    glide(run, (0.24, 0, 0.05), ticks=500)
    return worst(run, "posture")


def singularity() -> float:
    run = Rehearsal(WIDE)
    glide(run, (0.2, 0, 0), ticks=400)
    condition = max(
        kinematics.condition_number(kinematics.jacobian(tick.target.joint_posture))
        for tick in run.ticks
        if tick.target.joint_posture is not None
    )
    return condition / WIDE.singularity_halt


def leash() -> float:
    """The arm is blocked; what is sent may lead it by the leash."""
    run = Rehearsal(WIDE)
    run.follows = 0.0
    glide(run, (0.1, 0, 0), (0.2, 0, 0), ticks=300)
    tcp = run.sent @ FLANGE_FROM_TCP
    start = run.start @ FLANGE_FROM_TCP
    return max(
        distance_between(tcp, start) / WIDE.leash_distance, angle_between(tcp, start) / WIDE.leash_angle
    )


def broken_target() -> float:
    run = Rehearsal(WIDE)
    broken = Pose(position=np.array([np.nan, 0, 0.5]), quaternion=run.sent.quaternion)
    return 0.0 if run.tick(broken).codes == ("not_finite",) and run.memory.stopped else np.inf


def stale_arm() -> float:
    run = Rehearsal(WIDE)
    verdict = run.tick(apply_delta(run.sent, np.array([1e-5, 0, 0]), np.zeros(3), "base"), age=0.06)
    return 0.0 if verdict.kind == "HOLD" and run.sent == run.start else np.inf


def gross_excess() -> float:
    run = Rehearsal(WIDE)
    verdict = run.tick(apply_delta(run.sent, np.array([0.4, 0, 0]), np.zeros(3), "base"))
    return 0.0 if verdict.kind == "STOP" and verdict.codes == ("gross_excess",) else np.inf


def _no_motion(times: Any, offsets: Any) -> Motion:
    still = np.zeros((2, 3))
    return Motion(velocity=still, acceleration=still, jerk=still, end_velocity=still, end_acceleration=still)


@dataclass(frozen=True, kw_only=True)
class Guard:
    scenario: Callable[[], float]  # above 1: what the guard is against has happened
    owner: Any
    name: str
    without: Callable[..., Any]
    code: str  # of the reason that it gives


def _free(*_: Any) -> tuple[None, float]:
    return None, np.inf


GUARDS = {
    "motion": Guard(
        scenario=a_jump, owner=safety_filter, name="motion_at_end", without=_no_motion, code="acceleration"
    ),
    "tool_point_speed": Guard(
        scenario=tool_point_speed,
        owner=envelope,
        name="too_fast",
        without=lambda *_: [],
        code="tool_point_speed",
    ),
    "walls": Guard(
        scenario=walls_when_the_target_is_lost,
        owner=envelope,
        name="crossed_walls",
        without=lambda *_: [],
        code="table",
    ),
    "keep_out": Guard(
        scenario=keep_out_box,
        owner=envelope,
        name="stays_out",
        without=lambda box, low, *_: np.ones(len(low), dtype=bool),
        code="keep_out",
    ),
    "joint_range": Guard(
        scenario=joint_range, owner=look_ahead, name="range_check", without=_free, code="joint_range"
    ),
    "joint_speed": Guard(
        scenario=joint_speed, owner=look_ahead, name="speed_check", without=_free, code="joint_speed"
    ),
    "elbow_speed": Guard(
        scenario=elbow_speed, owner=look_ahead, name="elbow_check", without=_free, code="elbow_speed"
    ),
    "singularity": Guard(
        scenario=singularity,
        owner=look_ahead,
        name="singularity_check",
        without=lambda *_, **__: ([], (), 1.0),
        code="singularity",
    ),
    "leash": Guard(
        scenario=leash, owner=goal, name="leash_lead", without=lambda *_: np.zeros((2, 3)), code="leash"
    ),
    "finite": Guard(
        scenario=broken_target, owner=gate, name="is_pose", without=lambda _: True, code="not_finite"
    ),
    "age": Guard(
        scenario=stale_arm, owner=gate, name="age_is_good", without=lambda *_, **__: True, code="arm_age"
    ),
    "gross": Guard(
        scenario=gross_excess, owner=gate, name="gross_reason", without=lambda *_: None, code="gross_excess"
    ),
}


@pytest.mark.parametrize("guard", GUARDS.values(), ids=GUARDS.keys())
def test_the_guard_holds(guard: Guard) -> None:
    assert guard.scenario() <= 1.0 + 1e-6


@pytest.mark.parametrize("guard", GUARDS.values(), ids=GUARDS.keys())
@pytest.mark.filterwarnings("ignore:invalid value")
def test_without_the_guard_the_same_scene_goes_wrong(guard: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard.owner, guard.name, guard.without)
    assert not guard.scenario() <= 1.0 + 1e-6


def test_the_verdict_names_the_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[str] = set()
    tick = Rehearsal.tick

    def listened(self: Rehearsal, *args: Any, **kwargs: Any) -> Verdict:
        verdict = tick(self, *args, **kwargs)
        seen.update(verdict.codes)
        return verdict

    monkeypatch.setattr(Rehearsal, "tick", listened)
    for guard in GUARDS.values():
        seen.clear()
        guard.scenario()
        assert guard.code in seen, (guard.code, seen)


def test_a_reason_is_a_code_and_a_sentence() -> None:
    run = Rehearsal(WIDE)
    verdict = run.tick(apply_delta(run.sent, np.array([0.4, 0, 0]), np.zeros(3), "base"))
    assert str(verdict.reasons[0]).startswith("gross_excess: the target is 0.400 m")


def test_what_starts_outside_the_walls_may_come_in_and_not_go_farther_out() -> None:
    run = Rehearsal(replace(WIDE, table_height=0.55))  # the fingers are below it
    for _ in range(40):
        run.tick(apply_delta(run.sent, np.array([0, 0, -0.01]), np.zeros(3), "base"))
    assert run.sent.position[2] >= run.start.position[2] - 1e-9
    for _ in range(200):
        run.tick(apply_delta(run.start, np.array([0, 0, 0.1]), np.zeros(3), "base"))
    assert run.sent.position[2] == pytest.approx(run.start.position[2] + 0.1)


def test_a_joint_that_starts_out_of_range_may_come_back() -> None:
    joints = NOMINAL_POSTURE.copy()
    joints[6] = ARM_TABLES["fr3"].joint_high[6] - 0.02  # inside the margin
    run = Rehearsal(WIDE, joints)
    glide(run, (0, 0, 0), (0, 0, 0.2), ticks=100)  # back
    assert run.memory.posture.joint_position[6] < joints[6] - 0.1
    run = Rehearsal(WIDE, joints)
    glide(run, (0, 0, 0), (0, 0, -0.2), ticks=100)  # farther out
    assert run.memory.posture.joint_position[6] <= joints[6] + 1e-3
