"""A policy without a model, in process: for rehearsing a robot, for tests and for benchmarks.

Its actions are a function of the observation. It answers with a delay of its own, or not at all, which is how
tests make a server slow, silent or wrong.
"""

import dataclasses
import queue
import threading
import time
from collections.abc import Callable

import numpy as np

from robot_bridge.rig import Rig
from robot_contract.errors import PolicyUnavailable
from robot_contract.messages import ActionChunk, Observation, Refusal, Timings
from robot_contract.policy_contract import (
    CameraContract,
    Execution,
    GripperContract,
    PolicyContract,
    Reference,
    Statistics,
)
from robot_contract.pose import Pose, Vector

Script = Callable[[Observation], Vector]  # to (K, 7) actions


def rehearsal_contract(
    rig: Rig,
    *,
    reference: Reference = "commanded_chain",
    execution: Execution = "synchronous",
    chunk_length: int = 8,
    execute_steps: int = 8,
    trained_delay_steps: int = 0,
    step_period: float = 0.1,
) -> PolicyContract:
    """A contract that fits the rig: its cameras, tool and gripper, bounds inside profile `reduced`."""
    low, high = -np.ones(7), np.ones(7)
    return PolicyContract(
        name="rehearsal",
        reference=reference,
        frame="base",
        execution=execution,
        step_period=step_period,
        chunk_length=chunk_length,
        execute_steps=execute_steps,
        trained_delay_steps=trained_delay_steps,
        time_stretch=1.0,
        max_translation_per_step=0.018 * step_period / 0.1,
        max_rotation_per_step=0.04 * step_period / 0.1,
        flange_from_tcp=rig.flange_from_tcp,
        gripper=GripperContract(max_width=rig.gripper.max_width, close_below=0.4, open_above=0.6),
        cameras=tuple(
            CameraContract(
                name=camera.name,
                mount=camera.mount,
                vertical_field_of_view=camera.vertical_field_of_view,
                crop_width=1.0,
                crop_height=1.0,
                width=128,
                height=128,
            )
            for camera in rig.cameras
        ),
        max_camera_skew=0.05,
        proprioception=("position", "opening"),
        proprioception_origin=Pose.identity(),
        prompt_template="{instruction}",
        normalisation="bounds",
        statistics=Statistics(
            action_low=low,
            action_high=high,
            action_mask=(True,) * 6 + (False,),
            proprioception_low=-np.ones(4),
            proprioception_high=np.ones(4),
        ),
        weights_digest="0" * 64,
        provenance=(("made by", "robot_bridge.rehearsal; there are no weights"),),
    )


def small_circle(contract: PolicyContract, *, share: float = 0.5) -> Script:
    """A horizontal circle, one turn in 32 steps, at this share of the contract's bound.

    Where on the circle depends on when the pictures were taken, so that chunks that overlap agree.
    """
    size = share * contract.max_translation_per_step
    period = contract.step_period * contract.time_stretch

    def actions(observation: Observation) -> Vector:
        steps = np.arange(contract.chunk_length) + observation.observed_at / period
        angles = 2 * np.pi * steps / 32
        found = np.zeros((contract.chunk_length, 7))
        found[:, 0], found[:, 1] = size * np.cos(angles), size * np.sin(angles)
        found[:, 6] = 1.0
        return found

    return actions


class RehearsalPolicy:
    """Offers what `BlockingPolicyClient` offers; every field may be changed while it runs."""

    def __init__(self, contract: PolicyContract, script: Script) -> None:
        self.contract = contract
        self.script = script
        self.seconds = 0.0  # [s] it takes for an answer
        self.is_silent = False  # takes observations and never answers
        self.is_gone = False  # cannot be reached
        self.asked: list[Observation] = []

    def get_contract(self, policy: str, *, timeout: float = 1.0) -> PolicyContract:
        self._require(policy)
        return self.contract

    def predict(self, observation: Observation) -> ActionChunk:
        self._require(observation.policy)
        if self.is_silent:
            raise PolicyUnavailable("rehearsal: DEADLINE_EXCEEDED: it keeps silent")
        if self.seconds > 0:
            time.sleep(self.seconds)
        self.asked.append(observation)
        return ActionChunk(
            session=observation.session,
            sequence=observation.sequence,
            observed_at=observation.observed_at,
            actions=self.script(observation),
            interface_digest=self.contract.interface_digest,
            policy_digest=self.contract.policy_digest,
            timings=Timings(queue=0.0, preprocess=0.0, model=self.seconds, total=self.seconds, batch_size=1),
        )

    def open_stream(self) -> "RehearsalStream":
        self._require(self.contract.name)
        return RehearsalStream(self)

    def _require(self, policy: str) -> None:
        if self.is_gone:
            raise PolicyUnavailable("rehearsal: UNAVAILABLE: it is gone")
        if policy != self.contract.name:
            raise PolicyUnavailable(
                f"rehearsal: NOT_FOUND: no policy {policy!r}; it has {self.contract.name!r}"
            )


class RehearsalStream:
    def __init__(self, policy: RehearsalPolicy) -> None:
        self._policy = policy
        self._observations: queue.SimpleQueue[Observation | None] = queue.SimpleQueue()
        self._replies: queue.SimpleQueue[ActionChunk | Refusal] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._answer, name="rehearsal", daemon=True)
        self._thread.start()

    def send(self, observation: Observation) -> None:
        if self._policy.is_gone:
            raise PolicyUnavailable("rehearsal: UNAVAILABLE: it is gone")
        self._observations.put(observation)

    def receive(self, timeout: float) -> ActionChunk | Refusal | None:
        if self._policy.is_gone:
            raise PolicyUnavailable("rehearsal: UNAVAILABLE: it is gone")
        try:
            return self._replies.get(timeout=timeout)
        except queue.Empty:
            return None

    def close(self) -> None:
        self._observations.put(None)
        self._thread.join(timeout=2.0)

    def _answer(self) -> None:
        while (observation := self._observations.get()) is not None:
            if self._policy.is_silent or self._policy.is_gone:
                continue
            self._replies.put(self._policy.predict(observation))


def with_other_weights(contract: PolicyContract) -> PolicyContract:
    """The same interface, another policy."""
    return dataclasses.replace(contract, weights_digest="1" * 64)
