"""Where the arm is pulled to between two targets: straight in joint space, at a bounded speed.

Targets come at the rate of the control loop, the reference is asked for more often. It arrives one and a half
periods after its target was set, so that the next one finds it still moving; when none follows it stands, and
the speed that is fed forward is zero with it.
"""

import numpy as np

from robot_contract.pose import Vector

ARRIVAL_PERIODS = 1.5  # of the control loop, from a target to being there


class JointReference:
    def __init__(self, joint_position: Vector, joint_speed: Vector, period: float) -> None:
        self._from = self._to = np.array(joint_position)
        self._speed = joint_speed  # (7,) [rad/s] the fastest that the reference goes
        self._period = period  # [s] of the control loop
        self._begins = self._ends = 0.0

    def aim(self, joint_position: Vector, now: float) -> None:
        start, _ = self.at(now)
        way = joint_position - start
        seconds = max(ARRIVAL_PERIODS * self._period, float((np.abs(way) / self._speed).max()))
        self._from, self._to = start, np.array(joint_position)
        self._begins, self._ends = now, now + seconds

    def stand(self, now: float) -> None:
        """Go no further."""
        self._from = self._to = self.at(now)[0]
        self._begins = self._ends = now

    def at(self, now: float) -> tuple[Vector, Vector]:
        """Joint position [rad] and joint velocity [rad/s] to feed forward."""
        if not now < self._ends:
            return self._to, np.zeros(7)
        way = self._to - self._from
        share = max(now - self._begins, 0.0) / (self._ends - self._begins)
        return self._from + way * share, way / (self._ends - self._begins)
