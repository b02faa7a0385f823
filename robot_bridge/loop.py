"""The control loop: one tick senses, attends, asks, chooses, judges, acts and records. It never waits.

Modes decide whether anything may move, `filter_action` decides what is sent, and both are asked every tick.
Leaving RUNNING for whatever reason ends in a deceleration along the present path and nothing else.
"""

import logging
from dataclasses import dataclass

import numpy as np

from robot_bridge.asking import PolicyAnswers
from robot_bridge.commands import Command, Preparation
from robot_bridge.gripper_command import (
    GripperCommand,
    gripper_at_start,
    gripper_width,
    next_gripper_command,
)
from robot_bridge.hold_to_run import HoldToRun
from robot_bridge.joint_move import JointMove, plan_joint_move
from robot_bridge.kinematics import jacobian
from robot_bridge.latest import Latest
from robot_bridge.modes import Event, Modes, State, after, refusal
from robot_bridge.open_devices import Devices
from robot_bridge.policy_drive import PolicyDrive, Proposal, Sent
from robot_bridge.records import EventRecord, Recorder, TickRecord, TrialEnds
from robot_bridge.rig import Rig
from robot_bridge.safety import Memory, RobotState, Target, Verdict, filter_action
from robot_bridge.sensing import Sensed, Senses
from robot_bridge.trial import Trial, trial_begins
from robot_bridge.watchdogs import camera_problems, policy_cameras, tick_problem
from robot_contract.errors import DeviceFault
from robot_contract.pose import Vector, quaternion_rotate, read_only

_log = logging.getLogger(__name__)

_NO_KEY_NEEDED = 1  # the press that counts where a rig needs no key
_RECOVERY = 0.3  # [s] after a clear in which the arm's old report does not count
_NEVER = float("-inf")


@dataclass(frozen=True, kw_only=True, eq=False)
class Snapshot:
    """What everybody else may know of the loop, once a tick."""

    at: float  # [s]
    modes: Modes
    sensed: Sensed
    trial: Trial | None
    verdict: Verdict
    chunk_age: float  # [s]
    tcp_speed: float  # [m/s] measured
    gripper_opening: float  # commanded, 0..1
    held: bool
    ticks: int
    missed_ticks: int


class ControlLoop:
    def __init__(
        self,
        rig: Rig,
        devices: Devices,
        answers: PolicyAnswers,
        recorder: Recorder,
        *,
        name: str,
        dry_run: bool = False,
    ) -> None:
        self.rig = rig
        self.devices = devices
        self.hold_to_run = HoldToRun()
        self.commands: Latest[Command | Preparation] = Latest()
        self.stops: Latest[Command] = Latest()
        self.snapshot: Latest[Snapshot] = Latest()
        self.modes = Modes()
        self.ticks = 0
        self.missed_ticks = 0
        self.missed_in_a_row = 0
        self.lateness = 0.0  # [s] of the present tick after its deadline
        self._answers = answers
        self._recorder = recorder
        self._name = name
        self._dry_run = dry_run
        self._senses = Senses(arm=devices.arm, gripper=devices.gripper, cameras=devices.cameras)
        self._trial: Trial | None = None
        self._policy: PolicyDrive | None = None
        self._goal: Vector | None = None  # of a motion to a pose, until it is reached or given up
        self._move: JointMove | None = None
        self._hold_since: float | None = None
        self._cleared_at = _NEVER
        self._arm_was_stopped = False
        now = devices.clock.now()
        sensed = self._senses.read(now, with_cameras=False)
        self._memory = Memory.at_rest(sensed.arm, now)
        self._gripper = gripper_at_start(sensed.gripper.width / rig.gripper.max_width)

    def tick(self) -> None:
        now = self.devices.clock.now()
        sensed = self._senses.read(now, with_cameras=self._needs_pictures(now))
        self._attend(sensed, now)
        missing = self._watch(sensed, now)
        self._ask(sensed, now)
        proposal = self._choose(sensed, now) if self.is_running and not missing else None
        before = (
            self._memory
            if self._is_tracking(sensed)
            else Memory.at_rest(sensed.arm, now - self.rig.tick_period)
        )
        target, verdict, self._memory = filter_action(
            RobotState(arm=sensed.arm, flange_from_tcp=self.rig.flange_from_tcp),
            proposal.target if proposal is not None else None,
            self.rig.limits,
            before,
            now=now,
            stopping=self.modes.state is State.FAULT,
        )
        self._follow(verdict, missing, now)
        was_tracked = self._act(target, proposal, sensed, now)
        self._record(sensed, proposal, before, target, verdict, was_tracked, now)

    @property
    def is_running(self) -> bool:
        return self.modes.state is State.RUNNING

    @property
    def is_moving(self) -> bool:
        """Is a motion to a pose under way, or waiting for the operator?"""
        return self._goal is not None

    @property
    def is_at_rest(self) -> bool:
        return self._memory.is_at_rest()

    def _is_tracking(self, sensed: Sensed) -> bool:
        """Does the arm follow what is sent? At rest in IDLE and FAULT it is left alone."""
        if sensed.fault:
            return False
        return self.modes.state not in (State.IDLE, State.FAULT) or not self.is_at_rest

    def _needs_pictures(self, now: float) -> bool:
        """A stepped world draws a picture only for who asks for it."""
        if not self.rig.is_stepped:
            return True
        return self.is_running and self._policy is not None and self._policy.wants_pictures(now)

    def _drives(self, sensed: Sensed) -> PolicyDrive | None:
        return self._policy if self.is_running and self._goal is None else None

    # attend: events of this tick, a stop before all others

    def _attend(self, sensed: Sensed, now: float) -> None:
        stop = self.stops.take()
        if stop is not None:
            self._obey(stop, now)
        if sensed.device_fault:
            self._event("fault", sensed.device_fault, now)
        elif sensed.arm_fault and not now - self._cleared_at <= _RECOVERY:
            self._event("fault", sensed.arm_fault, now)
        command = self.commands.take()
        if isinstance(command, Preparation):
            command.done.set_result(self._prepare(command.trial, now))
        elif command is not None:
            self._obey(command, now)
        self._heed_the_key(now)

    def _heed_the_key(self, now: float) -> None:
        press = self.hold_to_run.press(now) if self.rig.hold_to_run else _NO_KEY_NEEDED
        is_free = press == 0 or not self.rig.hold_to_run
        if is_free and self.modes.state is State.HOLDING_FOR_RELEASE:
            self._event("released", self.modes.why, now)
        if press == 0 and self.is_running:
            self._event("released", "the key is not held", now)
        elif press != 0 and self.modes.state is State.HOLDING_FOR_PRESS:
            self._event("pressed", "the key is held", now)

    def _obey(self, command: Command, now: float) -> None:
        before = self.modes.state.name
        problem = refusal(self.modes, command.event, now=now) or self._not_ready(command)
        if not problem:
            why = f"{command.operator.operator or 'somebody'} pressed {command.event}"
            if command.event == "clear":
                problem = self._recover(now)
            if command.event == "move":
                self._goal = read_only(command.goal)
            if not problem:
                self._event(command.event, why, now)
        self._recorder.write(
            EventRecord(
                at=now,
                event=command.operator,
                refusal=problem,
                mode_before=before,
                mode_after=self.modes.state.name,
            )
        )
        command.done.set_result(problem)

    def _not_ready(self, command: Command) -> str:
        if command.event != "start" or self._goal is not None:
            return ""
        if self._trial is None:
            return "no trial is prepared"
        return "this trial has ended; prepare the next one" if self._trial.has_ended else ""

    def _recover(self, now: float) -> str:
        try:
            self.devices.arm.recover()
        except DeviceFault as error:
            return f"the arm does not recover: {error}"
        self._cleared_at = now
        self._arm_was_stopped = False
        return ""

    def _prepare(self, trial: Trial, now: float) -> str:
        if self.modes.state not in (State.IDLE, State.ARMED) or not self.is_at_rest:
            return f"a trial is prepared in IDLE or ARMED with the arm at rest; the mode is {self.modes.mode}"
        world = self.devices.world
        if trial.setup.scene is not None:
            if world is None:
                return "this rig has no simulated scene; prepare the trial without one"
            staged = world.stage(trial.setup.scene)
            trial.instruction = trial.instruction or staged.instruction
            trial.scene = staged.document
            self._senses.forget_pictures()
            self._memory = Memory.at_rest(self.devices.arm.read(), now)
        self._end_trial("another trial was prepared", now)
        self._trial = trial
        self._policy = PolicyDrive(self.rig, trial, self._answers, self._recorder, self._name)
        self._answers.prepare(trial.contract)
        return ""

    def _event(self, event: Event, why: str, now: float) -> None:
        """Change the mode, and do what belongs to entering and leaving RUNNING."""
        before = self.modes
        self.modes = after(before, event, why=why, now=now)
        if self.modes is before:
            return
        state = self.modes.state
        if before.state is State.RUNNING and self._policy is not None:
            self._policy.interrupt(now)
        if state is State.RUNNING:
            self._set_out(now)
        if state in (State.IDLE, State.ARMED, State.FAULT):
            self._goal = self._move = None
        if state is State.FAULT:
            _log.error("FAULT: %s", why)
        if event in ("disarm", "finished", "stop", "fault") and before.state not in (State.IDLE, State.ARMED):
            self._end_trial(why, now)
        self._hold_since = None

    def _set_out(self, now: float) -> None:
        if self._goal is not None:
            start = self._memory.posture.joint_position
            self._move = plan_joint_move(start, self._goal, self.rig.limits, now=now)
        elif self._trial is not None and self._policy is not None:
            if not self._trial.has_begun:
                self._trial.has_begun = True
                self._gripper = GripperCommand(closed=False, changed_at=now)  # as training begins
                self._move_gripper(now)
                if self.devices.world is not None:
                    self.devices.world.begin_episode()
                self._recorder.write(trial_begins(self._trial, self.rig, now))
            self._policy.resume(now)

    def _end_trial(self, why: str, now: float) -> None:
        trial = self._trial
        if trial is not None and trial.has_begun and not trial.has_ended:
            trial.has_ended = True
            self._recorder.write(TrialEnds(at=now, why=why, verdict_counts=dict(trial.verdict_counts)))

    # watch and ask

    def _watch(self, sensed: Sensed, now: float) -> str:
        """What is missing for this tick; what must not be missing at all ends RUNNING at once."""
        policy = self._drives(sensed)
        if not self.is_running:
            return ""
        late = tick_problem(self.rig, missed_in_a_row=self.missed_in_a_row)
        if policy is None or self._trial is None:
            starving, cameras = "", []
        else:
            starving = policy.problem(now)
            cameras = policy_cameras(self.rig, self._trial.contract) if not self.rig.is_stepped else []
        if late or starving:
            self._event("watchdog", late or starving, now)
            return late or starving
        return "; ".join(camera_problems(self.rig, cameras, sensed.traces, now))

    def _ask(self, sensed: Sensed, now: float) -> None:
        policy = self._drives(sensed)
        if policy is not None:
            policy.ask(sensed, self._gripper.opening, now)

    # choose, and what a verdict means

    def _choose(self, sensed: Sensed, now: float) -> Proposal:
        if self._move is not None:
            return Proposal(target=self._move.target_at(now))
        sent = Sent(target=self._memory.sent, speed=_speed(self._memory))
        if self._policy is None:
            return Proposal(target=sent.target)
        return self._policy.propose(sensed, sent, now)

    def _follow(self, verdict: Verdict, missing: str, now: float) -> None:
        trial, why = self._trial, missing or _words(verdict)
        if verdict.kind == "STOP":
            if self.modes.state is not State.FAULT:
                self._event("fault", why, now)
            return
        if not self.is_running:
            return
        if trial is not None and self._move is None:
            trial.elapsed += self.rig.tick_period
            trial.verdict_counts[verdict.kind] += 1
        if verdict.kind == "HOLD":
            self._hold_since = now if self._hold_since is None else self._hold_since
            if self._policy is not None:
                self._policy.interrupt(now)
            if not now - self._hold_since <= self.rig.watchdogs.longest_hold:
                self._event("watchdog", why, now)
            return
        self._hold_since = None
        clamped = self._memory.clamped_ticks * self.rig.tick_period
        if not clamped <= self.rig.watchdogs.longest_clamp:
            self._event("fault", f"every target of the last {clamped:.1f} s was clamped: {why}", now)
        elif self._move is not None:
            self._end_move(self._move, now)
        elif trial is not None and not trial.elapsed < trial.setup.time_limit:
            self._event("finished", f"the time limit of {trial.setup.time_limit:g} s is reached", now)

    def _end_move(self, move: JointMove, now: float) -> None:
        if now < move.ends_at or not self.is_at_rest:
            return
        self._event("finished", move.outcome(self._memory.sent.flange_pose), now)

    # act and record

    def _act(self, target: Target, proposal: Proposal | None, sensed: Sensed, now: float) -> bool:
        tracks = self._is_tracking(sensed)
        try:
            if tracks and not self._dry_run:
                self.devices.arm.track(target.flange_pose, target.joint_posture)
            elif self.modes.state is State.FAULT and not self._arm_was_stopped:
                self._arm_was_stopped = True
                self.devices.arm.stop()
        except DeviceFault as error:
            self._event("fault", str(error), now)
            tracks = False
        if self.is_running and proposal is not None and proposal.opening is not None and self._trial:
            following = next_gripper_command(
                proposal.opening,
                self._gripper,
                self._trial.contract.gripper,
                now=now,
                dwell=self.rig.gripper.dwell,
            )
            if following is not self._gripper:
                self._gripper = following
                self._move_gripper(now)
        return tracks and not self._dry_run

    def _move_gripper(self, now: float) -> None:
        if self._trial is None or self._dry_run:
            return
        try:
            self.devices.gripper.move(gripper_width(self._gripper, self._trial.contract.gripper))
        except DeviceFault as error:
            self._event("fault", str(error), now)

    def _record(
        self,
        sensed: Sensed,
        proposal: Proposal | None,
        before: Memory,
        target: Target,
        verdict: Verdict,
        was_tracked: bool,
        now: float,
    ) -> None:
        self.ticks += 1
        if self._policy is not None:
            self._policy.remember(sensed, self._memory.sent, now)
        chunk_age = self._policy.chunk_age(now) if self._policy is not None else float("inf")
        held = not self.rig.hold_to_run or self.hold_to_run.press(now) != 0
        self._recorder.write(
            TickRecord(
                tick=self.ticks,
                at=now,
                lateness=self.lateness,
                missed_ticks=self.missed_ticks,
                trial_id=self._trial.setup.trial_id if self._trial is not None else "",
                mode=self.modes.state.name,
                why=self.modes.why,
                state=RobotState(arm=sensed.arm, flange_from_tcp=self.rig.flange_from_tcp),
                gripper=sensed.gripper,
                proposed=proposal.target if proposal is not None else None,
                stopping=self.modes.state is State.FAULT,
                memory_before=before,
                memory_after=self._memory,
                sent=target,
                was_tracked=was_tracked,
                verdict=verdict,
                gripper_opening=self._gripper.opening,
                session=self._policy.session if self._policy is not None else "",
                chunk_sequence=proposal.sequence if proposal is not None else -1,
                chunk_step=proposal.step if proposal is not None else -1,
                chunk_age=chunk_age,
                camera_ages=sensed.camera_ages(),
                held=held,
                hold_age=self.hold_to_run.age(now),
                limits_digest=self.rig.limits_digest,
            )
        )
        self.snapshot.put(
            Snapshot(
                at=now,
                modes=self.modes,
                sensed=sensed,
                trial=self._trial,
                verdict=verdict,
                chunk_age=chunk_age,
                tcp_speed=_tcp_speed(sensed, self.rig),
                gripper_opening=self._gripper.opening,
                held=held,
                ticks=self.ticks,
                missed_ticks=self.missed_ticks,
            )
        )


def _speed(memory: Memory) -> float:
    """The larger of [m/s] and [rad/s] at which the sent target moves."""
    return float(np.sqrt((memory.velocity**2).sum(axis=1)).max())


def _tcp_speed(sensed: Sensed, rig: Rig) -> float:
    """[m/s] of the measured TCP."""
    arm = sensed.arm
    if not np.isfinite(arm.joint_position).all():
        return 0.0
    twist = jacobian(arm.joint_position) @ arm.joint_velocity
    lever = quaternion_rotate(arm.flange_pose.quaternion, rig.flange_from_tcp.position)
    velocity = twist[:3] + np.cross(twist[3:], lever)
    return float(np.sqrt(velocity @ velocity))


def _words(verdict: Verdict) -> str:
    return "; ".join(reason.sentence for reason in verdict.reasons)
