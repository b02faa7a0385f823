"""What can be made to go wrong, for tests and rehearsals only: nothing in the bridge imports this.

Each fault stays until `clear` or its own counterpart is called.
"""

from collections.abc import Mapping

from robot_bridge.twin.arm import Link
from robot_bridge.twin.camera import TwinCamera
from robot_bridge.twin.pace import Pace
from robot_bridge.twin.physics import Physics
from robot_contract.errors import DeviceFault, nearest_name


class Faults:
    def __init__(self, physics: Physics, link: Link, cameras: Mapping[str, TwinCamera], pace: Pace) -> None:
        self._physics, self._link, self._cameras, self._pace = physics, link, cameras, pace

    def silence_camera(self, name: str) -> None:
        """No new frames come; the newest stays the newest."""
        self._camera(name).fault = "silent"

    def freeze_camera(self, name: str) -> None:
        """Frames keep coming, all with the picture that was delivered last."""
        self._camera(name).fault = "frozen"

    def black_camera(self, name: str) -> None:
        """Pictures keep coming and are black."""
        self._camera(name).fault = "black"

    def restore_camera(self, name: str) -> None:
        self._camera(name).fault = None

    def drop_link(self) -> None:
        """Arm and hand no longer answer; what they were told last has to be made safe by themselves."""
        self._link.is_down = True

    def slow_link(self, seconds: float) -> None:
        """States arrive and targets act so much later."""
        self._link.delay = self._physics.command_delay = seconds

    def freeze_arm_state(self) -> None:
        """The arm keeps answering, with the state of this instant."""
        self._link.frozen = self._physics.latest

    def restore_link(self) -> None:
        self._link.is_down = False
        self._link.frozen = None
        self.slow_link(0.0)

    def force_reflex(self, name: str = "cartesian_reflex") -> None:
        """The arm brakes and latches this fault until it is recovered."""
        self._physics.trip(name)

    def jam_gripper(self) -> None:
        """The fingers' drive stands still and holds its place."""
        self._physics.hand.jammed = True

    def free_gripper(self) -> None:
        self._physics.hand.jammed = False

    def jump_clock(self, seconds: float) -> None:
        """The bridge's clock leaps ahead; the world does not move on."""
        if not seconds >= 0:
            raise ValueError(f"a monotonic clock jumps ahead only, not by {seconds} s")
        self._pace.jump(seconds)

    def clear(self) -> None:
        """Take everything back but a latched reflex (a person recovers that) and the clock's jumps."""
        for camera in self._cameras.values():
            camera.fault = None
        self.restore_link()
        self.free_gripper()

    def _camera(self, name: str) -> TwinCamera:
        if name not in self._cameras:
            raise DeviceFault(f"the twin has no camera {name!r}; {nearest_name(name, self._cameras)}")
        return self._cameras[name]
