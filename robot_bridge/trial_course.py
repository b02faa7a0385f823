"""The course of a trial: prepared, begun, counted, ended; with its policy and its scene. Used by `Conduct`.

A trial begins when the arm first sets out for it, and ends once; a recorder hears of that from here.
"""

from robot_bridge.asking import PolicyAnswers
from robot_bridge.hand import Hand
from robot_bridge.open_devices import World
from robot_bridge.policy_drive import PolicyDrive
from robot_bridge.records import Recorder, TrialEnds
from robot_bridge.rig import Rig
from robot_bridge.safety import Verdict
from robot_bridge.trial import Trial, trial_begins
from robot_contract.errors import DeviceFault, SceneError


class TrialCourse:
    def __init__(
        self,
        rig: Rig,
        world: World | None,
        hand: Hand,
        answers: PolicyAnswers,
        recorder: Recorder,
        *,
        name: str,
    ) -> None:
        self.trial: Trial | None = None
        self.policy: PolicyDrive | None = None
        self._rig = rig
        self._world = world
        self._hand = hand
        self._answers = answers
        self._recorder = recorder
        self._name = name  # of this bridge's run

    def stage(self, trial: Trial) -> str:
        """Build the scene that the trial asks for; a sentence where that cannot be."""
        if trial.setup.scene is None:
            return ""
        if self._world is None:
            return "this rig has no simulated scene; prepare the trial without one"
        try:
            staged = self._world.stage(trial.setup.scene)
        except SceneError as error:
            return str(error)
        trial.instruction = trial.instruction or staged.instruction
        trial.scene = staged.document
        return ""

    def take(self, trial: Trial) -> None:
        """From now on this is the trial, and its policy is asked."""
        self.trial = trial
        self.policy = PolicyDrive(self._rig, trial, self._answers, self._recorder, self._name)
        self._answers.prepare(trial.contract)

    def refusal(self) -> str:
        """Why no trial can be started; empty when one can."""
        if self.trial is None:
            return "no trial is prepared"
        return "this trial has ended; prepare the next one" if self.trial.has_ended else ""

    def set_out(self, now: float) -> str:
        """The policy drives, for the first time or again; a sentence when the gripper fails."""
        trial, policy = self.trial, self.policy
        if trial is None or policy is None:
            return ""
        policy.resume(now)
        if trial.has_begun:
            return ""
        trial.has_begun = True
        self._recorder.write(trial_begins(trial, self._rig, now))
        if self._world is not None:
            self._world.begin_episode()
        try:
            self._hand.begin_trial(trial.contract.gripper, now)
        except DeviceFault as error:
            return str(error)
        return ""

    def interrupt(self, now: float) -> None:
        if self.policy is not None:
            self.policy.interrupt(now)

    def end(self, why: str, now: float) -> None:
        """Once; a trial that has not begun has nothing to end."""
        trial = self.trial
        if trial is None or not trial.has_begun or trial.has_ended:
            return
        trial.has_ended = True
        truth = self._world.truth() if self._world is not None else None
        self._recorder.write(
            TrialEnds(
                at=now,
                why=why,
                verdict_counts=dict(trial.verdict_counts),
                success=truth.success if truth is not None else None,
                stage=truth.stage if truth is not None else "",
            )
        )

    def count(self, verdict: Verdict) -> None:
        """A tick of it."""
        if self.trial is not None:
            self.trial.elapsed += self._rig.tick_period
            self.trial.verdict_counts[verdict.kind] += 1

    def time_is_up(self) -> str:
        """A sentence once the time limit is reached."""
        trial = self.trial
        if trial is None or trial.elapsed < trial.setup.time_limit:
            return ""
        return f"the time limit of {trial.setup.time_limit:g} s is reached"
