"""A Franka arm as the bridge knows arms: poses in, states out; the link's thread does the rest."""

from collections.abc import Callable

import numpy as np

from robot_bridge.devices import ArmState
from robot_bridge.franka.control_interface import ControlInterface
from robot_bridge.franka.link import Link
from robot_bridge.kinematics import inverse
from robot_bridge.rig import Rig
from robot_contract.errors import DeviceFault
from robot_contract.pose import Pose, Vector, read_only

_OUT_OF_REACH = 0.002  # [m] and [rad] that the joints may miss a target by
_STEPS = 4  # of the inverse, from the posture that the filter judged
_STEPS_WITHOUT = 40  # and without one


class FrankaArm:
    def __init__(
        self, rig: Rig, connect: Callable[[], ControlInterface], *, when_closed: Callable[[], None]
    ) -> None:
        self._when_closed = when_closed
        self.when_recovered: Callable[[], None] = lambda: None  # what else a person's CLEAR is for
        self._link = Link(rig, connect)
        self._link.start()

    def read(self) -> ArmState:
        return self._link.state()

    def track(self, flange_pose: Pose, joint_posture: Vector | None) -> None:
        if not flange_pose.is_finite():
            raise DeviceFault(f"the arm takes finite poses only, not {flange_pose}")
        if joint_posture is not None and not (
            joint_posture.shape == (7,) and np.isfinite(joint_posture).all()
        ):
            raise DeviceFault(f"the arm takes a posture of 7 finite joint positions, not {joint_posture}")
        start, steps = (joint_posture, _STEPS) if joint_posture is not None else (None, _STEPS_WITHOUT)
        found = inverse(flange_pose, self._link.posture() if start is None else start, steps=steps)
        missing = float(np.abs(found.error).max())
        if not missing <= _OUT_OF_REACH:
            raise DeviceFault(
                f"the arm does not reach {flange_pose.position.round(3).tolist()} m from here: its joints"
                f" would miss it by {missing:.3f} m or rad"
            )
        self._link.aim(flange_pose, read_only(found.joint_position))

    def stop(self) -> None:
        self._link.stop()

    def recover(self) -> None:
        self._link.recover()
        self.when_recovered()

    def close(self) -> None:
        self._link.close()
        self._when_closed()
