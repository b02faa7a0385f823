"""The bridge: devices, control thread, asking thread and recorder put together, and what an operator can ask.

Every method may be called from any thread. Nothing that takes time happens in the control thread: contracts
are fetched and latencies measured here, and only the result goes there.
"""

import logging
import secrets
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout

from robot_bridge.arming import policy_problems
from robot_bridge.asking import CONNECTED, Asking, PolicyAnswers, PolicyConnection
from robot_bridge.commands import Command, Preparation
from robot_bridge.control_thread import ControlThread
from robot_bridge.direct_asking import DirectAsking
from robot_bridge.loop import ControlLoop, Snapshot
from robot_bridge.open_devices import Devices
from robot_bridge.probing import measure_latency
from robot_bridge.records import NoRecorder, Recorder
from robot_bridge.rig import SIMULATED, Rig
from robot_bridge.status import Surroundings, bridge_status
from robot_bridge.trial import Trial
from robot_bridge.watchdogs import camera_problems, policy_cameras
from robot_contract.calibration import CameraCalibration
from robot_contract.messages import BridgeStatus, JointGoal, OperatorEvent, TrialSetup

_log = logging.getLogger(__name__)

_ANSWER_SECONDS = 5.0  # the longest that the control thread may take to answer a command
_REST_SECONDS = 3.0  # to come to rest
_CONNECT_SECONDS = 1.0  # [s] for the stream to the policy server
_SCENE_SECONDS = 60.0  # [s] the same with a scene to build


class Refused(Exception):
    """The bridge does not do what the operator asked for; the text says why."""


class Bridge:
    def __init__(
        self,
        rig: Rig,
        devices: Devices,
        policy_server: PolicyConnection,
        *,
        recorder: Recorder | None = None,
        dry_run: bool = False,
    ) -> None:
        self.rig = rig
        self.devices = devices
        self._policy_server = policy_server
        self._recorder = recorder or NoRecorder()
        self._answers: PolicyAnswers
        if rig.simulation is not None and rig.is_stepped:
            self._answers = DirectAsking(policy_server, rig.simulation.policy_latency)
        else:
            self._answers = Asking(policy_server, devices.clock)
        name = f"{rig.name}.{secrets.token_hex(4)}"
        self.loop = ControlLoop(rig, devices, self._answers, self._recorder, name=name, dry_run=dry_run)
        self.control = ControlThread(self.loop)
        self._one_at_a_time = threading.Lock()
        self._calibrations = _calibrations(rig)
        self._policy_problems: tuple[str, ...] = ()
        self.lease_holder = ""
        self.withheld = ""  # why whoever runs this bridge does not let it be armed; empty when it does

    def start(self) -> None:
        if isinstance(self._answers, Asking):
            self._answers.start()
        self.control.start()

    def close(self) -> None:
        """Come to rest along the present path, and then give everything back."""
        self.control.close()
        if isinstance(self._answers, Asking):
            self._answers.close()
        self._recorder.close()
        self.devices.close()

    # what an operator can ask for

    def prepare(self, setup: TrialSetup) -> None:
        self.rig.pose(setup.start_pose)
        if setup.scene is not None and self.rig.arm.driver not in SIMULATED:
            raise Refused(f"{self.rig.arm.driver} is a real robot: a scene cannot be set up for it")
        if setup.record and (problem := self._recorder.refusal()):
            raise Refused(problem)
        contract = self._policy_server.get_contract(setup.policy, timeout=_ANSWER_SECONDS)
        trial = Trial(
            setup=setup,
            contract=contract,
            instruction=setup.instruction,
            calibration_digests={name: c.digest for name, c in self._calibrations.items()},
        )
        with self._one_at_a_time:
            self._wait_for_rest()
            self._policy_problems = ("the arming check is under way",)
            done: Future[str] = Future()
            self.loop.commands.put(Preparation(trial=trial, done=done))
            _wait(done, _SCENE_SECONDS)
            self._policy_problems = tuple(self._check(trial))
            self._wait_until_connected()

    def _check(self, trial: Trial) -> list[str]:
        problems: list[str] = []
        if not trial.instruction:
            problems.append("the trial has no instruction, and this robot's scene has none of its own")
        if isinstance(self._answers, DirectAsking):
            self._answers.assume_latency(self.rig)
        else:
            self._answers.ages.forget()  # of another policy, or of a server that has recovered
            problems += measure_latency(
                self._policy_server, self.devices, self.rig, trial.contract, self._answers.ages
            )
        return problems + policy_problems(self.rig, trial.contract, self._calibrations, self._answers.ages)

    def _wait_for_rest(self) -> None:
        """A trial that has just ended leaves the arm braking for a moment."""
        until = time.monotonic() + _REST_SECONDS
        while self.loop.modes.mode in ("IDLE", "ARMED") and not self.loop.is_at_rest:
            if time.monotonic() >= until:
                return
            time.sleep(0.005)

    def _wait_until_connected(self) -> None:
        """The stream opens beside the arming check; what still hinders it afterwards is a problem."""
        until = time.monotonic() + _CONNECT_SECONDS
        while self._answers.state != CONNECTED and time.monotonic() < until:
            time.sleep(0.01)

    def send(self, event: OperatorEvent) -> None:
        if event.action == "stop":
            self.stop(event)
            return
        with self._one_at_a_time:
            if event.action in ("arm", "start") and (problems := self.problems()):
                raise Refused("; ".join(problems))
            self._command(Command(event=event.action, operator=event))

    def stop(self, event: OperatorEvent) -> None:
        """Goes past everything that may be waiting."""
        command = Command(event="stop", operator=event)
        self.loop.stops.put(command)
        _wait(command.done, _ANSWER_SECONDS)

    def move_to(self, goal: JointGoal, operator: str) -> None:
        """Set out for a pose; `status` tells how it goes."""
        joints = goal.joint_position or self.rig.pose(goal.name)
        limits = self.rig.limits
        for i, (low, value, high) in enumerate(zip(limits.joint_low, joints, limits.joint_high, strict=True)):
            if not low <= value <= high:
                raise Refused(f"joint {i + 1}: {value:.3f} rad is outside {low:.3f} to {high:.3f}")
        event = OperatorEvent(action="start", operator=operator, note=f"move to {goal.name or list(joints)}")
        with self._one_at_a_time:
            self._command(Command(event="move", operator=event, goal=tuple(joints)))

    @property
    def is_moving(self) -> bool:
        """Is a motion to a pose under way, or waiting for the key?"""
        return self.loop.conduct.is_moving

    def pause_move(self, operator: str) -> None:
        event = OperatorEvent(action="pause", operator=operator, note="nobody watches the motion any more")
        with self._one_at_a_time:
            self._command(Command(event="pause", operator=event))

    def _command(self, command: Command) -> None:
        self.loop.commands.put(command)
        _wait(command.done, _ANSWER_SECONDS)

    # what can be seen

    def snapshot(self) -> Snapshot:
        snapshot = self.loop.snapshot.peek()
        if snapshot is None:
            raise Refused("the control thread has not run yet")
        return snapshot

    def problems(self) -> tuple[str, ...]:
        """What stands against arming now, all of it."""
        snapshot = self.snapshot()
        found = list(self.control.problems())
        if self.withheld:
            found.append(self.withheld)
        if snapshot.sensed.fault:
            found.append(snapshot.sensed.fault)
        trial = snapshot.trial
        if trial is not None:
            found += self._policy_problems
            if self._answers.state != CONNECTED:
                found.append(f"policy server {self.rig.policy_server.address}: {self._answers.state}")
            known = {camera.name for camera in self.rig.cameras}
            if not self.rig.is_stepped and all(camera.name in known for camera in trial.contract.cameras):
                cameras = policy_cameras(self.rig, trial.contract)
                now = self.devices.clock.now()
                found += camera_problems(self.rig, cameras, snapshot.sensed.traces, now)
            if trial.setup.record and (problem := self._recorder.refusal()):
                found.append(problem)
        return tuple(dict.fromkeys(found))

    def status(self) -> BridgeStatus:
        now = self.devices.clock.now()
        world = self.devices.world
        around = Surroundings(
            problems=self.problems(),
            answers=self._answers,
            recording=self._recorder.status(),
            lease_holder=self.lease_holder,
            hold_age=max(self.loop.conduct.hold_to_run.age(now), 0.0),
            truth=world.truth() if world is not None else None,
        )
        return bridge_status(self.rig, self.snapshot(), around, now)


def _wait(done: Future[str], seconds: float) -> None:
    try:
        problem = done.result(timeout=seconds)
    except FutureTimeout:
        raise Refused(f"the control thread did not answer within {seconds:g} s") from None
    if problem:
        raise Refused(problem)


def _calibrations(rig: Rig) -> Mapping[str, CameraCalibration]:
    return {camera.name: camera.calibration for camera in rig.cameras if camera.calibration is not None}
