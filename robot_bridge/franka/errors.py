"""The arm's own names of what went wrong, and what the operator does about each.

Names are libfranka's (`errors.h`); nothing is translated, so that they are found in the maker's manual.
"""

import re
from collections.abc import Sequence

_NAMES = re.compile(r'"([a-z0-9_]+)"')
_COLLISION = "the arm felt more than its thresholds: free it by hand, look for the cause, then clear"
_DISCONTINUITY = "a command leaped: this is a fault of this program or of its computer; keep the recording"

ADVICE = {
    "cartesian_reflex": _COLLISION,
    "joint_reflex": _COLLISION,
    "self_collision_avoidance_violation": "the arm came too close to itself: move it by hand, then clear",
    "communication_constraints_violation": (
        "20 answers in a row came too late: look at the cable, the network card and the load of this computer"
    ),
    "joint_position_limits_violation": "a joint stands at its end: guide it back by hand in Desk, then clear",
    "cartesian_position_limits_violation": "the arm left a virtual wall of Desk: guide it back, then clear",
    "joint_velocity_violation": "a joint was too fast: clear; if it comes again, lower the profile",
    "cartesian_velocity_violation": "the arm was too fast: clear; if it comes again, lower the profile",
    "max_goal_pose_deviation_violation": "the arm was held back: free it by hand, then clear",
    "tau_j_range_violation": "more torque than a joint has: look for a load or an obstacle, then clear",
    "power_limit_violation": "more power than the arm has: clear; if it comes again, lower the profile",
    "instability_detected": "the arm swings: lower the stiffness in the rig, check the load in Desk",
    "user_stopped": "the user stop or the emergency stop is pressed: release it, then clear",
    "guiding": "somebody guides the arm by hand: when it stands free, clear",
    "not_ready": "the arm does not accept motion: brakes, self-test and FCI in Desk, then clear",
    "motion_ended": "the arm ended the motion and gave no reason: look at Desk, then clear",
    "arm_does_not_follow": "it stands far from where it was sent: look for what holds it, then clear",
    "measured_motion": "the arm itself moved outside its limits: look for the cause, then clear",
    "success_rate": "too few control packets arrived in time: look at the network and the load, then clear",
}


def names_in(message: str) -> tuple[str, ...]:
    """Error names in a message of libfranka, such as `... by reflex! ["cartesian_reflex"]`."""
    return tuple(dict.fromkeys(_NAMES.findall(message)))


def fault_sentence(names: Sequence[str], detail: str = "") -> str:
    """The names, then what to do about the first of them that has an advice."""
    advice = next((ADVICE[name] for name in names if name in ADVICE), "")
    if not advice and any("discontinuity" in name for name in names):
        advice = _DISCONTINUITY
    return "; ".join(part for part in (", ".join(names), detail, advice) if part)
