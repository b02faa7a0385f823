"""The last look at the arm itself: does what is measured keep to the limits, whatever was commanded?

The filter bounds commands. A wrong load, a fault in a controller or a person who pushes moves the arm beyond
them; then the arm is stopped. Bounds are wider than the filter's by what a soft arm overshoots.
"""

import numpy as np

from robot_bridge.kinematics import forward
from robot_bridge.safety.limits import SafetyLimits
from robot_contract.pose import Vector

SPEED_ALLOWANCE = 1.5  # of the profile's speed, at every tool point and the elbow
TABLE_MARGIN = 0.01  # [rad] kept from the end of the maker's range; the filter keeps `joint_margin`


def measured_excess(joint_position: Vector, joint_velocity: Vector, limits: SafetyLimits) -> str:
    """What of the measured motion is outside, in words; empty when nothing is."""
    arm = limits.arm
    low, high = arm.joint_low + TABLE_MARGIN, arm.joint_high - TABLE_MARGIN
    inside = (low <= joint_position) & (joint_position <= high)
    if not inside.all():
        joint = int(np.argmin(inside))
        return (
            f"joint {joint + 1} stands at {joint_position[joint]:.3f} rad, accepted is {low[joint]:.3f} to"
            f" {high[joint]:.3f}"
        )
    slow = np.abs(joint_velocity) <= arm.joint_speed
    if not slow.all():
        joint = int(np.argmin(slow))
        return (
            f"joint {joint + 1} turns at {abs(joint_velocity[joint]):.2f} rad/s, the maker allows"
            f" {arm.joint_speed[joint]:.2f}"
        )
    return _speed_excess(joint_position, joint_velocity, limits)


def _speed_excess(joint_position: Vector, joint_velocity: Vector, limits: SafetyLimits) -> str:
    links = forward(joint_position)
    twist = links.jacobian() @ joint_velocity
    levers = limits.point_positions @ links.flange_rotation.T
    points = twist[:3] + np.cross(twist[3:], levers)
    speeds = {point.name: float(np.sqrt(v @ v)) for point, v in zip(limits.tool_points, points, strict=True)}
    elbow = links.elbow_jacobian() @ joint_velocity
    speeds["elbow"] = float(np.sqrt(elbow @ elbow))
    allowed = SPEED_ALLOWANCE * limits.profile.speed
    for name, speed in speeds.items():
        if not speed <= allowed:
            return (
                f"{name} moves at {speed:.2f} m/s, accepted is {allowed:.2f} in profile {limits.profile.name}"
            )
    return ""
