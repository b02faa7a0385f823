"""The control loop: one tick senses, attends, asks, chooses, judges, acts and records. It never waits.

Modes decide whether anything may move, `filter_action` decides what is sent, and both are asked every tick.
Leaving RUNNING for whatever reason ends in a deceleration along the present path and nothing else.
"""

from dataclasses import dataclass

from robot_bridge.asking import PolicyAnswers
from robot_bridge.commands import Command, Preparation
from robot_bridge.conduct import Conduct
from robot_bridge.hand import Hand
from robot_bridge.latest import Latest
from robot_bridge.modes import Modes, State
from robot_bridge.open_devices import Devices
from robot_bridge.policy_drive import Proposal
from robot_bridge.recording.frame_sampling import FrameSampling
from robot_bridge.records import Recorder, TickRecord
from robot_bridge.rig import Rig
from robot_bridge.safety import Memory, RobotState, Target, Verdict, filter_action
from robot_bridge.sensing import Sensed, Senses
from robot_bridge.trial import Trial
from robot_contract.errors import DeviceFault


@dataclass(frozen=True, kw_only=True, eq=False)
class Snapshot:
    """What everybody else may know of the loop, once a tick."""

    at: float  # [s]
    modes: Modes
    sensed: Sensed
    trial: Trial | None
    verdict: Verdict
    missing: str  # what the bridge itself missed in this tick, and so proposed nothing; empty mostly
    chunk_age: float  # [s] past the last valid target; infinite with none
    gripper_opening: float  # commanded, 0..1
    held: bool
    ticks: int
    missed_ticks: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """What one tick proposed, and what became of it."""

    proposal: Proposal | None
    missing: str
    stopping: bool
    before: Memory
    target: Target
    verdict: Verdict


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
        self.commands: Latest[Command | Preparation] = Latest()
        self.stops: Latest[Command] = Latest()
        self.snapshot: Latest[Snapshot] = Latest()
        self.ticks = 0
        self.missed_ticks = 0
        self.missed_in_a_row = 0
        self.lateness = 0.0  # [s] of the present tick after its deadline
        self._recorder = recorder
        self._dry_run = dry_run
        self._arm_was_stopped = False
        self._frame_sampling = FrameSampling()
        self._senses = Senses(arm=devices.arm, gripper=devices.gripper, cameras=devices.cameras)
        now = devices.clock.now()
        sensed = self._senses.read(now, with_cameras=False)
        self._memory = Memory.at_rest(sensed.arm, now)
        self._hand = Hand(devices.gripper, rig.gripper, sensed.gripper, dry_run=dry_run)
        self.conduct = Conduct(
            rig, devices, self._senses, self._hand, answers, recorder, name=name, dry_run=dry_run
        )

    def tick(self) -> None:
        now = self.devices.clock.now()
        sensed = self._senses.read(now, with_cameras=self._needs_pictures(now))
        command = self.commands.take()
        self.conduct.attend(self.stops.take(), command, sensed, self._memory, now)
        if isinstance(command, Preparation):  # a scene may have been built: the arm stands elsewhere now
            sensed = self._senses.read(now, with_cameras=self._needs_pictures(now))
        missing = self.conduct.watch(sensed, self.missed_in_a_row, now)
        self.conduct.ask(sensed, now)
        proposal = self.conduct.propose(sensed, self._memory, now) if not missing else None
        judged = self._judge(sensed, proposal, missing, now)
        self.conduct.follow(judged.verdict, missing, self._memory, now)
        was_tracked = self._act(judged, sensed, now)
        self._record(judged, sensed, was_tracked, now)
        self.conduct.give_answers()

    @property
    def modes(self) -> Modes:
        return self.conduct.modes

    @property
    def is_at_rest(self) -> bool:
        return self._memory.is_at_rest()

    def _needs_pictures(self, now: float) -> bool:
        """A stepped world draws a picture only for who asks for it."""
        policy = self.conduct.driving_policy
        return not self.rig.is_stepped or (policy is not None and policy.wants_pictures(now))

    def _is_tracking(self, sensed: Sensed) -> bool:
        """Does the arm follow what is sent? At rest in IDLE and FAULT it is left alone."""
        if sensed.fault:
            return False
        return self.modes.state not in (State.IDLE, State.FAULT) or not self.is_at_rest

    def _judge(self, sensed: Sensed, proposal: Proposal | None, missing: str, now: float) -> Judged:
        if not self._is_tracking(sensed) and not sensed.device_fault:
            self._memory = Memory.at_rest(sensed.arm, now - self.rig.tick_period)
        before, stopping = self._memory, self.modes.state is State.FAULT
        target, verdict, self._memory = filter_action(
            RobotState(arm=sensed.arm, flange_from_tcp=self.rig.flange_from_tcp),
            proposal.target if proposal is not None else None,
            self.rig.limits,
            before,
            now=now,
            stopping=stopping,
        )
        return Judged(
            proposal=proposal,
            missing=missing,
            stopping=stopping,
            before=before,
            target=target,
            verdict=verdict,
        )

    def _act(self, judged: Judged, sensed: Sensed, now: float) -> bool:
        """Send the target; true when the arm took it."""
        tracks = self._is_tracking(sensed) and not self._dry_run
        proposal, trial = judged.proposal, self.conduct.trial
        try:
            if tracks:
                self.devices.arm.track(judged.target.flange_pose, judged.target.joint_posture)
            elif self.modes.state is not State.FAULT:
                self._arm_was_stopped = False
            elif not self._arm_was_stopped:
                self._arm_was_stopped = True
                self.devices.arm.stop()  # it stands already: this latches the stop in the arm itself
            if self.conduct.is_running and proposal is not None and proposal.opening is not None and trial:
                self._hand.follow(proposal.opening, trial.contract.gripper, now)
        except DeviceFault as error:
            self.conduct.event("fault", str(error), now)
            return False
        return tracks

    def _record(self, judged: Judged, sensed: Sensed, was_tracked: bool, now: float) -> None:
        self.ticks += 1
        policy, trial, proposal = self.conduct.policy, self.conduct.trial, judged.proposal
        if policy is not None:
            policy.remember(sensed, self._memory.sent, now)
        chunk_age = policy.chunk_age(now) if policy is not None else float("inf")
        held = self.conduct.is_held(now)
        record = TickRecord(
            tick=self.ticks,
            at=now,
            lateness=self.lateness,
            missed_ticks=self.missed_ticks,
            trial_id=trial.setup.trial_id if trial is not None else "",
            mode=self.modes.state.name,
            why=self.modes.why,
            state=RobotState(arm=sensed.arm, flange_from_tcp=self.rig.flange_from_tcp),
            gripper=sensed.gripper,
            proposed=proposal.target if proposal is not None else None,
            stopping=judged.stopping,
            memory_before=judged.before,
            memory_after=self._memory,
            sent=judged.target,
            was_tracked=was_tracked,
            verdict=judged.verdict,
            gripper_opening=self._hand.opening,
            session=policy.session if policy is not None else "",
            chunk_sequence=proposal.sequence if proposal is not None else -1,
            chunk_step=proposal.step if proposal is not None else -1,
            chunk_age=chunk_age,
            camera_ages=sensed.camera_ages(),
            held=held,
            hold_age=self.conduct.hold_to_run.age(now),
            limits_digest=self.rig.limits_digest,
        )
        self._recorder.write(record)
        if trial is not None and trial.is_recorded:
            for picture in self._frame_sampling.due(sensed.frames):
                self._recorder.write(picture)
        self.snapshot.put(
            Snapshot(
                at=now,
                modes=self.modes,
                sensed=sensed,
                trial=trial,
                verdict=judged.verdict,
                missing=judged.missing,
                chunk_age=chunk_age,
                gripper_opening=self._hand.opening,
                held=held,
                ticks=self.ticks,
                missed_ticks=self.missed_ticks,
            )
        )
