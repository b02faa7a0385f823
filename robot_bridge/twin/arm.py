"""The arm and the gripper of the twin, as the bridge knows devices."""

from collections.abc import Callable

import numpy as np

from robot_bridge.devices import ArmState, GripperState, finger_gap
from robot_bridge.twin.pace import Pace
from robot_bridge.twin.physics import Physics, Snapshot
from robot_contract.errors import DeviceFault
from robot_contract.pose import Pose, Vector, read_only

STOPPED = "stopped_by_command"


class Link:
    """The line to the arm and hand; faults cut or slow it."""

    def __init__(self) -> None:
        self.is_down = False
        self.delay = 0.0  # [s] each way
        self.frozen: Snapshot | None = None  # the state that is sent again and again

    def require(self, device: str) -> None:
        if self.is_down:
            raise DeviceFault(f"the {device} does not answer: the link is down; it has to be restored first")


class TwinArm:
    def __init__(self, physics: Physics, link: Link, pace: Pace, *, when_closed: Callable[[], None]) -> None:
        self._physics, self._link, self._pace = physics, link, pace
        self._when_closed = when_closed

    def read(self) -> ArmState:
        self._link.require("arm")
        self._pace.require_alive()
        s = received(self._physics, self._link)
        w, x, y, z = s.flange_quaternion
        return ArmState(
            measured_at=self._pace.bridge_time(s.time),
            joint_position=read_only(s.joint_position),
            joint_velocity=read_only(s.joint_velocity),
            flange_pose=Pose(position=s.flange_position, quaternion=np.array([x, y, z, w])),
            commanded_flange_pose=s.target,
            external_wrench=read_only(s.external_wrench),
            fault=s.arm_fault,
        )

    def track(self, flange_pose: Pose, joint_posture: Vector | None) -> None:
        self._link.require("arm")
        fault = self._physics.latest.arm_fault
        if fault is not None:
            raise DeviceFault(f"the arm refuses to move after {fault!r}; recover() accepts motion again")
        if not flange_pose.is_finite():
            raise DeviceFault(f"the arm takes finite poses only, not {flange_pose}")
        if joint_posture is not None and not (
            joint_posture.shape == (7,) and np.isfinite(joint_posture).all()
        ):
            raise DeviceFault(f"the arm takes a posture of 7 finite joint positions, not {joint_posture}")
        self._physics.track(flange_pose, joint_posture)

    def stop(self) -> None:
        self._link.require("arm")
        self._physics.stop(STOPPED)

    def recover(self) -> None:
        self._link.require("arm")
        self._physics.recover()

    def close(self) -> None:
        """Ends the world: nothing in it is of use without its arm."""
        self._when_closed()


class TwinGripper:
    def __init__(self, physics: Physics, link: Link, pace: Pace) -> None:
        self._physics, self._link, self._pace = physics, link, pace

    def read(self) -> GripperState:
        self._link.require("gripper")
        self._pace.require_alive()
        s = received(self._physics, self._link)
        return GripperState(
            measured_at=self._pace.bridge_time(s.time),
            width=finger_gap(s.width),
            is_moving=s.is_moving,
            is_grasping=s.is_grasping,
            fault=s.gripper_fault,
        )

    def move(self, width: float) -> None:
        self._link.require("gripper")
        if not 0.0 <= width <= 1.0:
            raise DeviceFault(f"the gripper takes a width in metres, 0 to 0.08, not {width}")
        self._physics.hand.move(width)

    def close(self) -> None:
        """The world owns the physics; nothing to give back here."""


def received(physics: Physics, link: Link) -> Snapshot:
    """The newest snapshot that has come through the link."""
    newest = physics.latest
    if link.frozen is not None:
        return link.frozen
    if link.delay == 0.0:
        return newest
    earlier = newest
    for snapshot in reversed(tuple(physics.history)):
        earlier = snapshot
        if snapshot.time <= newest.time - link.delay:
            break
    return earlier
