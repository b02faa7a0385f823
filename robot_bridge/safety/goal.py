"""Where the pursuit may head for: the proposed target, brought within walls, leash and step."""

from dataclasses import dataclass

import numpy as np

from robot_bridge.safety import envelope
from robot_bridge.safety.limits import SafetyLimits
from robot_bridge.safety.memory import Memory
from robot_bridge.safety.motion import step_between
from robot_bridge.safety.verdict import Reason, RobotState
from robot_contract.pose import Pose, Vector

_FASTEST = 0.95  # of the profile's speed: a target that moves faster is taken to have jumped


@dataclass(frozen=True, kw_only=True, eq=False)
class Goal:
    gap: Vector  # (2, 3) [m, rad] from the last target
    velocity: Vector  # (2, 3) [m/s, rad/s] of the goal
    reasons: tuple[Reason, ...]  # why it is not the proposed target itself


def allowed_goal(
    state: RobotState,
    flange_pose: Pose,
    limits: SafetyLimits,
    memory: Memory,
    tcp: Pose,
    arms: Vector,
    points: Vector,
    *,
    dt: float,
) -> Goal:
    """`tcp`, `points` at the last target; `arms` tool points in the TCP's frame."""
    wanted = flange_pose @ state.flange_from_tcp
    position, reasons = envelope.inside_walls(wanted, arms, limits)
    held = position != wanted.position  # axes on which a wall holds the goal
    goal = Pose(position=position, quaternion=wanted.quaternion)
    gap = step_between(tcp, goal)
    velocity = np.zeros((2, 3))
    if memory.proposed is not None:
        velocity = step_between(memory.proposed @ state.flange_from_tcp, wanted) / dt
        velocity[0, held] = 0.0
        sizes = np.sqrt((velocity * velocity).sum(axis=1)).tolist()
        profile = limits.profile
        if not (sizes[0] <= _FASTEST * profile.speed and sizes[1] <= _FASTEST * profile.angular_speed):
            velocity = np.zeros((2, 3))

    lead = step_between(state.arm.flange_pose @ state.flange_from_tcp, tcp)
    gap, short = _shortened(gap, lead, limits.leash_distance, limits.leash_angle)
    if short:
        velocity = np.zeros((2, 3))
        sentence = (
            f"the target leads the arm by more than {limits.leash_distance:g} m or {limits.leash_angle:g} rad"
        )
        reasons.append(Reason(code="leash", sentence=sentence))
    gap, short = _shortened(gap, np.zeros((2, 3)), limits.step_distance, limits.step_angle)
    if short:
        sentence = f"more than {limits.step_distance:g} m or {limits.step_angle:g} rad at once"
        reasons.append(Reason(code="step", sentence=sentence))
    if limits.keep_out:
        end = tcp.position + gap[0] + envelope.turned(arms, goal)
        share, hits = envelope.free_share(points, end, limits)
        if hits:
            gap, velocity = gap * share, np.zeros((2, 3))
            reasons.extend(hits)
    return Goal(gap=gap, velocity=velocity, reasons=tuple(reasons))


def _shortened(gap: Vector, lead: Vector, distance: float, angle: float) -> tuple[Vector, bool]:
    """Cut the gap so that lead + gap stays within distance [m] and angle [rad]."""
    ends = lead + gap
    sizes = np.sqrt((ends * ends).sum(axis=1))
    limits = np.array([distance, angle])
    if bool((sizes <= limits * (1 + 1e-9)).all()):
        return gap, False
    return ends * np.minimum(limits / np.maximum(sizes, 1e-12), 1.0)[:, None] - lead, True
