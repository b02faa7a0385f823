"""The thread between the bridge and the arm: it reads the arm, pulls its reference, and is its last watchdog.

franky follows the last reference for ever. So the reference lives here: it stands, and nothing is fed forward
any more, as soon as the control loop sends no targets, whatever that loop is doing; a second later the arm
gets control back. What it reports and what it really does is looked at 200 times a second. A fault latches,
and nothing here ever takes it away but `recover`.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from robot_bridge.devices import ArmState
from robot_bridge.franka.control_interface import ControlInterface, FciState
from robot_bridge.franka.errors import fault_sentence
from robot_bridge.franka.monitor import Monitor
from robot_bridge.franka.reference import JointReference
from robot_bridge.franka.velocity import tcp_twist
from robot_bridge.kinematics import flange_pose
from robot_bridge.rig import Rig
from robot_contract.errors import DeviceFault
from robot_contract.pose import Pose, Vector, angle_between, distance_between

_log = logging.getLogger(__name__)

STOPPED = "stopped_by_command"
PERIOD = 0.005  # [s] between two looks at the arm
TARGET_LIFETIME = 0.1  # [s] without a target the reference stands, wherever it is
CONTROL_LIFETIME = 1.0  # [s] without a target control is given back to the arm
RECOVERY_SECONDS = 4.0  # [s] a recovery may take, a new connection included
_EVERY = 2  # looks at the arm between two references: 100 Hz
_MOVED_BY_HAND = (0.005, 0.02)  # [m] and [rad]: an arm without control that stands farther off was moved
_REST_SECONDS = 2.0  # to come to rest before the connection is closed
_REALTIME_PRIORITY = 45  # SCHED_FIFO, above the control loop's
_STANDSTILL = 0.02  # [rad/s]


@dataclass(frozen=True, kw_only=True, eq=False)
class Target:
    flange_pose: Pose
    joint_position: Vector
    at: float  # [s]


class Recovery:
    """One CLEAR, and whether somebody still waits for it: nothing is cleared behind anybody's back."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.refusal = ""
        self.is_given_up = False


class Link:
    def __init__(self, rig: Rig, connect: Callable[[], ControlInterface]) -> None:
        assert rig.franka is not None
        self._rig, self._settings, self._connect = rig, rig.franka, connect
        self._joint_speed = rig.limits.joint_speed_share * rig.limits.arm.joint_speed
        self._guard = threading.RLock()
        self._closing = threading.Event()
        self._fci = connect()
        self._lost = ""  # why the arm does not answer
        self._fault = ""
        self._recoveries = 0
        self._asked: Recovery | None = None
        self._looks = 0
        self._forget_motion()
        first = self._fci.read()
        disagreement = distance_between(flange_pose(first.joint_position), first.flange_pose)
        if not disagreement <= 0.002:
            raise DeviceFault(
                f"the arm says that its flange stands {disagreement * 1000:.0f} mm from where its joints put"
                " it: its model is not the one of this program"
            )
        self._commanded = first.flange_pose
        self._seen, self._seen_at = first, time.monotonic()
        self._note(first)
        self._thread = threading.Thread(target=self._run, name="franka-link", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Give control back, and let the arm hold itself."""
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=3.0)
        with self._guard:
            self._is_ending = True
            try:
                self._fci.halt()
            except DeviceFault as error:
                _log.error("%s", error)
        until = time.monotonic() + _REST_SECONDS
        while self._is_moving and not self._lost and time.monotonic() < until:
            time.sleep(PERIOD)  # let the arm come to rest before the connection goes
            self._look()
        self._lost = self._lost or "the connection to the arm was closed"
        self._fci.close()

    # for the control loop, from any thread; nothing here waits, `recover` aside

    def state(self) -> ArmState:
        with self._guard:
            self._require_answer()
            seen = self._seen
            return ArmState(
                measured_at=self._seen_at,
                joint_position=seen.joint_position,
                joint_velocity=seen.joint_velocity,
                flange_pose=seen.flange_pose,
                commanded_flange_pose=self._commanded,
                external_wrench=seen.external_wrench,
                fault=self._fault or None,
            )

    def aim(self, pose: Pose, joint_position: Vector) -> None:
        now = time.monotonic()
        with self._guard:
            self._require_answer()
            if self._fault:
                raise DeviceFault(
                    f"the arm refuses to move after {self._fault}; recover() accepts motion again"
                )
            self._target = Target(flange_pose=pose, joint_position=joint_position, at=now)
            self._commanded = pose
            if self._reference is not None:
                self._reference.aim(joint_position, now)

    def posture(self) -> Vector:
        """The joint position that a target without one is solved from."""
        with self._guard:
            target = self._target
            return target.joint_position if target is not None else self._seen.joint_position

    def stop(self) -> None:
        with self._guard:
            self._latch((STOPPED,))
        self._require_answer()

    def recover(self) -> None:
        """A person's act. Waits until the arm stands ready again, or says why it does not."""
        recovery = Recovery()
        with self._guard:
            if not self._thread.is_alive():
                raise DeviceFault("the link to the arm has ended; restart the bridge")
            self._asked = recovery
        recovery.done.wait(RECOVERY_SECONDS)
        with self._guard:
            if not recovery.done.is_set():
                recovery.is_given_up = True
                address = self._rig.arm.options["address"]
                raise DeviceFault(f"the arm at {address} did not answer in time; clear again")
        if recovery.refusal:
            raise DeviceFault(recovery.refusal)

    def _require_answer(self) -> None:
        if self._lost:
            raise DeviceFault(self._lost)

    # the thread

    def _run(self) -> None:
        with suppress(PermissionError):  # franky's own thread is started from here and gets the same
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_REALTIME_PRIORITY))
        due = time.monotonic()
        try:
            while not self._closing.is_set():
                self._look()
                self._serve_recovery()
                due = max(due + PERIOD, time.monotonic())
                time.sleep(max(due - time.monotonic(), 0.0))
        except Exception as error:
            _log.exception("the link to the arm failed; the arm is stopped")
            with self._guard:
                self._lost = f"the link to the arm failed: {error}; restart the bridge"
            self._fci.halt()
            raise

    def _look(self) -> None:
        if self._lost:
            return
        try:
            state = self._fci.read()
        except DeviceFault as error:
            self._lose(error)
            return
        with self._guard:
            self._looks += 1
            now = time.monotonic()
            if state.robot_time != self._seen.robot_time:
                self._seen_at = now  # a state that stands still grows old
            self._seen = state
            try:
                self._note(state)
                self._drive(state, now)
            except DeviceFault as error:
                self._lose(error)

    def _lose(self, error: DeviceFault) -> None:
        with self._guard:
            self._lost = (
                f"{error}; nothing moves. When cable, brakes and FCI are in order again (Desk shows them),"
                " CLEAR connects anew"
            )
            self._latch(("connection_lost",))
            _log.error("%s", self._lost)

    def _note(self, state: FciState) -> None:
        """Latch what the arm reports."""
        if self._is_moving and not state.in_control:
            names = state.errors or self._fci.how_it_ended()
            if names:
                self._latch(names)
            self._forget_motion()
            self._commanded = state.flange_pose if self._fault else self._commanded
        elif state.errors:
            self._latch(state.errors)
        elif not state.in_control:
            self._follow_by_hand(state)

    def _follow_by_hand(self, state: FciState) -> None:
        """An arm that was moved by hand, or that sank when it was stopped, stands where it stands."""
        distance, angle = _MOVED_BY_HAND
        near = (
            distance_between(self._commanded, state.flange_pose) <= distance
            and angle_between(self._commanded, state.flange_pose) <= angle
        )
        if not near and self._target is None:
            self._commanded = state.flange_pose

    def _drive(self, state: FciState, now: float) -> None:
        if self._fault or self._is_ending:
            return
        target = self._target
        if not self._is_moving:
            if target is not None and now - target.at <= TARGET_LIFETIME:
                self._begin(state, target, now)
            else:
                self._target = None
            return
        assert self._reference is not None
        if target is None or not now - target.at <= CONTROL_LIFETIME:
            self._target, self._is_ending = None, True
            self._fci.halt()
            return
        if not now - target.at <= TARGET_LIFETIME:
            self._reference.stand(now)
        names, detail = self._monitor.problem(state, self._commanded, now)
        if names:
            self._latch(names, detail)
        elif self._looks % _EVERY == 0:
            self._pull(state, now)

    def _begin(self, state: FciState, target: Target, now: float) -> None:
        reference = JointReference(state.joint_position, self._joint_speed, self._rig.tick_period)
        reference.aim(target.joint_position, now)
        self._fci.begin(state.joint_position)
        self._reference, self._is_moving = reference, True
        self._monitor = Monitor(self._rig.limits, self._settings.success_rate, now)

    def _pull(self, state: FciState, now: float) -> None:
        assert self._reference is not None
        joints, speed = self._reference.at(now)
        if self._fci.tracking == "impedance":
            self._fci.pull(joints, speed)
        else:
            self._fci.push(tcp_twist(state.flange_pose, joints, speed, self._rig.flange_from_tcp))

    def _latch(self, names: tuple[str, ...], detail: str = "") -> None:
        """Stop, and keep the first reason."""
        if not self._fault:
            self._fault = fault_sentence(names, detail)
            if names != (STOPPED,):
                _log.error("the arm: %s", self._fault)
        self._target = None
        if self._is_moving and not self._is_ending and not self._lost:
            self._is_ending = True
            try:
                self._fci.halt()
            except DeviceFault as error:
                self._fault = f"{self._fault}; {error}"
                _log.error("%s", error)

    def _forget_motion(self) -> None:
        self._reference: JointReference | None = None
        self._target: Target | None = None
        self._is_moving = False  # franky has control
        self._is_ending = False  # and was told to give it back

    # recovery

    def _serve_recovery(self) -> None:
        with self._guard:
            recovery, self._asked = self._asked, None
        if recovery is None:
            return
        try:
            self._recover(recovery)
        except DeviceFault as error:
            recovery.refusal = str(error)
            recovery.done.set()

    def _recover(self, recovery: Recovery) -> None:
        if self._lost:
            self._fci.close()
            self._fci = self._connect()
            with self._guard:
                self._lost = ""
        state = self._rested()
        if state.errors:
            allowed = self._settings.recoveries
            if {"user_stopped", "guiding", "not_ready"} & set(state.errors):
                raise DeviceFault(fault_sentence(state.errors))
            if self._recoveries >= allowed:
                raise DeviceFault(
                    f"{', '.join(state.errors)}: the rig allows {allowed} recoveries, and all were used; find"
                    " out why they were needed, then restart the bridge"
                )
            self._recoveries += 1
            self._fci.recover()
            state = self._rested()
            if state.errors:
                raise DeviceFault(f"the arm keeps its error: {fault_sentence(state.errors)}")
        with self._guard:
            self._seen, self._seen_at = state, time.monotonic()
            self._commanded = state.flange_pose
            self._forget_motion()
            if not recovery.is_given_up:
                self._fault = ""
                recovery.done.set()

    def _rested(self) -> FciState:
        """The state when the arm stands without control; what does not come to rest is not recovered."""
        until = time.monotonic() + 1.0
        while True:
            state = self._fci.read()
            still = float(np.abs(state.joint_velocity).max()) <= _STANDSTILL
            if still and not state.in_control:
                return state
            if time.monotonic() >= until:
                raise DeviceFault("the arm has not come to rest yet; wait, then clear")
            time.sleep(PERIOD)
