"""The cell in motion: one MuJoCo model stepped at the arm's control rate, with its arm, hand and reflexes.

One thread steps; others only append commands and read snapshots, which are never changed after they are made.
Time in here is simulated time [s] since the world began; it does not start anew when the scene is reset.
"""

import threading
from collections import deque
from dataclasses import dataclass

import mujoco
import numpy as np

from robot_bridge.twin.brake import Brake
from robot_bridge.twin.hand import Hand
from robot_bridge.twin.impedance import JOINTS, ImpedanceLaw
from robot_bridge.twin.reference import Reference
from robot_bridge.twin.reflexes import Reflexes
from robot_bridge.twin.settings import ArmSettings, GripperSettings
from robot_contract.pose import Pose, Vector

_STOP_DECELERATION = 4.0  # [m/s^2] of the flange when told to stop
_REFLEX_DECELERATION = 10.0  # [m/s^2]
_HISTORY = 4096  # snapshots kept for a slow link


@dataclass(frozen=True, kw_only=True, eq=False)
class Snapshot:
    time: float  # [s], simulated
    joint_position: Vector
    joint_velocity: Vector
    flange_position: Vector
    flange_quaternion: Vector  # w first
    target: Pose
    external_wrench: Vector
    arm_fault: str | None
    width: float  # [m]
    is_moving: bool
    is_grasping: bool
    gripper_fault: str | None


@dataclass(frozen=True, kw_only=True, eq=False)
class _Command:
    due: float  # [s], simulated
    target: Pose
    posture: Vector | None


class Physics:
    def __init__(
        self, model: mujoco.MjModel, arm: ArmSettings, gripper: GripperSettings, start: Vector, width: float
    ) -> None:
        self.lock = threading.RLock()  # held while stepping; whoever reads `data` takes it
        self.steps = 0
        self._arm, self._gripper = arm, gripper
        self._commands: deque[_Command] = deque()
        self.history: deque[Snapshot] = deque(maxlen=_HISTORY)
        self.command_delay = 0.0  # [s], simulated
        self.load(model, start, width)

    def load(self, model: mujoco.MjModel, start: Vector, width: float) -> None:
        """Begin anew in this model with the arm at `start` [rad]; time goes on."""
        with self.lock:
            self.model, self.data = model, mujoco.MjData(model)
            self.period = float(model.opt.timestep)
            data = self.data
            data.qpos[:JOINTS] = start
            data.qpos[JOINTS : JOINTS + 2] = width / 2
            mujoco.mj_forward(model, data)
            self._posture = np.array(start)
            self._brake: Brake | None = None
            self._law = ImpedanceLaw(model, self._arm)
            self._law.observe(data)
            self._reflexes = Reflexes(model, self._arm)
            self._reference = Reference(self._arm, self.period, self._flange_pose())
            self.hand = Hand(data, self._gripper, self.period)
            self._commands.clear()
            self.history.clear()
            self.publish()

    @property
    def time(self) -> float:
        return self.steps * self.period

    # Commands, from any thread

    def track(self, target: Pose, posture: Vector | None) -> None:
        self._commands.append(_Command(due=self.time + self.command_delay, target=target, posture=posture))

    def stop(self, reason: str) -> None:
        """Latch `reason` and decelerate along the present path."""
        self._halt(reason, _STOP_DECELERATION)

    def trip(self, reason: str) -> None:
        """Latch a reflex and brake hard."""
        self._halt(reason, _REFLEX_DECELERATION)

    def recover(self) -> None:
        with self.lock:
            self._commands.clear()
            self._reflexes.clear()
            self._brake = None
            self._posture = np.array(self.data.qpos[:JOINTS])
            self._reference.place(self._flange_pose())
            self.publish()

    # Stepping, from one thread

    def step(self) -> None:
        """Move on by one period."""
        self._move()
        self.steps += 1

    def settle(self, seconds: float) -> None:
        """Let things come to rest on the table; no time passes for anybody."""
        for _ in range(round(seconds / self.period)):
            self._move()
        self.publish()

    def _move(self) -> None:
        model, data, law = self.model, self.data, self._law
        mujoco.mj_step1(model, data)
        law.observe(data)
        if self._reflexes.latched is None:
            self._follow_commands()
            reflex = self._reflexes.check(data, law)
            if reflex is not None:
                self.trip(reflex)
        if self._brake is None:
            data.ctrl[:JOINTS] = law.torques(data, self._reference, self._posture)
        else:
            data.ctrl[:JOINTS] = self._brake.torques(data, self.time)
        self.hand.drive(data)
        mujoco.mj_step2(model, data)
        law.estimate(data)

    def publish(self) -> None:
        """Make the present state visible to the readers."""
        data, law, hand = self.data, self._law, self.hand
        mujoco.mj_kinematics(self.model, data)  # the step has moved the joints on since the poses were made
        mujoco.mju_mat2Quat(law.quaternion, data.site_xmat[law.site])
        snapshot = Snapshot(
            time=self.time,
            joint_position=np.array(data.qpos[:JOINTS]),
            joint_velocity=np.array(data.qvel[:JOINTS]),
            flange_position=np.array(data.site_xpos[law.site]),
            flange_quaternion=np.array(law.quaternion),
            target=self._reference.target if self._brake is None else self._flange_pose(),
            external_wrench=np.array(law.external_wrench),
            arm_fault=self._reflexes.latched,
            width=hand.width(data),
            is_moving=hand.is_moving,
            is_grasping=hand.is_grasping,
            gripper_fault=hand.fault,
        )
        self.latest = snapshot
        self.history.append(snapshot)

    def _follow_commands(self) -> None:
        now = self.time
        while self._commands and self._commands[0].due <= now:
            command = self._commands.popleft()
            self._reference.aim(command.target, now)
            if command.posture is not None:
                self._posture = np.array(command.posture)
        self._reference.advance(now)

    def _halt(self, reason: str, deceleration: float) -> None:
        with self.lock:
            self._commands.clear()
            self._reflexes.latch(reason)
            if self._brake is None:
                speed = self._law.jacobian[:3, :JOINTS] @ self.data.qvel[:JOINTS]
                self._brake = Brake(self.data, self.time, float(np.sqrt(speed @ speed)) / deceleration)
            self.publish()

    def _flange_pose(self) -> Pose:
        w, x, y, z = self._law.quaternion
        return Pose(position=self.data.site_xpos[self._law.site], quaternion=np.array([x, y, z, w]))
