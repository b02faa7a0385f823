"""What the frames and joints of one arm are called on ROS topics, as franka_description calls them."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Names:
    base: str
    tcp: str  # the rig's tool centre point
    flange: str
    joints: tuple[str, ...]  # seven, and then the two fingers
    prefix: str

    def camera(self, name: str) -> str:
        """The frame of a camera's pictures: x right, y down, z forward."""
        return f"{self.prefix}{name}_optical_frame"


def names_of(model: str, prefix: str) -> Names:
    arm = f"{prefix}{model}"
    return Names(
        base=f"{arm}_link0",
        tcp=f"{arm}_bridge_tcp",  # fr3_hand_tcp belongs to the robot's own description
        flange=f"{arm}_link8",
        joints=(
            *(f"{arm}_joint{i}" for i in range(1, 8)),
            f"{arm}_finger_joint1",
            f"{arm}_finger_joint2",
        ),
        prefix=prefix,
    )
