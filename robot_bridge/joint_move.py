"""A slow straight motion in joint space to a named or given joint position: homing, reset, calibration poses.

It only proposes: its targets go through the same filter, and need the same key, as a policy's.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from robot_bridge.kinematics import elbow_position, flange_pose, tool_points
from robot_bridge.safety import SafetyLimits, Target
from robot_contract.pose import Pose, Vector, angle_between, distance_between, read_only

_SHARE = 0.6  # of the profile's speeds: a planned motion needs no clamping
_PEAK = 1.875  # of the minimum-jerk profile over its mean speed
_SAMPLES = 24
_ARRIVED_DISTANCE = 0.002  # [m] of what was sent
_ARRIVED_ANGLE = 0.01  # [rad]
_STANDS_DISTANCE = 0.01  # [m] of what is measured: a soft arm stands a little beside
_STANDS_ANGLE = 0.05  # [rad]

ARRIVED = "the arm has arrived"


@dataclass(frozen=True, kw_only=True, eq=False)
class JointMove:
    start: Vector  # (7,) [rad]
    goal: Vector  # (7,) [rad]
    begins_at: float  # [s], bridge clock
    seconds: float

    @property
    def ends_at(self) -> float:
        return self.begins_at + self.seconds

    def target_at(self, now: float) -> Target:
        s = min(max((now - self.begins_at) / self.seconds, 0.0), 1.0)
        share = s * s * s * (10 - 15 * s + 6 * s * s)
        joints = read_only(self.start + (self.goal - self.start) * share)
        return Target(flange_pose=flange_pose(joints), joint_posture=joints)

    def outcome(self, sent: Pose, measured: Pose) -> str:
        """How it ended, in words: the filter may have kept the arm from its goal, or something in its way."""
        goal = flange_pose(self.goal)
        distance, angle = distance_between(sent, goal), angle_between(sent, goal)
        if not (distance <= _ARRIVED_DISTANCE and angle <= _ARRIVED_ANGLE):
            return f"the arm came to rest {distance * 1000:.0f} mm and {angle:.2f} rad from its goal"
        distance, angle = distance_between(measured, goal), angle_between(measured, goal)
        if not (distance <= _STANDS_DISTANCE and angle <= _STANDS_ANGLE):
            return f"the arm was sent to its goal; it stands {distance * 1000:.0f} mm and {angle:.2f} rad off"
        return ARRIVED


def plan_joint_move(start: Vector, goal: Vector, limits: SafetyLimits, *, now: float) -> JointMove:
    """As fast as 60 % of the profile allows at every tool point, the elbow and every joint."""
    joints = [start + (goal - start) * share for share in np.linspace(0.0, 1.0, _SAMPLES)]
    flanges = [flange_pose(q) for q in joints]
    offsets = np.array([point.position for point in limits.tool_points])
    points = [
        np.vstack([tool_points(flange, offsets), elbow_position(q)])
        for flange, q in zip(flanges, joints, strict=True)
    ]
    profile, pieces = limits.profile, _SAMPLES - 1
    way = max(float(np.linalg.norm(b - a, axis=1).max()) for a, b in pairwise(points))
    turn = max(angle_between(a, b) for a, b in pairwise(flanges))
    joint_time = float((np.abs(goal - start) / limits.arm.joint_speed).max())
    acceleration_time = np.sqrt(5.8 * way * pieces / profile.acceleration)
    seconds = max(
        _PEAK * pieces * way / (_SHARE * profile.speed),
        _PEAK * pieces * turn / (_SHARE * profile.angular_speed),
        _PEAK * joint_time / (_SHARE * limits.joint_speed_share),
        float(acceleration_time) / _SHARE,
        0.2,
    )
    return JointMove(start=start, goal=goal, begins_at=now, seconds=seconds)
