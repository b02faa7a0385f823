"""What a simulator knows about its scene at one instant; the twin and ManiSkill both report this."""

from collections.abc import Mapping
from dataclasses import dataclass

from robot_contract.pose import Pose

LEFT_FINGER, RIGHT_FINGER, ARM, TABLE = "left_finger", "right_finger", "arm", "table"


@dataclass(frozen=True, kw_only=True, eq=False)
class SceneTruth:
    time: float  # [s] since the scene began
    poses: Mapping[
        str, Pose
    ]  # of objects and receptacles by catalogue name, base frame, origin under the foot
    speeds: Mapping[str, float]  # [m/s] of the same things
    contacts: frozenset[tuple[str, str]]  # names of things, fingers, `arm` and `table`, each pair sorted
    tcp_pose: Pose  # measured, base frame
    commanded_tcp_pose: Pose  # the last target sent; deltas chain from here
    gripper_width: float  # [m] between the fingers

    def touches(self, a: str, b: str) -> bool:
        return (min(a, b), max(a, b)) in self.contacts

    def is_grasped(self, name: str) -> bool:
        """Both fingers are on it."""
        return self.touches(LEFT_FINGER, name) and self.touches(RIGHT_FINGER, name)

    def is_touched(self, name: str) -> bool:
        """Any part of the robot is on it."""
        return any(self.touches(part, name) for part in (LEFT_FINGER, RIGHT_FINGER, ARM))


def contact_pair(a: str, b: str) -> tuple[str, str]:
    """The key of a contact in `SceneTruth.contacts`."""
    return min(a, b), max(a, b)
