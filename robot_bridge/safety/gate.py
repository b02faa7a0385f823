"""The checks that come before any motion: finite, age, gross excess. NaN fails every one of them."""

from math import isfinite

import numpy as np

from robot_bridge.safety.limits import SafetyLimits
from robot_bridge.safety.memory import Memory
from robot_bridge.safety.verdict import Reason, RobotState, Target
from robot_contract.pose import Pose, angle_between, distance_between

_FARTHEST = 100.0  # [m] of a coordinate; what is farther is no place, and its square may overflow
_UNIT = 1e-3  # that a quaternion may miss unit length by
_AHEAD = 0.01  # [s] that a state may be newer than now: it was read within the same tick


def stop_reason(
    state: RobotState,
    proposed: Target | None,
    limits: SafetyLimits,
    memory: Memory,
    *,
    now: float,
    stopping: bool,
) -> Reason | None:
    """Why the arm must stop and stay stopped, or None."""
    if memory.stopped:
        return Reason(code="stopped", sentence="a stop is latched until a person clears it")
    if stopping:
        return Reason(code="stop_requested", sentence="a controlled stop was asked for")
    if state.arm.fault is not None:
        return Reason(code="arm_fault", sentence=f"the arm reports {state.arm.fault}")
    arm = state.arm
    measured = (arm.joint_position, arm.joint_velocity, arm.flange_pose.position, arm.flange_pose.quaternion)
    if not all(isfinite(value) for values in measured for value in values.tolist()):
        return Reason(code="arm_not_finite", sentence="the arm's state holds values that are not finite")
    if not abs(now) < np.inf:
        return Reason(code="clock", sentence=f"the time is {now}")
    if proposed is None:
        return None
    if not is_pose(proposed.flange_pose):
        return Reason(
            code="not_finite",
            sentence="the target is no pose: not finite, beyond all reach, or no unit quaternion",
        )
    if not age_is_good(state, limits, now=now):
        return None  # a HOLD; the excess is judged against a state that is believed
    return gross_reason(proposed.flange_pose, limits, memory)


def gross_reason(pose: Pose, limits: SafetyLimits, memory: Memory) -> Reason | None:
    sent = memory.sent.flange_pose
    distance, angle = distance_between(sent, pose), angle_between(sent, pose)
    if distance <= limits.gross_distance and angle <= limits.gross_angle:
        return None
    sentence = (
        f"the target is {distance:.3f} m and {angle:.2f} rad away, a fault of the policy beyond "
        f"{limits.gross_distance:g} m and {limits.gross_angle:g} rad"
    )
    return Reason(code="gross_excess", sentence=sentence)


def hold_reason(
    state: RobotState, proposed: Target | None, limits: SafetyLimits, *, now: float
) -> Reason | None:
    """Why this tick has no target to follow, or None."""
    if not age_is_good(state, limits, now=now):
        sentence = (
            f"the arm's state is {state.arm_age(now) * 1e3:.0f} ms old, limit {limits.arm_age * 1e3:.0f} ms"
        )
        return Reason(code="arm_age", sentence=sentence)
    if proposed is None:
        return Reason(code="no_target", sentence="there is no valid target")
    return None


def age_is_good(state: RobotState, limits: SafetyLimits, *, now: float) -> bool:
    return -_AHEAD <= state.arm_age(now) <= limits.arm_age


def is_pose(pose: Pose) -> bool:
    """True for a position that can be one, and a finite unit quaternion."""
    if not (
        bool((np.abs(pose.position) <= _FARTHEST).all()) and bool((np.abs(pose.quaternion) <= 2.0).all())
    ):
        return False
    return abs(float(np.sqrt(pose.quaternion @ pose.quaternion)) - 1.0) <= _UNIT
