"""While the arm moves: is it where it was sent, does it keep to its limits, do the packets arrive in time?"""

from robot_bridge.franka.control_interface import FciState
from robot_bridge.safety import SafetyLimits
from robot_bridge.safety.measured import measured_excess
from robot_contract.pose import Pose, angle_between, distance_between

_LARGEST_LAG = (0.08, 0.6)  # [m] and [rad] of the measured from the commanded pose; twice the leash
_LAG_SECONDS = 0.3  # so long it may be that far behind
_EXCESS_LOOKS = 3  # in a row that the measured motion may be outside
_POOR_SECONDS = 0.5  # so long packets may arrive badly
_WARM_UP = 0.5  # [s] of a motion in which the share of packets says nothing yet

Problem = tuple[tuple[str, ...], str]  # names, and a detail for people
FINE: Problem = ((), "")


class Monitor:
    """Of one motion, from its beginning."""

    def __init__(self, limits: SafetyLimits, success_rate: float, now: float) -> None:
        self._limits, self._success_rate = limits, success_rate
        self._began_at = self._near_at = self._good_at = now
        self._excess_looks = 0

    def problem(self, state: FciState, commanded: Pose, now: float) -> Problem:
        distance, angle = _LARGEST_LAG
        lag = distance_between(commanded, state.flange_pose)
        if lag <= distance and angle_between(commanded, state.flange_pose) <= angle:
            self._near_at = now
        if not now - self._near_at <= _LAG_SECONDS:
            return ("arm_does_not_follow",), f"it stands {lag * 1000:.0f} mm from its target"
        excess = measured_excess(state.joint_position, state.joint_velocity, self._limits)
        self._excess_looks = self._excess_looks + 1 if excess else 0
        if self._excess_looks >= _EXCESS_LOOKS:
            return ("measured_motion",), excess
        if state.success_rate >= self._success_rate or not now - self._began_at >= _WARM_UP:
            self._good_at = now
        if not now - self._good_at <= _POOR_SECONDS:
            return ("success_rate",), f"{state.success_rate:.0%} of the control packets arrived in time"
        return FINE
