"""The hand: two fingers that close at a finite speed and hold with a finite force."""

import mujoco

from robot_bridge.twin.settings import GripperSettings

_STIFFNESS = 4000.0  # [N/m] of each finger's drive
_DAMPING = 40.0  # [Ns/m]
_BLOCKED = 0.0015  # [m] behind its reference, a closing hand has met something
_LARGEST_LEAD = 0.014  # [m] of the reference before a blocked hand, enough for the full force
_ARRIVED = 1e-9  # [m]
_STILL = 0.004  # [m/s] of the width
_SETTLE_SECONDS = 0.06  # so long it has to stand before that is a grasp
FIRST_FINGER = 7  # index of the first finger among the degrees of freedom and motors


class Hand:
    def __init__(self, data: mujoco.MjData, settings: GripperSettings, period: float) -> None:
        self._settings = settings
        self._step = settings.speed * period
        self._settled_steps = round(_SETTLE_SECONDS / period)
        self._reference = self._target = self.width(data)  # [m]
        self._still = 0
        self.is_moving = False
        self.is_grasping = False
        self.jammed = False
        self.fault: str | None = None

    def width(self, data: mujoco.MjData) -> float:
        return float(data.qpos[FIRST_FINGER] + data.qpos[FIRST_FINGER + 1])

    def move(self, width: float) -> None:
        """Set the wanted width [m]; NaN is refused by the caller."""
        self._target = min(max(width, 0.0), self._settings.largest_width)

    def drive(self, data: mujoco.MjData) -> None:
        if not self.jammed:
            gap = self._target - self._reference
            self._reference += min(max(gap, -self._step), self._step)
            self._reference = max(self._reference, self.width(data) - _LARGEST_LEAD)
        force = self._settings.force
        for finger in (FIRST_FINGER, FIRST_FINGER + 1):
            pull = _STIFFNESS * (self._reference / 2 - data.qpos[finger]) - _DAMPING * data.qvel[finger]
            data.ctrl[finger] = min(max(pull, -force), force)
        self._judge(self.width(data), float(data.qvel[FIRST_FINGER] + data.qvel[FIRST_FINGER + 1]))

    def _judge(self, width: float, speed: float) -> None:
        self._still = self._still + 1 if abs(speed) < _STILL else 0
        settled = self._still >= self._settled_steps
        blocked = width - self._reference > _BLOCKED
        self.is_grasping = blocked and (settled or self.is_grasping)
        arrived = abs(self._target - self._reference) <= _ARRIVED or self.jammed or blocked
        self.is_moving = not (settled and arrived) and not self.is_grasping
