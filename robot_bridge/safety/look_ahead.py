"""What a target asks of the joints, now and at the end of the stop from it: range, speed, singularity, elbow.

The posture is the inverse-kinematics solution next to the last one, its null space tending to the nominal
posture while the tool moves. A joint that is out of its range already may not go farther out.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from robot_bridge import kinematics
from robot_bridge.safety.braking import Stop
from robot_bridge.safety.envelope import cross
from robot_bridge.safety.limits import SafetyLimits
from robot_bridge.safety.verdict import Reason
from robot_contract.pose import Pose, Vector

_REACHED = 1e-4  # [m, rad] a larger error of the inverse means that the target cannot be reached
_TENDENCY_GAIN = 1.0  # [1/s] of the null space towards the nominal posture
_TENDENCY_SPEED = 0.15  # [rad/s] at most, and in proportion to the speed of the tool
_SLOWEST = 0.02  # the pace never falls below this share of the profile: the checks themselves halt the arm
_HEADROOM = 0.9  # of what is free, so that the pace is met before the limit is


@dataclass(frozen=True, kw_only=True, eq=False)
class Posture:
    """The joints at one target."""

    joint_position: Vector  # (7,) [rad]
    elbow: Vector  # (3,) [m]
    condition: float  # of the Jacobian


@dataclass(frozen=True, kw_only=True, eq=False)
class Judgement:
    posture: Posture
    reasons: tuple[Reason, ...]  # against it
    slower: tuple[Reason, ...]  # why it should be approached more slowly
    pace: float  # share of the profile's speed at which the joints would be within their limits


def posture_at(joint_position: Vector) -> Posture:
    links = kinematics.forward(joint_position)
    condition = kinematics.condition_number(links.jacobian())
    return Posture(joint_position=joint_position, elbow=links.elbow, condition=condition)


def next_posture(target: Pose, last: Posture) -> Posture:
    """The solution for a target that is sent whatever the joints say: a stop."""
    found = kinematics.inverse(target, last.joint_position)
    return Posture(
        joint_position=found.joint_position,
        elbow=found.links.elbow,
        condition=kinematics.condition_number(found.jacobian),
    )


def judge(
    target: Pose, tcp: Pose, last: Posture, stop: Stop, limits: SafetyLimits, *, effort: float, dt: float
) -> Judgement:
    """Judge a flange pose `dt` seconds after the last; `effort` is the share of the profile's speed used."""
    tendency = None
    if effort > 0:
        most = _TENDENCY_SPEED * dt * min(effort, 1.0)
        wish = (limits.nominal_posture - last.joint_position) * (_TENDENCY_GAIN * dt)
        tendency = np.maximum(np.minimum(wish, most), -most)
    found = kinematics.inverse(target, last.joint_position, tendency=tendency)
    joints = found.joint_position
    error = float(np.abs(found.error).max())
    condition = kinematics.condition_number(found.jacobian)
    posture = Posture(joint_position=joints, elbow=found.links.elbow, condition=condition)
    reasons: list[Reason] = []
    if not error <= _REACHED:
        reasons.append(Reason(code="unreachable", sentence=f"no posture within {error * 1e3:.2f} mm or mrad"))
    turn = stop.angular.way
    way = stop.linear.way + cross(turn, target.position - tcp.position)
    to_rest = kinematics.pseudo_inverse(found.jacobian) @ np.concatenate([way, turn])
    rest = joints + to_rest
    rates = (joints - last.joint_position) / dt
    ratio = 1.0 / _HEADROOM / max(effort, 1e-9)  # of the present speed, that would be allowed

    low, high = limits.joint_low, limits.joint_high
    over = (rest > np.maximum(high, last.joint_position) + 1e-9) | (
        rest < np.minimum(low, last.joint_position) - 1e-9
    )
    if over.any():
        reasons.append(_joint_reason("joint_range", over, rest, "rad at rest", low, high))
    room = np.where(to_rest > 0, high - joints, joints - low)
    needed = np.abs(to_rest)
    tight = needed > 1e-6
    if tight.any():
        ratio = min(ratio, float(np.sqrt(np.maximum(room[tight] / needed[tight], 0.0).min())))

    share = limits.joint_speed_share
    up = share * limits.arm.joint_speed_up(np.maximum(joints, rest))
    down = share * limits.arm.joint_speed_down(np.minimum(joints, rest))
    allowed = np.where(rates > 0, up, down)
    fast = np.abs(rates) > allowed + 1e-6
    if fast.any():
        reasons.append(_joint_reason("joint_speed", fast, rates, "rad/s", -down, up))
    moving = np.abs(rates) > 1e-6
    if moving.any():
        ratio = min(ratio, float((allowed[moving] / np.abs(rates[moving])).min()))

    offset = posture.elbow - last.elbow
    elbow_speed = float(np.sqrt(offset @ offset)) / dt
    if not elbow_speed <= limits.profile.speed * (1 + 1e-9):
        sentence = f"elbow {elbow_speed:.3f} m/s, limit {limits.profile.speed:g} m/s"
        reasons.append(Reason(code="elbow_speed", sentence=sentence))
    if elbow_speed > 1e-6:
        ratio = min(ratio, limits.profile.speed / elbow_speed)

    slower: tuple[Reason, ...] = ()
    pace = min(1.0, max(_HEADROOM * ratio * effort, _SLOWEST))
    ahead = kinematics.condition_number(kinematics.jacobian(rest))
    worsening = ahead > condition * (1 + 1e-6) or condition > last.condition * (1 + 1e-6)
    if worsening and not ahead <= limits.singularity_halt:
        sentence = f"condition number {ahead:.1f} ahead, limit {limits.singularity_halt:g}"
        reasons.append(Reason(code="singularity", sentence=sentence))
    if worsening and not ahead <= limits.singularity_slow:
        free = (limits.singularity_halt - ahead) / (limits.singularity_halt - limits.singularity_slow)
        pace = min(pace, max(free, _SLOWEST))
        if effort > pace:
            sentence = f"condition number {ahead:.1f}, slower from {limits.singularity_slow:g}"
            slower = (Reason(code="singularity_slow", sentence=sentence),)
    return Judgement(posture=posture, reasons=tuple(reasons), slower=slower, pace=pace)


def _joint_reason(
    code: str, bad: npt.NDArray[np.bool_], values: Vector, unit: str, low: Vector, high: Vector
) -> Reason:
    joint = int(bad.argmax())
    sentence = (
        f"joint {joint + 1} {values[joint]:.3f} {unit}, accepted is {low[joint]:.3f} to {high[joint]:.3f}"
    )
    return Reason(code=code, sentence=sentence)
