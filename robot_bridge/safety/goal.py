"""Where the pursuit may head for: the proposed target, brought within walls, leash and step."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from robot_bridge import kinematics
from robot_bridge.safety import envelope
from robot_bridge.safety.limits import SafetyLimits
from robot_bridge.safety.motion import step_between
from robot_bridge.safety.verdict import Reason, RobotState
from robot_contract.pose import Pose, Vector, quaternion_rotate

_FASTEST = 0.95  # of the profile's speed


@dataclass(frozen=True, kw_only=True, eq=False)
class Goal:
    gap: Vector  # (2, 3) [m, rad] from the last target
    reasons: tuple[Reason, ...]  # why it is not the proposed target itself
    wanted: Pose  # of the TCP, as proposed
    walled: npt.NDArray[np.bool_]  # (3,) axes on which a wall holds the goal
    leashed: bool
    barred: bool  # by a keep-out box


def allowed_goal(
    state: RobotState,
    flange_pose: Pose,
    limits: SafetyLimits,
    tcp: Pose,
    arms: Vector,
    points: Vector,
) -> Goal:
    """`tcp`, `points` at the last target; `arms` tool points in the TCP's frame."""
    wanted = flange_pose @ state.flange_from_tcp
    position, reasons = envelope.inside_walls(wanted, arms, limits)
    goal = Pose(position=position, quaternion=wanted.quaternion)
    gap = step_between(tcp, goal)
    lead = leash_lead(state, tcp)
    gap, leashed = _shortened(gap, lead, limits.leash_distance, limits.leash_angle)
    if leashed:
        sentence = (
            f"the target leads the arm by more than {limits.leash_distance:g} m or {limits.leash_angle:g} rad"
        )
        reasons.append(Reason(code="leash", sentence=sentence))
    gap, short = _shortened(gap, np.zeros((2, 3)), limits.step_distance, limits.step_angle)
    if short:
        sentence = f"more than {limits.step_distance:g} m or {limits.step_angle:g} rad at once"
        reasons.append(Reason(code="step", sentence=sentence))
    barred = False
    if limits.keep_out:
        end = tcp.position + gap[0] + envelope.turned(arms, goal)
        share, hits = envelope.free_share(points, end, limits)
        barred = bool(hits)
        gap = gap * share
        reasons.extend(hits)
    return Goal(
        gap=gap,
        reasons=tuple(reasons),
        wanted=wanted,
        walled=position != wanted.position,
        leashed=leashed,
        barred=barred,
    )


def goal_velocity(
    goal: Goal, state: RobotState, limits: SafetyLimits, before: Pose | None, *, dt: float
) -> Vector:
    """(2, 3) [m/s, rad/s] with which the goal moves on; `before` is the last proposed flange pose."""
    velocity = np.zeros((2, 3))
    if goal.barred:
        return velocity
    if goal.leashed:
        velocity = _measured_velocity(state)
    elif before is not None:
        velocity = step_between(before @ state.flange_from_tcp, goal.wanted) / dt
        velocity[0, goal.walled] = 0.0
    return velocity if _is_followed(velocity, limits) else np.zeros((2, 3))


def leash_lead(state: RobotState, tcp: Pose) -> Vector:
    """(2, 3) how far the last target leads the arm."""
    return step_between(state.arm.flange_pose @ state.flange_from_tcp, tcp)


def _measured_velocity(state: RobotState) -> Vector:
    """(2, 3) of the TCP: the end of the leash moves with the arm, and stands when the arm is blocked."""
    arm = state.arm
    twist = kinematics.jacobian(arm.joint_position) @ arm.joint_velocity
    offset = quaternion_rotate(arm.flange_pose.quaternion, state.flange_from_tcp.position)
    return np.array([twist[:3] + envelope.cross(twist[3:], offset), twist[3:]])


def _is_followed(velocity: Vector, limits: SafetyLimits) -> bool:
    """Whether the profile can keep up with it; what is faster is taken to have jumped, and to stand."""
    linear, angular = np.sqrt((velocity * velocity).sum(axis=1)).tolist()
    profile = limits.profile
    return linear <= _FASTEST * profile.speed and angular <= _FASTEST * profile.angular_speed


def _shortened(gap: Vector, lead: Vector, distance: float, angle: float) -> tuple[Vector, bool]:
    """Cut the gap so that lead + gap stays within distance [m] and angle [rad]."""
    ends = lead + gap
    sizes = np.sqrt((ends * ends).sum(axis=1))
    limits = np.array([distance, angle])
    if bool((sizes <= limits * (1 + 1e-9)).all()):
        return gap, False
    return ends * np.minimum(limits / np.maximum(sizes, 1e-12), 1.0)[:, None] - lead, True
