"""The filter with an arm that follows what is sent, tick by tick: for tests, benchmarks and the soak.

No device, no clock: time is what the ticks add up to.
"""

from dataclasses import dataclass, replace

import numpy as np

from robot_bridge import kinematics
from robot_bridge.devices import ArmState
from robot_bridge.safety.filter import SHORTEST_PERIOD, filter_action
from robot_bridge.safety.limits import NOMINAL_POSTURE, SafetyLimits
from robot_bridge.safety.memory import Memory
from robot_bridge.safety.motion import step_between
from robot_bridge.safety.verdict import RobotState, Target, Verdict
from robot_contract.pose import Pose, Vector, interpolate

FLANGE_FROM_TCP = Pose.from_rotation_vector([0.0, 0.0, 0.1034], [0.0, 0.0, -np.pi / 4])  # Franka hand


@dataclass(frozen=True, kw_only=True, eq=False)
class Tick:
    now: float  # [s]
    target: Target
    verdict: Verdict
    is_new: bool  # sent later than the shortest period after the last one
    is_fresh: bool  # the motion starts anew: a long pause or a cleared stop came before


class Rehearsal:
    def __init__(
        self, limits: SafetyLimits, joint_position: Vector = NOMINAL_POSTURE, *, start_at: float = 0.0
    ) -> None:
        self.limits = limits
        self.start_at = self.now = start_at  # [s]
        self.follows = (
            1.0  # share of its distance to the target that the arm makes good in a tick; 0: blocked
        )
        self.start = kinematics.flange_pose(joint_position)
        self.measured = self.start
        self.ticks: list[Tick] = []
        self._cleared = True
        self._joint_velocity = np.zeros(7)
        self.memory = Memory.at_rest(self._arm(joint_position, self.start, start_at), start_at)

    @property
    def sent(self) -> Pose:
        """The last flange pose that was sent."""
        return self.memory.sent.flange_pose

    def tick(
        self,
        flange_pose: Pose | None,
        *,
        dt: float = 0.01,
        age: float = 0.0,
        stopping: bool = False,
        arm_fault: str | None = None,
    ) -> Verdict:
        """One tick `dt` later; the arm's state is `age` old."""
        self.now += dt
        self._follow(dt)
        arm = self._arm(self.memory.posture.joint_position, self.measured, self.now - age)
        before = self.memory.last_at
        target, verdict, self.memory = filter_action(
            RobotState(arm=replace(arm, fault=arm_fault), flange_from_tcp=FLANGE_FROM_TCP),
            None if flange_pose is None else Target(flange_pose=flange_pose),
            self.limits,
            self.memory,
            now=self.now,
            stopping=stopping,
        )
        passed = self.now - before
        self.ticks.append(
            Tick(
                now=self.now,
                target=target,
                verdict=verdict,
                is_new=passed >= SHORTEST_PERIOD,
                is_fresh=self._cleared or passed > self.limits.late_period,
            )
        )
        self._cleared = self._cleared and passed < SHORTEST_PERIOD
        return verdict

    def clear(self) -> None:
        """A person clears the stop: the arm stands where it was told to."""
        self.measured = self.sent
        arm = self._arm(self.memory.posture.joint_position, self.sent, self.now)
        self.memory = Memory.at_rest(arm, self.memory.last_at)
        self._cleared = True

    def tcp_poses(self) -> list[Pose]:
        return [tick.target.flange_pose @ FLANGE_FROM_TCP for tick in self.ticks]

    def _follow(self, dt: float) -> None:
        if self.follows == 0.0 or self.measured == self.sent:
            self._joint_velocity = np.zeros(7)
            return
        followed = interpolate(self.measured, self.sent, self.follows)
        twist = step_between(self.measured, followed).ravel() / max(dt, SHORTEST_PERIOD)
        matrix = self.memory.posture.links.jacobian()
        self._joint_velocity = kinematics.pseudo_inverse(matrix) @ twist
        self.measured = followed

    def _arm(self, joint_position: Vector, pose: Pose, measured_at: float) -> ArmState:
        arm = arm_state(joint_position, pose, measured_at=measured_at)
        return replace(arm, joint_velocity=self._joint_velocity)


def arm_state(joint_position: Vector, pose: Pose, *, measured_at: float) -> ArmState:
    """An arm that stands where it was told to."""
    return ArmState(
        measured_at=measured_at,
        joint_position=joint_position,
        joint_velocity=np.zeros(7),
        flange_pose=pose,
        commanded_flange_pose=pose,
        external_wrench=np.zeros(6),
    )
