"""What the server needs from a model, and how it gets one ready: the whole interface between the two.

Batcher, engine and service know nothing else, so all of them run and are tested without torch.
"""

import dataclasses
import time
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import simplejpeg

from robot_contract.messages import CameraImage, Observation
from robot_contract.policy_contract import PolicyContract
from robot_contract.pose import Pose, Vector

WARM_UP_RUNS = 3  # per batch size: the first ones compile, allocate and fill caches


class ServedModel(Protocol):
    @property
    def contract(self) -> PolicyContract: ...

    @property
    def device(self) -> str: ...

    @property
    def largest_batch(self) -> int | None:
        """What the model can take at most; None for any."""
        ...

    @property
    def warm_up_instructions(self) -> Sequence[str]:
        """One for every kind of prompt that would be slow the first time."""
        ...

    def prepare(self, observation: Observation) -> Any:
        """Decode and shape one observation; called in a pool, so thread-safe. ValueError refuses it."""
        ...

    def forward(self, batch: Sequence[Any]) -> Sequence[Vector]:
        """One (K, 7) chunk per prepared observation, in physical units; called by one thread at a time."""
        ...

    def check(self) -> None:
        """Raise `ContractError` when this machine does not answer as the policy should."""
        ...


def batch_limit(model: ServedModel, max_batch: int) -> int:
    return max_batch if model.largest_batch is None else min(max_batch, model.largest_batch)


def warm_up_sizes(max_batch: int) -> list[int]:
    """Powers of two up to the largest batch, and that."""
    return sorted({*(1 << power for power in range(max_batch.bit_length())), max_batch})


def time_batches(model: ServedModel, size: int) -> float:
    """Run a batch of every kind of prompt; the time of the fastest of the last kind [s]."""
    seconds = 0.0
    for instruction in model.warm_up_instructions:
        observation = dataclasses.replace(blank_observation(model.contract), instruction=instruction)
        seconds = _fastest(model, [model.prepare(observation)] * size)
    return seconds


def _fastest(model: ServedModel, batch: Sequence[Any]) -> float:
    seconds: list[float] = []
    for _ in range(WARM_UP_RUNS):
        started_at = time.perf_counter()
        model.forward(batch)
        seconds.append(time.perf_counter() - started_at)
    return min(seconds)


def blank_observation(contract: PolicyContract) -> Observation:
    """A valid observation with grey pictures: for warm-up and probes."""
    images: dict[str, CameraImage] = {}
    for camera in contract.cameras:
        grey = np.full((camera.height, camera.width, 3), 127, np.uint8)
        jpeg = simplejpeg.encode_jpeg(grey, quality=95, colorspace="RGB", colorsubsampling="420")
        images[camera.name] = CameraImage(jpeg=jpeg, width=camera.width, height=camera.height, exposed_at=0.0)
    return Observation(
        policy=contract.name,
        session="warm-up",
        sequence=0,
        observed_at=0.0,
        images=images,
        tcp_pose=Pose(position=np.array([0.5, 0.0, 0.2]), quaternion=np.array([1.0, 0.0, 0.0, 0.0])),
        joint_position=np.zeros(7),
        gripper_width=0.5 * contract.gripper.max_width,
        gripper_command=1.0,
        instruction="wait",
        deadline=60.0,
    )
