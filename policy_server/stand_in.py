"""A timed stand-in for a model on a GPU: decodes pictures for real, then waits t(B) = a + b B milliseconds.

For benchmarks and tests of everything around the model. It says what it is in its name, its device and its
provenance; its actions keep the arm where it is, up to a mark that tests recognise.
"""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import simplejpeg

from robot_contract.errors import ContractError, nearest_name
from robot_contract.messages import Observation
from robot_contract.policy_contract import (
    CameraContract,
    GripperContract,
    PolicyContract,
    Statistics,
)
from robot_contract.pose import Pose, Vector

STAND_IN_NAME = "stand-in"
ECHO = 1e-3  # first action's dx over the TCP's x: shows that an answer belongs to its observation


@dataclass(frozen=True, kw_only=True)
class StandInOptions:
    fixed_ms: float = 8.0  # a
    per_sample_ms: float = 2.0  # b
    mark_mm: float = 0.0  # dz of every action, to tell two stand-ins apart
    chunk_length: int = 8
    delay_steps: int = (
        2  # from picture to motion that it claims to have been trained with; 0 for short chunks
    )
    image_size: int = 256  # [px]
    fails_after: int = 0  # batches, warm-up included, after which every batch fails; 0 for never


class StandIn:
    device = "stand-in"
    largest_batch = None
    warm_up_instructions = ("wait",)

    def __init__(self, options: StandInOptions, *, name: str = STAND_IN_NAME) -> None:
        self.options = options
        self.contract = stand_in_contract(options, name)
        self._batches = 0

    def check(self) -> None:
        """There is nothing that it should know."""

    def prepare(self, observation: Observation) -> float:
        for image in observation.images.values():
            simplejpeg.decode_jpeg(image.jpeg, "RGB")
        return float(observation.tcp_pose.position[0])

    def forward(self, batch: Sequence[float]) -> Sequence[Vector]:
        options = self.options
        self._batches += 1
        if 0 < options.fails_after < self._batches:
            raise RuntimeError(f"this stand-in fails after {options.fails_after} batches")
        time.sleep((options.fixed_ms + options.per_sample_ms * len(batch)) * 1e-3)
        chunks: list[Vector] = []
        for tcp_x in batch:
            actions = np.zeros((options.chunk_length, 7))
            actions[0, 0] = ECHO * tcp_x
            actions[:, 2] = options.mark_mm * 1e-3
            actions[:, 6] = 1.0
            chunks.append(actions)
        return chunks


def load_stand_in(path: Path, *, name: str = STAND_IN_NAME) -> StandIn:
    """Read a JSON file with any of the fields of `StandInOptions`."""
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ContractError(f"{path} is not a readable stand-in file: {error}") from error
    if not isinstance(document, dict):
        raise ContractError(f"{path} holds {type(document).__name__}, expected an object")
    accepted = [field.name for field in fields(StandInOptions)]
    for key, value in document.items():
        if key not in accepted:
            raise ContractError(f"{path} has {key!r}; {nearest_name(key, accepted)}")
        if not isinstance(value, int | float):
            raise ContractError(f"{path}: {key} is {value!r}, expected a number")
    return StandIn(StandInOptions(**document), name=name)


def stand_in_contract(options: StandInOptions, name: str = STAND_IN_NAME) -> PolicyContract:
    def camera(camera_name: str, mount: str) -> CameraContract:
        return CameraContract(
            name=camera_name,
            mount="wrist" if mount == "wrist" else "external",
            vertical_field_of_view=0.75,
            crop_width=1.0,
            crop_height=1.0,
            width=options.image_size,
            height=options.image_size,
        )

    description = json.dumps(asdict(options), sort_keys=True)
    low = np.array([-0.018, -0.018, -0.018, -0.04, -0.04, -0.04, 0.0])
    return PolicyContract(
        name=name,
        reference="commanded_chain",
        frame="base",
        execution="overlapped",
        step_period=0.1,
        chunk_length=options.chunk_length,
        execute_steps=max(1, options.chunk_length // 2),
        trained_delay_steps=options.delay_steps if options.chunk_length > 2 else 0,
        time_stretch=1.0,
        max_translation_per_step=0.018,
        max_rotation_per_step=0.04,
        flange_from_tcp=Pose(
            position=np.array([0.0, 0.0, 0.1034]), quaternion=np.array([0.0, 0.0, 0.0, 1.0])
        ),
        gripper=GripperContract(max_width=0.08, close_below=0.4, open_above=0.6),
        cameras=(camera("external", "external"), camera("wrist", "wrist")),
        max_camera_skew=0.05,
        proprioception=("position", "rotation_vector", "opening"),
        proprioception_origin=Pose(position=np.zeros(3), quaternion=np.array([0.0, 0.0, 0.0, 1.0])),
        prompt_template="{instruction}",
        normalisation="bounds",
        statistics=Statistics(
            action_low=low,
            action_high=np.array([*-low[:6], 1.0]),
            action_mask=(True,) * 6 + (False,),
            proprioception_low=-np.ones(7),
            proprioception_high=np.ones(7),
        ),
        weights_digest=hashlib.sha256(description.encode()).hexdigest(),
        provenance=(("kind", "timed stand-in, not a trained policy"), ("options", description)),
    )
