"""An independent count of how much of each limit a series of sent targets used.

It looks at the sent targets alone, with its own arithmetic: divided differences of any order, tool points,
forward kinematics. Nothing of the filter is used but the limits.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from robot_bridge import kinematics
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


def used_shares(run: Rehearsal) -> dict[str, float]:
    """The largest share of each limit that was used; above 1 is a violation."""
    limits, shares = run.limits, dict.fromkeys(CHECKS, 0.0)

    def use(name: str, share: float) -> None:
        shares[name] = max(shares[name], share if share == share else np.inf)

    first, sent, sent_at = tool_points(limits, run.start), run.start, run.start_at
    last: Tick | None = None
    series: list[tuple[float, Pose]] = []
    for tick in run.ticks:
        pose, joints = tick.target.flange_pose, tick.target.joint_posture
        if not pose.is_finite() or joints is None or not bool(np.isfinite(joints).all()):
            use("finite", np.inf)
            return shares
        if not tick.is_new:
            use("repeated", 0.0 if pose == sent else np.inf)
            continue
        if tick.is_fresh:  # the arm stood before
            standing = min(tick.now - sent_at, limits.late_period)
            series = [(tick.now - standing * k, sent) for k in (3, 2, 1)]
        elif last is not None:
            for name, share in _joint_shares(limits, last, tick).items():
                use(name, share)
        series.append((tick.now, pose))
        use("walls", _wall_share(limits, first, tool_points(limits, pose)))
        reached = kinematics.flange_pose(joints)
        error = [*(reached.position - pose.position), *rotation_between(reached, pose)]
        use("posture", float(np.abs(error).max()) / _POSTURE)
        for name, share in motion_shares(limits, series[-4:]).items():
            use(name, share)
        sent, sent_at, last = pose, tick.now, tick
    return shares


def tool_points(limits: SafetyLimits, flange: Pose) -> Vector:
    return kinematics.tool_points(flange, limits.point_positions)


def motion_shares(limits: SafetyLimits, series: Sequence[tuple[float, Pose]]) -> dict[str, float]:
    """Of the differences that end at the last of four flange poses, each with its time."""
    times = [time for time, _ in series]
    tcps = [flange @ FLANGE_FROM_TCP for _, flange in series]
    angles = [np.zeros(3)]
    for a, b in pairwise(tcps):
        angles.append(angles[-1] + rotation_between(a, b))
    profile = limits.profile
    linear = _derivatives([tcp.position - tcps[-1].position for tcp in tcps], times)
    angular = _derivatives(angles, times)
    allowed = {
        "speed": (linear, 1, profile.speed),
        "acceleration": (linear, 2, profile.acceleration),
        "jerk": (linear, 3, profile.jerk),
        "angular_speed": (angular, 1, profile.angular_speed),
        "angular_acceleration": (angular, 2, profile.angular_acceleration),
        "angular_jerk": (angular, 3, profile.angular_jerk),
    }
    shares = {
        name: float(np.linalg.norm(values[order - 1])) / limit
        for name, (values, order, limit) in allowed.items()
    }
    moved = tool_points(limits, series[-1][1]) - tool_points(limits, series[-2][1])
    fastest = float(np.linalg.norm(moved, axis=1).max()) / (times[-1] - times[-2])
    return shares | {"point_speed": fastest / profile.speed}


def _derivatives(values: Sequence[Vector], times: Sequence[float]) -> list[Vector]:
    """First, second, ... derivative of the polynomial through all values up to the last, by Newton."""
    found: list[Vector] = []
    rows = list(values)
    for order in range(1, len(times)):
        rows = [
            (rows[i + 1] - rows[i]) * (order / (times[i + order] - times[i])) for i in range(len(rows) - 1)
        ]
        found.append(rows[-1])
    return found


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


def _joint_shares(limits: SafetyLimits, before: Tick, tick: Tick) -> dict[str, float]:
    """Of the maker's range and position-dependent speed, and the elbow's, by the judged postures."""
    a, b = before.target.joint_posture, tick.target.joint_posture
    if a is None or b is None:
        return {"joint_range": np.inf}
    arm, dt = limits.arm, tick.now - before.now
    middle, half = (arm.joint_high + arm.joint_low) / 2, (arm.joint_high - arm.joint_low) / 2
    rates = (b - a) / dt
    allowed = np.where(rates > 0, arm.joint_speed_up(b), arm.joint_speed_down(b))
    moving = np.abs(rates) > 1e-6
    speed = np.abs(rates[moving]) / np.maximum(allowed[moving], 1e-9)
    elbow = kinematics.elbow_position(b) - kinematics.elbow_position(a)
    return {
        "joint_range": float((np.abs(b - middle) / half).max()),
        "joint_speed": float(speed.max(initial=0.0)),
        "elbow_speed": float(np.linalg.norm(elbow)) / dt / limits.profile.speed,
    }
