"""What a target asks of the joints, now and at the end of the stop from it: range, speed, singularity, elbow.

The posture is the inverse-kinematics solution next to the last one, its null space tending to the nominal
posture while the tool moves. A joint that is out of its range already may not go farther out.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from robot_bridge import kinematics
from robot_bridge.kinematics import Links
from robot_bridge.safety.braking import Stop
from robot_bridge.safety.envelope import cross
from robot_bridge.safety.limits import SafetyLimits
from robot_bridge.safety.verdict import Reason
from robot_contract.pose import Pose, Vector

_REACHED = 1e-4  # [m, rad] a larger error of the inverse means that the target cannot be reached
_TOLERANCE = 1e-5  # [m, rad] that the inverse stops at
_TENDENCY_GAIN = 1.0  # [1/s] of the null space towards the nominal posture
_TENDENCY_SPEED = 0.15  # [rad/s] at most, and in proportion to the speed of the tool
_SLOWEST = 0.02  # the pace never falls below this share of the profile: the checks themselves halt the arm
_ROUNDING = 1e-9
_STANDING = 1e-6  # [rad, rad/s, m/s]
_HEADROOM = 0.9  # of what is free, so that the pace is met before the limit is

Check = tuple[Reason | None, float]  # what is wrong, and the share of the present speed that is allowed


@dataclass(frozen=True, kw_only=True, eq=False)
class Posture:
    """The joints at one target."""

    joint_position: Vector  # (7,) [rad]
    links: Links
    condition: float  # of the Jacobian


@dataclass(frozen=True, kw_only=True, eq=False)
class Judgement:
    posture: Posture
    reasons: tuple[Reason, ...]  # against it
    slower: tuple[Reason, ...]  # why it should be approached more slowly
    pace: float  # share of the profile's speed at which the joints would be within their limits


def posture_at(joint_position: Vector) -> Posture:
    return _posture(joint_position, kinematics.forward(joint_position))


def _posture(joint_position: Vector, links: Links) -> Posture:
    condition = kinematics.condition_number(links.jacobian())
    return Posture(joint_position=joint_position, links=links, condition=condition)


def next_posture(target: Pose, last: Posture) -> Posture:
    """The solution for a target that is sent whatever the joints say: a stop."""
    found = kinematics.inverse(target, last.joint_position, links=last.links, tolerance=_TOLERANCE)
    return _posture(found.joint_position, found.links)


def judge(
    target: Pose, tcp: Pose, last: Posture, stop: Stop, limits: SafetyLimits, *, effort: float, dt: float
) -> Judgement:
    """Judge a flange pose `dt` seconds after the last; `effort` is the share of the profile's speed used."""
    tendency = None
    if effort > 0:
        most = _TENDENCY_SPEED * dt * min(effort, 1.0)
        wish = (limits.nominal_posture - last.joint_position) * (_TENDENCY_GAIN * dt)
        tendency = np.maximum(np.minimum(wish, most), -most)
    found = kinematics.inverse(
        target, last.joint_position, links=last.links, tendency=tendency, tolerance=_TOLERANCE
    )
    joints, links, inverted = found.joint_position, found.links, found.inverted
    posture = _posture(joints, links)
    rest = joints + inverted @ _twists(stop.linear.way[None], stop.angular.way[None], target, tcp)[0]
    coming = inverted @ _twists(stop.linear.velocity_hull, stop.angular.velocity_hull, target, tcp).T
    rates = np.concatenate([coming, ((joints - last.joint_position) / dt)[:, None]], axis=1)  # (7, 6)

    checks = [
        reach_check(float(np.abs(found.error).max())),
        range_check(joints, rest, last.joint_position, limits),
        speed_check(joints, rest, rates, limits),
        elbow_check(links.elbow_jacobian() @ coming, (links.elbow - last.links.elbow) / dt, limits),
    ]
    room = min(free for _, free in checks)  # share of the present speed that would be allowed
    pace = min(1.0, max(_HEADROOM * room * effort, _SLOWEST)) if effort > 0 else 1.0
    reasons = [reason for reason, _ in checks if reason is not None]

    ahead = kinematics.condition_number(kinematics.jacobian(rest))
    against, slower, calm = singularity_check(ahead, posture.condition, last.condition, limits, effort=effort)
    return Judgement(posture=posture, reasons=(*reasons, *against), slower=slower, pace=min(pace, calm))


def _twists(linear: Vector, angular: Vector, flange: Pose, tcp: Pose) -> Vector:
    """(n, 6) at the flange, of velocities or small ways (n, 3) of the TCP."""
    return np.concatenate([linear + cross(angular, flange.position - tcp.position), angular], axis=1)


def reach_check(error: float) -> Check:
    if error <= _REACHED:
        return None, np.inf
    sentence = f"no posture within {error * 1e3:.2f} mm or mrad of the target"
    return Reason(code="unreachable", sentence=sentence), 0.0


def range_check(joints: Vector, rest: Vector, last: Vector, limits: SafetyLimits) -> Check:
    low, high = limits.joint_low, limits.joint_high
    over = (rest > np.maximum(high, last) + _ROUNDING) | (rest < np.minimum(low, last) - _ROUNDING)
    reason = _joint_reason("joint_range", over, rest, "rad at rest", low, high) if over.any() else None
    way = rest - joints
    room = np.where(way > 0, high - joints, joints - low)
    moving = np.abs(way) > _STANDING
    if not moving.any():
        return reason, np.inf
    return reason, float(np.sqrt(np.maximum(room[moving] / np.abs(way[moving]), 0.0).min()))


def speed_check(joints: Vector, rest: Vector, rates: Vector, limits: SafetyLimits) -> Check:
    allowed = limits.joint_speed_share * limits.arm.joint_speeds(
        np.maximum(joints, rest), np.minimum(joints, rest)
    )
    asked = np.maximum(np.array([rates.max(axis=1), -rates.min(axis=1)]), 0.0)  # up, down
    used = float((asked / np.maximum(allowed, _STANDING)).max())
    over = ~(asked <= allowed + _STANDING)
    if not over.any():
        return None, 1.0 / max(used, _STANDING)
    up, down = np.broadcast_to(allowed, asked.shape)
    largest = np.where(asked[0] > asked[1], asked[0], -asked[1])
    reason = _joint_reason("joint_speed", over[0] | over[1], largest, "rad/s", -down, up)
    return reason, 1.0 / max(used, _STANDING)


def elbow_check(coming: Vector, now: Vector, limits: SafetyLimits) -> Check:
    size = float(np.sqrt(max(float((coming * coming).sum(axis=0).max()), float(now @ now))))
    limit = limits.profile.speed
    free = limit / max(size, _STANDING)
    if size <= limit * (1 + _ROUNDING):
        return None, free
    return Reason(code="elbow_speed", sentence=f"elbow {size:.3f} m/s, limit {limit:g} m/s"), free


def singularity_check(
    ahead: float, now: float, before: float, limits: SafetyLimits, *, effort: float
) -> tuple[list[Reason], tuple[Reason, ...], float]:
    """Condition numbers at the end of the stop, now, and at the last target; away from it all is allowed."""
    if max(ahead, now) <= before * (1 + 1e-6) or ahead <= limits.singularity_slow:
        return [], (), 1.0
    free = (limits.singularity_halt - ahead) / (limits.singularity_halt - limits.singularity_slow)
    pace = max(free, _SLOWEST)
    if not ahead <= limits.singularity_halt:
        sentence = f"condition number {ahead:.1f} ahead, limit {limits.singularity_halt:g}"
        return [Reason(code="singularity", sentence=sentence)], (), pace
    if effort <= pace:
        return [], (), pace
    sentence = f"condition number {ahead:.1f}, slower from {limits.singularity_slow:g}"
    return [], (Reason(code="singularity_slow", sentence=sentence),), pace


def _joint_reason(
    code: str, bad: npt.NDArray[np.bool_], values: Vector, unit: str, low: Vector, high: Vector
) -> Reason:
    joint = int(bad.argmax())
    sentence = (
        f"joint {joint + 1} {values[joint]:.3f} {unit}, accepted is {low[joint]:.3f} to {high[joint]:.3f}"
    )
    return Reason(code=code, sentence=sentence)
