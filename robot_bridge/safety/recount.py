"""An independent count of how much of each limit a series of sent targets used.

It looks at the sent targets alone, with its own arithmetic: divided differences of any order, tool points,
forward kinematics. Nothing of the filter is used but the limits.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from robot_bridge import kinematics
from robot_bridge.kinematics import Links
from robot_bridge.safety.limits import SafetyLimits
from robot_bridge.safety.rehearsal import FLANGE_FROM_TCP, Rehearsal, Tick
from robot_contract.pose import Pose, Vector, rotation_between

CHECKS: tuple[str, ...] = (
    "finite",
    "repeated",  # a target sent too soon or after a pause is the last one again
    "unchanged",  # PASS sends what was proposed; counted by the soak
    "speed",
    "acceleration",
    "jerk",
    "angular_speed",
    "angular_acceleration",
    "angular_jerk",
    "point_speed",
    "walls",
    "joint_range",
    "joint_speed",
    "elbow_speed",
    "posture",  # the joints that were judged do reach the pose that was sent
)
_WALL = 1e-6  # [m] rounding
_POSTURE = 1e-3  # [m, rad]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Sent:
    at: float  # [s]
    tcp: Pose
    way: Vector  # (2, 3) [m, rad] position, and sum of the rotation vectors, since the start
    points: Vector  # (n, 3) tool points


def used_shares(run: Rehearsal) -> dict[str, float]:
    """The largest share of each limit that was used; above 1 is a violation."""
    limits, shares = run.limits, dict.fromkeys(CHECKS, 0.0)

    def use(name: str, share: float) -> None:
        shares[name] = max(shares[name], share if share == share else np.inf)

    sent = _Sent(
        at=run.start_at,
        tcp=run.start @ FLANGE_FROM_TCP,
        way=np.zeros((2, 3)),
        points=kinematics.tool_points(run.start, limits.point_positions),
    )
    first, flange, series, last = sent.points, run.start, list[_Sent](), None
    for tick in run.ticks:
        pose, joints = tick.target.flange_pose, tick.target.joint_posture
        if not pose.is_finite() or joints is None or not bool(np.isfinite(joints).all()):
            use("finite", np.inf)
            return shares
        if not tick.is_new:
            use("repeated", 0.0 if pose == flange else np.inf)
            continue
        links = kinematics.forward(joints)
        if tick.is_fresh:  # the arm stood before
            standing = min(tick.now - sent.at, limits.late_period)
            series = [replace(sent, at=tick.now - standing * k) for k in (3, 2, 1)]
        elif last is not None:
            for name, share in _joint_shares(limits, last, (tick, links)).items():
                use(name, share)
        tcp = pose @ FLANGE_FROM_TCP
        step = np.array([tcp.position - sent.tcp.position, rotation_between(sent.tcp, tcp)])
        points = kinematics.tool_points(pose, limits.point_positions)
        sent = _Sent(at=tick.now, tcp=tcp, way=sent.way + step, points=points)
        series = [*series[-3:], sent]
        for name, share in _motion_shares(limits, series).items():
            use(name, share)
        use("walls", _wall_share(limits, first, points))
        reached = links.flange_pose()
        error = [*(reached.position - pose.position), *rotation_between(reached, pose)]
        use("posture", float(np.abs(error).max()) / _POSTURE)
        flange, last = pose, (tick, links)
    return shares


def _motion_shares(limits: SafetyLimits, series: Sequence[_Sent]) -> dict[str, float]:
    """First to third derivative of the polynomial through four targets, by Newton's divided differences."""
    profile, times, rows = limits.profile, [sent.at for sent in series], [sent.way for sent in series]
    allowed = (
        ("speed", profile.speed, "angular_speed", profile.angular_speed),
        ("acceleration", profile.acceleration, "angular_acceleration", profile.angular_acceleration),
        ("jerk", profile.jerk, "angular_jerk", profile.angular_jerk),
    )
    shares: dict[str, float] = {}
    for order, (linear, limit, angular, angular_limit) in enumerate(allowed, start=1):
        rows = [(b - a) * (order / (times[i + order] - times[i])) for i, (a, b) in enumerate(pairwise(rows))]
        sizes = np.sqrt((rows[-1] * rows[-1]).sum(axis=1))
        shares[linear], shares[angular] = float(sizes[0]) / limit, float(sizes[1]) / angular_limit
    moved = series[-1].points - series[-2].points
    fastest = float(np.sqrt((moved * moved).sum(axis=1).max())) / (times[-1] - times[-2])
    return shares | {"point_speed": fastest / profile.speed}


def _wall_share(limits: SafetyLimits, first: Vector, points: Vector) -> float:
    """Above 1 by one per millimetre behind a wall; a wall that was crossed at the start is moved there."""
    floor = limits.workspace.low.copy()
    floor[2] = max(floor[2], limits.table_height)
    radii = limits.point_radii[:, None]
    high = np.maximum(limits.workspace.high, first + radii)
    low = np.minimum(floor, first - radii)
    beyond = max(float((points + radii - high).max()), float((low + radii - points).max()))
    for box in limits.keep_out:
        depth = np.minimum(points + radii - box.low, box.high + radii - points).min(axis=1)
        at_start = np.minimum(first + radii - box.low, box.high + radii - first).min(axis=1)
        beyond = max(beyond, float((depth - np.maximum(at_start, 0.0)).max()))
    return 1 + beyond * 1e3 if not beyond <= _WALL else 0.0


def _joint_shares(
    limits: SafetyLimits, before: tuple[Tick, Links], after: tuple[Tick, Links]
) -> dict[str, float]:
    """Of the maker's range and position-dependent speed, and the elbow's, by the judged postures."""
    a, b = before[0].target.joint_posture, after[0].target.joint_posture
    if a is None or b is None:
        return {"joint_range": np.inf}
    arm, dt = limits.arm, after[0].now - before[0].now
    middle, half = (arm.joint_high + arm.joint_low) / 2, (arm.joint_high - arm.joint_low) / 2
    rates = (b - a) / dt
    allowed = np.where(rates > 0, arm.joint_speed_up(b), arm.joint_speed_down(b))
    moving = np.abs(rates) > 1e-6
    speed = np.abs(rates[moving]) / np.maximum(allowed[moving], 1e-9)
    elbow = after[1].elbow - before[1].elbow
    return {
        "joint_range": float((np.abs(b - middle) / half).max()),
        "joint_speed": float(speed.max(initial=0.0)),
        "elbow_speed": float(np.linalg.norm(elbow)) / dt / limits.profile.speed,
    }
