"""The pose that the arm is pulled to: it approaches the newest target at a bounded speed.

A target is good for a limited time. When none follows, the reference stands still where it has come to,
whatever the program that sent the last one is doing: the last hop of the watchdogs.
"""

import numpy as np

from robot_bridge.twin.settings import ArmSettings
from robot_contract.pose import Pose, Vector, interpolate, rotation_between

_ARRIVED = 1e-9  # [m] and [rad]
_VELOCITY_SECONDS = 0.02  # time constant over which the reference's velocity is averaged


class Reference:
    def __init__(self, settings: ArmSettings, period: float, start: Pose) -> None:
        self._settings = settings
        self._step = settings.reference_speed * period
        self._turn = settings.reference_rotational_speed * period
        self._blend = period / _VELOCITY_SECONDS
        self._per_step = 1 / period
        self.velocity = np.zeros(6)  # [m/s, rad/s] base frame, averaged
        self._travel = np.zeros(6)  # of this step
        self.position: Vector = np.zeros(3)
        self.quaternion: Vector = np.array([1.0, 0.0, 0.0, 0.0])  # MuJoCo's order: w first
        self.target = start
        self.place(start)

    def place(self, pose: Pose) -> None:
        """Be there at once, as after a reset or a recovery."""
        self.target = pose
        self._targeted_at = -np.inf
        self.velocity[:] = 0
        self._set(pose)

    def aim(self, target: Pose, now: float) -> None:
        self.target = target
        self._targeted_at = now
        self._arrived = False

    def stand(self) -> None:
        """Go no further; from now on this is the target."""
        self.target = self._pose
        self._arrived = True

    def advance(self, now: float) -> None:
        """Move on by one step; call at every one."""
        self.velocity *= 1 - self._blend
        if self._arrived:
            return
        if not now - self._targeted_at <= self._settings.target_lifetime:
            self.stand()
            return
        way = self.target.position - self._pose.position
        turn = rotation_between(self._pose, self.target)
        distance, angle = float(np.sqrt(way @ way)), float(np.sqrt(turn @ turn))
        share = min(1.0, self._step / max(distance, _ARRIVED), self._turn / max(angle, _ARRIVED))
        self._travel[:3], self._travel[3:] = way, turn
        self._travel *= share * self._per_step * self._blend
        self.velocity += self._travel
        self._set(self.target if share == 1.0 else interpolate(self._pose, self.target, share))
        self._arrived = share == 1.0

    def _set(self, pose: Pose) -> None:
        self._pose = pose
        self.position = pose.position
        self.quaternion = np.roll(pose.quaternion, 1)
        self._arrived = True
