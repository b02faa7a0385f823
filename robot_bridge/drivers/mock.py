"""An arm, a gripper and cameras without physics, in process: they obey at once and fail on demand.

The mock arm follows its targets as a first-order lag, rests 100 ms after the last one, and latches faults as
a real arm does. `MockFaults` is for tests and rehearsals; nothing in the bridge sets it.
"""

import threading
from dataclasses import dataclass, field

import numpy as np

from robot_bridge.clock import Clock
from robot_bridge.devices import ArmState, Frame, GripperState, Picture
from robot_bridge.kinematics import flange_pose as forward
from robot_bridge.kinematics import solve
from robot_bridge.rig import CameraRig
from robot_contract.errors import DeviceFault
from robot_contract.pose import Pose, Vector, interpolate, read_only

TARGET_LIFETIME = 0.1  # [s] the arm's own watchdog
STOPPED = "stopped_by_command"
_LAG = 0.02  # [s] time constant of following
_GRIPPER_SPEED = 0.1  # [m/s] of the width
_PATTERNS = 16  # pictures that differ, shown in turn


@dataclass(kw_only=True, eq=False)
class MockFaults:
    link_down: bool = False  # arm and gripper raise DeviceFault
    state_frozen: bool = False  # the arm's state stops getting newer
    joint_nan: bool = False  # the arm reports a NaN
    silent_cameras: set[str] = field(default_factory=set[str])  # no new frames
    frozen_cameras: set[str] = field(default_factory=set[str])  # new frames with the same picture


class MockArm:
    def __init__(self, clock: Clock, joint_position: Vector, faults: MockFaults) -> None:
        self._clock = clock
        self._faults = faults
        self._guard = threading.Lock()
        self._joints = np.array(joint_position, dtype=np.float64)
        self._velocity = np.zeros(7)
        self._pose = forward(self._joints)
        self._target = self._pose
        self._posture: Vector = self._joints
        self._moved_at = clock.now()
        self._tracked_at = float("-inf")
        self._fault: str | None = None
        self._frozen: ArmState | None = None
        self.tracked = 0  # targets taken, for tests
        self.last_target: Pose | None = None

    def read(self) -> ArmState:
        self._require_link()
        with self._guard:
            if self._faults.state_frozen and self._frozen is not None:
                return self._frozen
            now = self._clock.now()
            self._move(now)
            joints = np.full(7, np.nan) if self._faults.joint_nan else self._joints
            self._frozen = ArmState(
                measured_at=now,
                joint_position=read_only(joints),
                joint_velocity=read_only(self._velocity),
                flange_pose=self._pose,
                commanded_flange_pose=self._target,
                external_wrench=read_only(np.zeros(6)),
                fault=self._fault,
            )
            return self._frozen

    def track(self, flange_pose: Pose, joint_posture: Vector | None) -> None:
        self._require_link()
        if not flange_pose.is_finite():
            raise DeviceFault(f"the arm takes finite poses only, not {flange_pose}")
        with self._guard:
            if self._fault is not None:
                raise DeviceFault(f"the arm refuses to move after {self._fault!r}; recover() is needed")
            now = self._clock.now()
            self._move(now)
            self._target, self._tracked_at = flange_pose, now
            posture = joint_posture if joint_posture is not None else solve(flange_pose, self._joints)
            self._posture = self._joints if posture is None else posture
            self.tracked += 1
            self.last_target = flange_pose

    def stop(self) -> None:
        self._require_link()
        self.trip(STOPPED)

    def trip(self, fault: str) -> None:
        """Stand still and latch this fault."""
        with self._guard:
            self._move(self._clock.now())
            self._target, self._posture = self._pose, self._joints
            self._fault = self._fault or fault

    def recover(self) -> None:
        self._require_link()
        with self._guard:
            self._fault = None

    def place(self, joint_position: Vector) -> None:
        """Put the arm somewhere, as nobody can with a real one."""
        with self._guard:
            self._joints = np.array(joint_position, dtype=np.float64)
            self._pose = self._target = forward(self._joints)
            self._posture = self._joints
            self._moved_at, self._tracked_at = self._clock.now(), float("-inf")

    def close(self) -> None:
        """Nothing to give back."""

    def _require_link(self) -> None:
        if self._faults.link_down:
            raise DeviceFault("the arm does not answer: the link is down")

    def _move(self, now: float) -> None:
        until = min(now, self._tracked_at + TARGET_LIFETIME)
        seconds = until - self._moved_at
        before, elapsed = self._joints, now - self._moved_at
        if seconds > 0:
            share = 1.0 - float(np.exp(-seconds / _LAG))
            self._pose = interpolate(self._pose, self._target, share)
            self._joints = self._joints + (self._posture - self._joints) * share
        if elapsed > 0:
            self._velocity = (self._joints - before) / elapsed
            self._moved_at = now


class MockGripper:
    def __init__(self, clock: Clock, max_width: float, faults: MockFaults) -> None:
        self._clock = clock
        self._faults = faults
        self._max_width = max_width
        self._guard = threading.Lock()
        self._width = self._target = max_width
        self._moved_at = clock.now()
        self.moves = 0

    def read(self) -> GripperState:
        self._require_link()
        with self._guard:
            now = self._clock.now()
            self._move(now)
            moving = abs(self._target - self._width) > 1e-6
            return GripperState(measured_at=now, width=self._width, is_moving=moving, is_grasping=False)

    def move(self, width: float) -> None:
        self._require_link()
        if not 0.0 <= width <= 1.0:
            raise DeviceFault(f"the gripper takes a width of 0 to {self._max_width:g} m, not {width}")
        with self._guard:
            self._move(self._clock.now())
            self._target = min(width, self._max_width)
            self.moves += 1

    def close(self) -> None:
        """Nothing to give back."""

    def _require_link(self) -> None:
        if self._faults.link_down:
            raise DeviceFault("the gripper does not answer: the link is down")

    def _move(self, now: float) -> None:
        reach = _GRIPPER_SPEED * (now - self._moved_at)
        self._width += min(max(self._target - self._width, -reach), reach)
        self._moved_at = now


class MockCamera:
    """A test picture whose bar moves on with every frame; cameras of one rate expose together."""

    def __init__(self, clock: Clock, rig: CameraRig, faults: MockFaults) -> None:
        self._clock = clock
        self._rig = rig
        self._faults = faults
        self._patterns = [_pattern(rig.width, rig.height, i) for i in range(_PATTERNS)]
        self._newest: Frame | None = None

    def latest(self) -> Frame | None:
        name, rig = self._rig.name, self._rig
        if name in self._faults.silent_cameras:
            return self._newest
        index = int((self._clock.now() - rig.latency) * rig.rate_hz)
        if self._newest is None or index > self._newest.sequence:
            frozen = name in self._faults.frozen_cameras and self._newest is not None
            self._newest = Frame(
                exposed_at=index / rig.rate_hz,
                sequence=index,
                picture=self._newest.picture
                if frozen and self._newest is not None
                else self._patterns[index % _PATTERNS],
            )
        return self._newest

    def close(self) -> None:
        """Nothing to give back."""


def _pattern(width: int, height: int, index: int) -> Picture:
    rows, columns = np.mgrid[0:height, 0:width]
    picture = np.empty((height, width, 3), dtype=np.uint8)
    picture[..., 0] = rows * 255 // max(height - 1, 1)
    picture[..., 1] = columns * 255 // max(width - 1, 1)
    picture[..., 2] = 96
    bar = (columns * _PATTERNS) // width == index
    picture[bar] = 255 - picture[bar]
    picture.setflags(write=False)
    return picture
