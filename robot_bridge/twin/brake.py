"""The arm's brake: from the present motion to rest along the present path, then standing stiffly."""

import mujoco
import numpy as np

from robot_bridge.twin.impedance import JOINTS
from robot_contract.pose import Vector

_SHORTEST_STOP = 0.02  # [s]
_STIFFNESS = np.array([600.0, 600, 600, 600, 250, 150, 50])  # [Nm/rad]
_DAMPING = np.array([50.0, 50, 50, 50, 20, 15, 8])  # [Nms/rad]


class Brake:
    """Brings all joints to rest together, each along its present speed, and holds them there."""

    def __init__(self, data: mujoco.MjData, now: float, seconds: float) -> None:
        self._from = np.array(data.qpos[:JOINTS])
        self._speed = np.array(data.qvel[:JOINTS])
        self._began, self._seconds = now, max(seconds, _SHORTEST_STOP)

    def torques(self, data: mujoco.MjData, now: float) -> Vector:
        t = min(now - self._began, self._seconds)
        position = self._from + self._speed * (t - t * t / (2 * self._seconds))
        speed = self._speed * (1 - t / self._seconds)
        return (
            data.qfrc_bias[:JOINTS]
            + _STIFFNESS * (position - data.qpos[:JOINTS])
            + _DAMPING * (speed - data.qvel[:JOINTS])
        )
