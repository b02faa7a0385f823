"""Which pose and opening the policy wants now: chunks as functions of time, never a queue.

Every delta is used at most once: a chunk of a foreign session, an old or repeated sequence number, or one
whose time has passed is refused whole; what is past of an accepted one is trimmed. Poses are of the TCP.
"""

from dataclasses import dataclass

import numpy as np

from robot_bridge.blend import Curve, blend_into
from robot_bridge.plan import plan_chain
from robot_bridge.reanchored import ReanchoredChunk
from robot_bridge.safety import Profile
from robot_contract.messages import ActionChunk
from robot_contract.policy_contract import PolicyContract
from robot_contract.pose import Pose, angle_between, distance_between

# When the sent pose stands on the last target, so that the next chain may begin there.
_SETTLED_DISTANCE = 0.0005  # [m]
_SETTLED_ANGLE = 0.002  # [rad]
_SETTLING_SECONDS = 1.0  # longer than this nobody waits: a limit may keep the sent pose trembling for good
_SETTLED_SECONDS = 0.05  # a sent pose that overshoots stands for an instant only, where it turns back
_SETTLED_SPEED = 0.002  # [m/s] or [rad/s]; a wall may keep the sent pose away from its target for good


@dataclass(frozen=True, kw_only=True, eq=False)
class PolicyTarget:
    tcp_pose: Pose
    opening: float  # 0..1
    sequence: int  # of the chunk it comes from
    step: int  # of that chunk


class ChunkSchedule:
    def __init__(
        self, contract: PolicyContract, profile: Profile, *, arm_latency: float, gripper_latency: float
    ) -> None:
        self._contract = contract
        self._profile = profile  # that the arm starts and comes to rest within
        self._arm_latency = arm_latency  # [s] from command to motion
        self._gripper_latency = gripper_latency  # [s]
        self._step_period = contract.step_period * contract.time_stretch
        self._session = ""
        self._newest = -1  # sequence of the newest accepted chunk
        self._waiting: ActionChunk | None = None  # accepted, takes over when the arm or the step allows it
        self._waiting_since = 0.0  # [s]
        self._curve: Curve | None = None
        self._reanchored: ReanchoredChunk | None = None
        self._successor: ReanchoredChunk | None = None
        self._still_since: float | None = None  # [s] the sent pose stands short of its last target

    @property
    def session(self) -> str:
        return self._session

    @property
    def skipped_steps(self) -> int:
        """Deltas of the chunk in force whose time passed without a tick."""
        return self._reanchored.skipped if self._reanchored is not None else 0

    def begin(self, session: str) -> None:
        """Forget everything; from now on only chunks of this session count."""
        self._session = session
        self._newest = -1
        self.interrupt()

    def interrupt(self) -> None:
        """Drop what has not been executed; a chunk that was accepted once never comes back."""
        self._waiting = self._curve = self._reanchored = self._successor = self._still_since = None

    @property
    def ends_at(self) -> float | None:
        """When the last target in force is due, bridge clock; None with nothing in force."""
        if self._waiting is not None or self._successor is not None:
            return float("inf")
        if self._curve is not None:
            return self._curve.plan.ends_at
        return self._reanchored.ends_at if self._reanchored is not None else None

    @property
    def next_chunk_due_at(self) -> float | None:
        """When the next chunk should take over: after `execute_steps`; None: at once."""
        ends_at = self.ends_at
        if ends_at is None or self._contract.execution == "synchronous":
            return ends_at
        unused = self._contract.chunk_length - self._contract.execute_steps
        return ends_at - unused * self._step_period

    def offer(self, chunk: ActionChunk, *, now: float, sent_then: Pose | None, sent_now: Pose) -> str | None:
        """Take a chunk, or say in words why not.

        `sent_then` is the pose that was sent for the chunk's `observed_at`, `sent_now` the newest one.
        """
        problem = self._refuse(chunk)
        if problem is not None:
            return problem
        if self._contract.execution == "synchronous":
            self._newest = chunk.sequence
            self._waiting, self._waiting_since = chunk, now
            return None
        problem = self._overlap(chunk, now + self._arm_latency, sent_then, sent_now)
        self._newest = chunk.sequence
        return problem

    def _refuse(self, chunk: ActionChunk) -> str | None:
        contract = self._contract
        if chunk.session != self._session:
            return f"it belongs to session {chunk.session!r}, expected {self._session!r}"
        if not chunk.sequence > self._newest:
            return f"its sequence {chunk.sequence} is not newer than {self._newest}"
        if (chunk.interface_digest, chunk.policy_digest) != (
            contract.interface_digest,
            contract.policy_digest,
        ):
            return "it was computed by another policy than the one that was armed"
        if chunk.actions.shape != (contract.chunk_length, 7) or not np.isfinite(chunk.actions).all():
            return f"its actions are not {contract.chunk_length} x 7 finite numbers"
        return None

    def _overlap(self, chunk: ActionChunk, at: float, sent_then: Pose | None, sent_now: Pose) -> str | None:
        contract = self._contract
        past = (at - chunk.observed_at) / self._step_period
        if not past < contract.chunk_length:
            return f"all of it is past: it is {past:.1f} steps old and has {contract.chunk_length}"
        if contract.reference == "measured_each_step":
            first = max(0, int(np.ceil(past - 1e-9)))  # a step that has begun belongs to the chunk before
            if not first < contract.chunk_length:
                return "its last step has already begun"
            self._successor = self._reanchor(chunk, chunk.observed_at, contract.chunk_length, first)
            return None
        if sent_then is None:
            return "nothing was sent at the instant that it starts from"
        plan = plan_chain(
            chunk,
            anchor=sent_then,
            begins_at=chunk.observed_at,
            step_period=self._step_period,
            steps=contract.chunk_length,
            frame=contract.frame,
        )
        before = self._curve if self._curve is not None else sent_now
        self._curve = blend_into(plan, before, at=at, contract=contract, step_period=self._step_period)
        return None

    def _reanchor(self, chunk: ActionChunk, begins_at: float, steps: int, next_step: int) -> ReanchoredChunk:
        return ReanchoredChunk(
            chunk=chunk,
            begins_at=begins_at,
            step_period=self._step_period,
            steps=steps,
            next_step=next_step,
        )

    def target_at(self, now: float, *, measured: Pose, sent: Pose, sent_speed: float) -> PolicyTarget | None:
        """What the policy wants at `now`; None when no chunk of this session is in force.

        `measured` is the TCP now, `sent` the last pose sent, `sent_speed` how fast that one moves: the larger
        of [m/s] and [rad/s].
        """
        at = now + self._arm_latency
        if self._contract.reference == "measured_each_step":
            return self._reanchored_target(at, now + self._gripper_latency, measured)
        if self._waiting is not None and self._has_settled(sent, sent_speed, at):
            plan = plan_chain(
                self._waiting,
                anchor=self._standing_pose(sent),
                begins_at=at,
                step_period=self._step_period,
                steps=self._contract.execute_steps,
                frame=self._contract.frame,
                from_rest=self._profile,
            )
            self._curve, self._waiting, self._still_since = Curve(plan=plan), None, None
        if self._curve is None:
            return None
        plan = self._curve.plan
        return PolicyTarget(
            tcp_pose=self._curve.pose_at(at),
            opening=plan.opening_at(now + self._gripper_latency),
            sequence=plan.sequence,
            step=plan.step_at(at),
        )

    def _has_settled(self, sent: Pose, sent_speed: float, at: float) -> bool:
        if self._curve is None or self._has_arrived(sent):
            return True
        if at - self._waiting_since >= _SETTLING_SECONDS:
            return True
        if not sent_speed <= _SETTLED_SPEED:
            self._still_since = None
            return False
        self._still_since = at if self._still_since is None else self._still_since
        return at - self._still_since >= _SETTLED_SECONDS

    def _has_arrived(self, sent: Pose) -> bool:
        if self._curve is None:
            return False
        last = self._curve.plan.targets[-1]
        return distance_between(sent, last) <= _SETTLED_DISTANCE and (
            angle_between(sent, last) <= _SETTLED_ANGLE
        )

    def _standing_pose(self, sent: Pose) -> Pose:
        """The last target once the sent pose is on it, so that no remainder adds up; else what was sent."""
        return self._curve.plan.targets[-1] if self._curve is not None and self._has_arrived(sent) else sent

    def _reanchored_target(self, at: float, gripper_at: float, measured: Pose) -> PolicyTarget | None:
        if self._waiting is not None:
            self._reanchored = self._reanchor(self._waiting, at, self._contract.execute_steps, 0)
            self._waiting = None
        if self._successor is not None and self._successor.is_due(at):
            self._reanchored, self._successor = self._successor, None
        current = self._reanchored
        pose = current.pose_at(at, measured, self._contract.frame) if current is not None else None
        if current is None or pose is None:
            return None
        return PolicyTarget(
            tcp_pose=pose,
            opening=current.opening_at(gripper_at),
            sequence=current.chunk.sequence,
            step=current.step,
        )
