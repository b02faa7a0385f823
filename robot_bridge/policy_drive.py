"""The policy at the wheel: when to ask, what to do with an answer, which pose to propose.

Every start and every resumption is a new session, so that a chunk asked for before it is foreign after it.
"""

from dataclasses import dataclass

import numpy as np

from robot_bridge.asking import PolicyAnswers
from robot_bridge.history import History, MeasuredState, interpolate_state
from robot_bridge.observation import Ask, exposure_span
from robot_bridge.records import ChunkRecord, Recorder
from robot_bridge.rig import Rig
from robot_bridge.safety import Memory, Target
from robot_bridge.schedule import ChunkSchedule
from robot_bridge.sensing import Sensed
from robot_bridge.trial import Trial
from robot_bridge.watchdogs import chunk_problem
from robot_contract.pose import Pose, interpolate

_AFTER_REFUSAL = 0.05  # [s] before the next request
_INFINITE = float("inf")


@dataclass(frozen=True, kw_only=True, eq=False)
class Proposal:
    target: Target
    opening: float | None = None  # gripper, 0..1
    sequence: int = -1  # of the chunk in force
    step: int = -1  # of that chunk


@dataclass(frozen=True, kw_only=True, eq=False)
class Sent:
    """The newest target that the arm was given."""

    target: Target
    speed: float  # the larger of [m/s] and [rad/s] at which it moves


def sent_by(memory: Memory) -> Sent:
    return Sent(target=memory.sent, speed=float(np.sqrt((memory.velocity**2).sum(axis=1)).max()))


class PolicyDrive:
    def __init__(self, rig: Rig, trial: Trial, answers: PolicyAnswers, recorder: Recorder, name: str) -> None:
        self._rig = rig
        self._trial = trial
        self._contract = trial.contract
        self._answers = answers
        self._recorder = recorder
        self._name = name  # of this bridge's run: sessions of two runs never meet
        self._flange_from_tcp = trial.contract.flange_from_tcp
        self._tcp_from_flange = trial.contract.flange_from_tcp.inverse()
        self._schedule = ChunkSchedule(
            trial.contract,
            rig.limits.profile,
            arm_latency=rig.arm.latency,
            gripper_latency=rig.gripper.latency,
        )
        self._measured: History[MeasuredState] = History(interpolate_state)
        self._sent: History[Pose] = History(interpolate)
        self._sequence = 0
        self._asked: Ask | None = None
        self._not_before = -_INFINITE  # [s] the next request
        self._starving_since: float | None = None
        self.last_refusal = ""

    @property
    def session(self) -> str:
        return self._schedule.session

    def resume(self, now: float) -> None:
        self._trial.sessions += 1
        self._schedule.begin(f"{self._name}.{self._trial.setup.trial_id}.{self._trial.sessions}")
        self._asked = None
        self._not_before = -_INFINITE
        self._starving_since = now

    def interrupt(self, now: float) -> None:
        """What is not executed by now never will be."""
        self._schedule.interrupt()
        if self._starving_since is None:
            self._starving_since = now

    def remember(self, sensed: Sensed, sent: Target, now: float) -> None:
        """Once a tick: what was measured, and what was sent for which instant."""
        self._measured.add(
            sensed.arm.measured_at,
            MeasuredState(
                tcp_pose=sensed.arm.flange_pose @ self._flange_from_tcp,
                joint_position=sensed.arm.joint_position,
                gripper_width=sensed.gripper.width,
            ),
        )
        self._sent.add(now + self._rig.arm.latency, sent.flange_pose @ self._flange_from_tcp)

    def ask(self, sensed: Sensed, gripper_opening: float, now: float) -> None:
        if not self._is_time_to_ask(sensed, now):
            return
        self._sequence += 1
        self._asked = Ask(
            contract=self._contract,
            session=self._schedule.session,
            sequence=self._sequence,
            asked_at=now,
            deadline=self._deadline(now),
            instruction=self._trial.instruction,
            frames={camera.name: sensed.frames[camera.name] for camera in self._contract.cameras},
            measured=self._measured.snapshot(),
            gripper_command=gripper_opening,
        )
        self._answers.post(self._asked)

    def wants_pictures(self, now: float) -> bool:
        """Is a request due as far as time is concerned?"""
        if not now >= self._not_before:
            return False
        if self._asked is not None and now - self._asked.asked_at <= self._asked.deadline:
            return False
        due_at = self._schedule.next_chunk_due_at
        if due_at is None:
            return True
        if self._contract.execution == "synchronous":
            return now >= due_at
        age = self._answers.ages.quantile(0.95)
        return now >= due_at - (age if age != _INFINITE else 0.0) - self._rig.tick_period

    def _is_time_to_ask(self, sensed: Sensed, now: float) -> bool:
        if not self.wants_pictures(now):
            return False
        if any(camera.name not in sensed.frames for camera in self._contract.cameras):
            return False
        observed_at, _ = exposure_span(sensed.frames, self._contract)
        due_at = self._schedule.next_chunk_due_at
        if self._contract.execution == "synchronous" and due_at is not None:
            return observed_at >= due_at  # the pictures show the arm after its last step
        measured = self._measured.snapshot()
        return bool(measured) and measured[0][0] <= observed_at <= measured[-1][0]

    def _deadline(self, now: float) -> float:
        """[s] from now; an overlapped chunk is worth nothing once all of its steps are past."""
        longest = self._rig.policy_server.deadline
        if self._contract.execution == "synchronous":
            return longest
        contract = self._contract
        return min(longest, contract.chunk_length * contract.step_period * contract.time_stretch)

    def propose(self, sensed: Sensed, sent: Sent, now: float) -> Proposal:
        """The policy's target; where it has none yet, the arm stands on what was sent."""
        sent_tcp = sent.target.flange_pose @ self._flange_from_tcp
        self._accept(sent_tcp, now)
        wanted = self._schedule.target_at(
            now,
            measured=sensed.arm.flange_pose @ self._flange_from_tcp,
            sent=sent_tcp,
            sent_speed=sent.speed,
        )
        self._count_starving(now)
        if wanted is None:
            return Proposal(target=Target(flange_pose=sent.target.flange_pose))
        return Proposal(
            target=Target(flange_pose=wanted.tcp_pose @ self._tcp_from_flange),
            opening=wanted.opening,
            sequence=wanted.sequence,
            step=wanted.step,
        )

    def _accept(self, sent_tcp: Pose, now: float) -> None:
        answer = self._answers.take(now)
        if answer is None or answer.session != self._schedule.session:
            return
        refusal = answer.refusal
        if answer.chunk is not None and answer.observation is not None:
            refusal = (
                self._schedule.offer(
                    answer.chunk,
                    now=now,
                    sent_then=self._sent.at(answer.chunk.observed_at),
                    sent_now=sent_tcp,
                )
                or ""
            )
            self._recorder.write(
                ChunkRecord(
                    at=answer.arrived_at, observation=answer.observation, chunk=answer.chunk, refusal=refusal
                )
            )
        if self._asked is not None and answer.sequence == self._asked.sequence:
            self._asked = None
        if refusal:
            self._trial.late_chunks += 1
            self.last_refusal = refusal
            self._not_before = now + _AFTER_REFUSAL

    def _count_starving(self, now: float) -> None:
        ends_at = self._schedule.ends_at
        if ends_at is not None and now <= ends_at:
            self._starving_since = None
        elif self._starving_since is None:
            self._starving_since = now

    def chunk_age(self, now: float) -> float:
        """[s] past the last valid target, negative before it; infinite with none."""
        ends_at = self._schedule.ends_at
        return now - ends_at if ends_at is not None else _INFINITE

    def problem(self, now: float) -> str:
        """A sentence when the policy has left the arm without targets for too long."""
        starving = now - self._starving_since if self._starving_since is not None else -_INFINITE
        found = chunk_problem(self._rig, self._contract, chunk_age=self.chunk_age(now), starving=starving)
        if found and self._answers.state != "connected":
            return f"{found}; policy server: {self._answers.state}"
        return f"{found}; the last answer: {self.last_refusal}" if found and self.last_refusal else found
