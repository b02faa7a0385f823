"""What the bridge is doing and why: it obeys the operator, heeds the key, and ends what has to end.

The modes table decides what an event means, `TrialCourse` keeps the trial; here stands what belongs to
entering and leaving RUNNING, and what a missing picture, a missing chunk or a verdict does to the mode.
"""

import logging
from concurrent.futures import Future

from robot_bridge.asking import PolicyAnswers
from robot_bridge.commands import Command, Preparation
from robot_bridge.hand import Hand
from robot_bridge.hold_to_run import HoldToRun
from robot_bridge.joint_move import JointMove, plan_joint_move
from robot_bridge.modes import Event, Modes, State, after, refusal
from robot_bridge.open_devices import Devices
from robot_bridge.policy_drive import PolicyDrive, Proposal, sent_by
from robot_bridge.pressing import Pressing
from robot_bridge.records import EventRecord, Recorder
from robot_bridge.rig import Rig
from robot_bridge.safety import Memory, Verdict
from robot_bridge.sensing import Sensed, Senses
from robot_bridge.trial import Trial
from robot_bridge.trial_course import TrialCourse
from robot_bridge.watchdogs import camera_problems, policy_cameras, tick_problem
from robot_contract.errors import DeviceFault
from robot_contract.pose import Pose, Vector, read_only

_log = logging.getLogger(__name__)

_RECOVERY = 0.3  # [s] after a clear in which the arm's old report does not count


class Conduct:
    def __init__(
        self,
        rig: Rig,
        devices: Devices,
        senses: Senses,
        hand: Hand,
        answers: PolicyAnswers,
        recorder: Recorder,
        *,
        name: str,
        dry_run: bool,
    ) -> None:
        self.hold_to_run = HoldToRun()
        self.modes = Modes()
        self._course = TrialCourse(rig, devices.world, hand, answers, recorder, name=name)
        self._rig = rig
        self._devices = devices
        self._senses = senses
        self._hand = hand
        self._recorder = recorder
        self._dry_run = dry_run
        self._goal: Vector | None = None  # of a motion to a pose, until it is reached or given up
        self._move: JointMove | None = None
        self._posture: Vector = read_only(rig.limits.nominal_posture)
        self._is_at_rest = True
        self._measured = Pose.identity()
        self._hold_since: float | None = None
        self._pressing = Pressing()
        self._cleared_at = float("-inf")
        self._to_answer: list[tuple[Future[str], str]] = []
        self._standing_fault = ""  # what a device reports since earlier ticks

    @property
    def trial(self) -> Trial | None:
        return self._course.trial

    @property
    def policy(self) -> PolicyDrive | None:
        return self._course.policy

    @property
    def is_running(self) -> bool:
        return self.modes.state is State.RUNNING

    @property
    def is_moving(self) -> bool:
        """Is a motion to a pose under way, or waiting for the operator?"""
        return self._goal is not None

    @property
    def driving_policy(self) -> PolicyDrive | None:
        """The policy, while it is the one that drives."""
        return self.policy if self.is_running and self._goal is None else None

    def attend(
        self,
        stop: Command | None,
        command: Command | Preparation | None,
        sensed: Sensed,
        memory: Memory,
        now: float,
    ) -> None:
        """Everything that may change the mode before this tick's motion is chosen; a stop goes first."""
        self._posture, self._is_at_rest = memory.posture.joint_position, memory.is_at_rest()
        self._measured = sensed.arm.flange_pose
        if stop is not None:
            self._obey(stop, now)
        self._note_faults(sensed, now)
        if isinstance(command, Preparation):
            self._answer(command.done, self._prepare(command.trial, now))
        elif command is not None:
            self._obey(command, now)
        self._heed_the_key(now)

    def _note_faults(self, sensed: Sensed, now: float) -> None:
        """Each fault once, when it begins: a device goes on reporting it until it is told to recover."""
        has_recovered = now - self._cleared_at <= _RECOVERY
        fault = sensed.device_fault or ("" if has_recovered else sensed.arm_fault)
        if fault and fault != self._standing_fault:
            self.event("fault", fault, now)
        self._standing_fault = fault

    def is_held(self, now: float) -> bool:
        return not self._rig.hold_to_run or self.hold_to_run.press(now) != 0

    def _heed_the_key(self, now: float) -> None:
        held = self.is_held(now)
        state = self.modes.state
        if state is State.HOLDING_FOR_RELEASE and not (held and self._rig.hold_to_run):
            self.event("released", self.modes.why, now)
        elif state is State.RUNNING and not held:
            self.event("released", "the key is not held", now)
        elif state is State.HOLDING_FOR_PRESS and held:
            self.event("pressed", "the key is held", now)

    def _obey(self, command: Command, now: float) -> None:
        before = self.modes.state
        problem = refusal(self.modes, command.event, now=now) or self._not_ready(command)
        if not problem and command.event == "clear":
            problem = self._recover(now)
        if not problem:
            if command.event == "move":
                self._goal = read_only(command.goal)
            self.event(command.event, f"{command.operator.operator or 'somebody'}: {command.event}", now)
        self._recorder.write(
            EventRecord(
                at=now,
                event=command.operator,
                refusal=problem,
                mode_before=before.name,
                mode_after=self.modes.state.name,
            )
        )
        self._answer(command.done, problem)

    def _answer(self, done: Future[str], problem: str) -> None:
        self._to_answer.append((done, problem))

    def give_answers(self) -> None:
        """At the end of the tick, so that who has an answer sees its effect in the status."""
        for done, problem in self._to_answer:
            done.set_result(problem)
        self._to_answer.clear()

    def _not_ready(self, command: Command) -> str:
        return self._course.refusal() if command.event == "start" and self._goal is None else ""

    def _recover(self, now: float) -> str:
        try:
            self._devices.arm.recover()
        except DeviceFault as error:
            return f"the arm does not recover: {error}"
        self._cleared_at = now
        return ""

    def _prepare(self, trial: Trial, now: float) -> str:
        if self.modes.state not in (State.IDLE, State.ARMED) or not self._is_at_rest:
            return f"a trial is prepared in IDLE or ARMED with the arm at rest; the mode is {self.modes.mode}"
        self._course.end("another trial was prepared", now)
        problem = self._course.stage(trial)
        if problem:
            return problem
        if trial.setup.scene is not None:
            self._senses.forget_pictures()
            self.event("disarm", "the scene was built anew", now)
        self._course.take(trial)
        return ""

    def event(self, event: Event, why: str, now: float) -> None:
        """Change the mode, and do what belongs to entering and leaving RUNNING."""
        before = self.modes
        self.modes = after(before, event, why=why, now=now)
        if self.modes is before:
            return
        state = self.modes.state
        if before.state is State.RUNNING:
            self._course.interrupt(now)
        if state in (State.IDLE, State.ARMED, State.FAULT):
            self._goal = self._move = None
            if before.state not in (State.IDLE, State.ARMED):
                self._course.end(why, now)
        if state is State.FAULT and before.state is not State.FAULT:
            _log.error("FAULT: %s", why)
        self._hold_since = None
        if state is not State.RUNNING:
            return
        if before.state is State.ARMED:
            self._pressing.forget()
        self._set_out(now)

    def _set_out(self, now: float) -> None:
        if self._goal is not None:
            self._move = plan_joint_move(self._posture, self._goal, self._rig.limits, now=now)
        elif problem := self._course.set_out(now):
            self.event("fault", problem, now)

    def watch(self, sensed: Sensed, missed_in_a_row: int, now: float) -> str:
        """What is missing in this tick; what may not be missing at all ends RUNNING at once."""
        if not self.is_running:
            return ""
        policy, trial = self.driving_policy, self.trial
        ending = tick_problem(self._rig, missed_in_a_row=missed_in_a_row)
        if policy is not None:
            ending = ending or policy.problem(now)
        if ending:
            self.event("watchdog", ending, now)
            return ending
        if policy is None or trial is None or self._rig.is_stepped:
            return ""
        cameras = policy_cameras(self._rig, trial.contract)
        return "; ".join(camera_problems(self._rig, cameras, sensed.traces, now))

    def ask(self, sensed: Sensed, now: float) -> None:
        policy = self.driving_policy
        if policy is not None:
            policy.ask(sensed, self._hand.opening, now)

    def propose(self, sensed: Sensed, memory: Memory, now: float) -> Proposal | None:
        if not self.is_running:
            return None
        if self._move is not None:
            return Proposal(target=self._move.target_at(now))
        return self.policy.propose(sensed, sent_by(memory), now) if self.policy is not None else None

    def follow(self, verdict: Verdict, missing: str, memory: Memory, now: float) -> None:
        """What this tick's verdict means for the mode."""
        why = missing or in_words(verdict)
        if verdict.kind == "STOP":
            # In IDLE nothing is proposed; what a device reports there is noted when it begins.
            if self.modes.state not in (State.FAULT, State.IDLE):
                self.event("fault", why, now)
            return
        if not self.is_running:
            return
        if self._move is None:
            self._course.count(verdict)
        if verdict.kind == "HOLD":
            self._hold(why, now)
        else:
            self._hold_since = None
            self._mind_pressing(verdict, why, now)
            self._mind_the_end(memory, now)

    def _hold(self, why: str, now: float) -> None:
        """A HOLD drops what was planned; the next chunk starts from where the arm stands then."""
        self._hold_since = now if self._hold_since is None else self._hold_since
        self._course.interrupt(now)
        if not now - self._hold_since <= self._rig.watchdogs.longest_hold:
            self.event("watchdog", why, now)

    def _mind_pressing(self, verdict: Verdict, why: str, now: float) -> None:
        if self._dry_run:
            return  # the arm stays behind on purpose, and the leash holds the target all the time
        self._pressing.add(verdict.codes, self._rig.tick_period)
        longest = self._rig.watchdogs.longest_clamp
        if not self._pressing.seconds <= longest:
            self.event("fault", f"pressed against a limit for more than {longest:g} s: {why}", now)

    def _mind_the_end(self, memory: Memory, now: float) -> None:
        move = self._move
        if move is not None:
            if now >= move.ends_at and memory.is_at_rest():
                self.event("finished", move.outcome(memory.sent.flange_pose, self._measured), now)
        elif sentence := self._course.time_is_up():
            self.event("finished", sentence, now)


def in_words(verdict: Verdict) -> str:
    return "; ".join(reason.sentence for reason in verdict.reasons)
