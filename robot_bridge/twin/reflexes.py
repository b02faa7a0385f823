"""What the arm itself refuses: it stops and latches, under the names that libfranka gives the same faults."""

import mujoco
import numpy as np

from robot_bridge.twin.impedance import JOINTS, ImpedanceLaw
from robot_bridge.twin.settings import ArmSettings

JOINT_SPEED = np.array([2.62, 2.62, 2.62, 2.62, 5.26, 4.18, 5.26])  # [rad/s], Franka's table for the FR3
_HAND_BODIES = ("flange", "hand", "left_finger", "right_finger")
_RANGE_MARGIN = 0.005  # [rad] before the mechanical end


class Reflexes:
    def __init__(self, model: mujoco.MjModel, settings: ArmSettings) -> None:
        self.latched: str | None = None
        self._low = model.jnt_range[:JOINTS, 0] + _RANGE_MARGIN
        self._high = model.jnt_range[:JOINTS, 1] - _RANGE_MARGIN
        self._wrench = np.array([settings.force_threshold] * 3 + [settings.torque_threshold] * 3)
        self._torque = settings.joint_torque_threshold
        names = [model.body(body).name for body in range(model.nbody)]
        is_arm_body = np.array([name.startswith("fr3_") or name in _HAND_BODIES for name in names])
        self._is_arm = is_arm_body[model.geom_bodyid]

    def latch(self, name: str) -> None:
        if self.latched is None:
            self.latched = name

    def clear(self) -> None:
        self.latched = None

    def check(self, data: mujoco.MjData, law: ImpedanceLaw) -> str | None:
        """The name of the reflex that the present state trips, if any; NaN trips the first."""
        position = data.qpos[:JOINTS]
        if not ((position > self._low).all() and (position < self._high).all()):
            return "joint_position_limits_violation"
        if not (np.abs(data.qvel[:JOINTS]) <= JOINT_SPEED).all():
            return "joint_velocity_violation"
        if not (np.abs(law.external_wrench) <= self._wrench).all():
            return "cartesian_reflex"
        if not (np.abs(law.external_torque) <= self._torque).all():
            return "joint_reflex"
        if data.ncon and bool(self._is_arm[data.contact.geom].all(axis=1).any()):
            return "self_collision_avoidance_violation"
        return None
