"""Walls and speeds of the tool: is every tool point within them on the whole way to rest?

A state is allowed only if the stop from it stays inside; that is v <= sqrt(2 a d), jerk included, for the
workspace, the table and the keep-out boxes, rotation included. A point that is outside already may not go
farther out.
"""

import numpy as np
import numpy.typing as npt

from robot_bridge.safety.braking import Stop
from robot_bridge.safety.limits import Box, SafetyLimits
from robot_bridge.safety.verdict import Reason
from robot_contract.pose import Pose, Vector, matrix_from_quaternion

Flags = npt.NDArray[np.bool_]

_ROUNDING = 1e-9  # [m]


def point_arms(limits: SafetyLimits, flange_from_tcp: Pose) -> Vector:
    """(n, 3) tool points in the TCP's frame."""
    rotation = matrix_from_quaternion(flange_from_tcp.quaternion)
    return (limits.point_positions - flange_from_tcp.position) @ rotation


def turned(arms: Vector, tcp: Pose) -> Vector:
    """(n, 3) offsets of the tool points from the TCP, base frame."""
    return arms @ matrix_from_quaternion(tcp.quaternion).T


def cross(a: Vector, b: Vector) -> Vector:
    """Cross products of the last axes; np.cross takes longer for so few."""
    out = np.empty(np.broadcast_shapes(a.shape, b.shape))
    out[..., 0] = a[..., 1] * b[..., 2] - a[..., 2] * b[..., 1]
    out[..., 1] = a[..., 2] * b[..., 0] - a[..., 0] * b[..., 2]
    out[..., 2] = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    return out


def too_fast(stop: Stop, arms: Vector, limits: SafetyLimits) -> list[Reason]:
    """Reasons against the speeds of the TCP and the tool points, now and on the way to rest.

    `arms` (n, 3) are the offsets of the tool points from the TCP in the base frame.
    """
    reasons: list[Reason] = []
    linear, angular = stop.linear.velocity_hull, stop.angular.velocity_hull
    profile = limits.profile
    fastest, turning = _largest(linear), _largest(angular)
    if not fastest <= profile.speed * (1 + _ROUNDING):
        reasons.append(Reason(code="speed", sentence=f"TCP {fastest:.3f} m/s, limit {profile.speed:g} m/s"))
    if not turning <= profile.angular_speed * (1 + _ROUNDING):
        sentence = f"tool {turning:.3f} rad/s, limit {profile.angular_speed:g} rad/s"
        reasons.append(Reason(code="angular_speed", sentence=sentence))
    reach = _largest(arms)
    if turning > 0 and not fastest + turning * reach <= profile.speed:
        points = linear[:, None, None] + swings(angular, arms)
        squares = (points * points).sum(axis=3).max(axis=(0, 1))
        worst = int(squares.argmax())
        size = float(np.sqrt(squares[worst]))
        if not size <= profile.speed * (1 + _ROUNDING):
            name = limits.tool_points[worst].name
            sentence = f"{name} {size:.3f} m/s, limit {profile.speed:g} m/s"
            reasons.append(Reason(code="tool_point_speed", sentence=sentence))
    return reasons


def swings(angular: Vector, arms: Vector) -> Vector:
    """(m, n, 3) what m rotations or angular velocities (m, 3) do to n arms (n, 3): their cross products."""
    x, y, z = arms.T
    matrix = np.zeros((3, len(arms), 3))
    matrix[0, :, 1], matrix[0, :, 2] = -z, y
    matrix[1, :, 0], matrix[1, :, 2] = z, -x
    matrix[2, :, 0], matrix[2, :, 1] = -y, x
    return (angular @ matrix.reshape(3, -1)).reshape(-1, len(arms), 3)


def _largest(vectors: Vector) -> float:
    return float(np.sqrt((vectors * vectors).sum(axis=1).max()))


def crossed_walls(
    position: Vector, arms: Vector, before: Vector, stop: Stop, limits: SafetyLimits
) -> list[Reason]:
    """Reasons against a TCP at `position` with this stop ahead; `before` (n, 3) is where the points were."""
    linear, angular = stop.linear.hull, stop.angular.hull
    swing = swings(angular, arms)
    largest = float((angular * angular).sum(axis=1).max())  # [rad^2]
    bend = 0.5 * largest * np.sqrt((arms * arms).sum(axis=1))  # [m] that the swing differs from its tangent
    points, ball = position + arms, (limits.point_radii + bend)[:, None]
    high = points + linear.max(axis=0) + swing.max(axis=0) + ball
    low = points + linear.min(axis=0) + swing.min(axis=0) - ball
    if not limits.keep_out and _is_inside(low, high, limits):
        return []  # the rest is for points that are outside, or would be
    radii = limits.point_radii[:, None]
    reasons: list[Reason] = []
    over = (high > np.maximum(limits.workspace.high, before + radii) + _ROUNDING) | (
        low < np.minimum(limits.workspace.low, before - radii) - _ROUNDING
    )
    if over.any():
        name = limits.tool_points[int(over.any(axis=1).argmax())].name
        reasons.append(Reason(code="workspace", sentence=f"{name} would leave {limits.workspace.name}"))
    under = low[:, 2] < np.minimum(limits.table_height, before[:, 2] - radii[:, 0]) - _ROUNDING
    if under.any():
        name = limits.tool_points[int(under.argmax())].name
        sentence = f"{name} would go below the table plane at {limits.table_height:g} m"
        reasons.append(Reason(code="table", sentence=sentence))
    for box in limits.keep_out:
        entering = ~stays_out(box, low, high, before, radii)
        if entering.any():
            name = limits.tool_points[int(entering.argmax())].name
            reasons.append(Reason(code="keep_out", sentence=f"{name} would enter {box.name}"))
    return reasons


def _is_inside(low: Vector, high: Vector, limits: SafetyLimits) -> bool:
    return (
        bool((high <= limits.workspace.high).all())
        and bool((low >= limits.workspace.low).all())
        and float(low[:, 2].min()) >= limits.table_height
    )


def stays_out(box: Box, low: Vector, high: Vector, before: Vector, radii: Vector) -> Flags:
    """(n,) whether one face of the box keeps the whole way of a point on its outer side.

    For a point that was inside it is the nearest face, and it must not get farther from it.
    """
    was = np.concatenate([box.low - before - radii, before - radii - box.high], axis=1)  # (n, 6) > 0: outside
    way = np.concatenate([box.low - high, low - box.high], axis=1)
    nearest = was == was.max(axis=1, keepdims=True)
    needed = np.where(was >= 0, 0.0, np.where(nearest & (was.max(axis=1, keepdims=True) < 0), was, np.inf))
    return np.asarray((way >= needed - _ROUNDING).any(axis=1))


def inside_walls(goal: Pose, arms: Vector, limits: SafetyLimits) -> tuple[Vector, list[Reason]]:
    """Nearest position at which a TCP with the goal's orientation has every tool point inside."""
    offsets = turned(arms, goal)
    radii = limits.point_radii[:, None]
    top = limits.workspace.high - (offsets + radii).max(axis=0)
    bottom = limits.workspace.low - (offsets - radii).min(axis=0)
    above = limits.table_height - float((offsets - radii).min(axis=0)[2])
    reasons: list[Reason] = []
    if not bool(((goal.position <= top + _ROUNDING) & (goal.position >= bottom - _ROUNDING)).all()):
        reasons.append(Reason(code="workspace", sentence=f"the target lies outside {limits.workspace.name}"))
    if not goal.position[2] >= above - _ROUNDING:
        sentence = f"the target lies below the table plane at {limits.table_height:g} m"
        reasons.append(Reason(code="table", sentence=sentence))
    if not reasons:
        return goal.position, reasons
    bottom[2] = max(bottom[2], above)
    return np.maximum(np.minimum(goal.position, top), bottom), reasons


def free_share(start: Vector, end: Vector, limits: SafetyLimits) -> tuple[float, list[Reason]]:
    """How much of the straight way of all tool points, (n, 3) to (n, 3), is free of keep-out boxes."""
    share, reasons = 1.0, list[Reason]()
    radii = limits.point_radii[:, None]
    way = end - start
    safe = np.where(np.abs(way) < 1e-12, 1e-12, way)
    for box in limits.keep_out:
        to_low, to_high = (box.low - radii - start) / safe, (box.high + radii - start) / safe
        enters = np.minimum(to_low, to_high).max(axis=1)
        leaves = np.maximum(to_low, to_high).min(axis=1)
        hits = (enters < leaves) & (enters < 1.0) & (leaves > 0.0) & (enters >= 0.0)
        if hits.any():
            share = min(share, float(enters[hits].min()))
            name = limits.tool_points[int(hits.argmax())].name
            reasons.append(Reason(code="keep_out", sentence=f"{box.name} is in the way of {name}"))
    return share, reasons
