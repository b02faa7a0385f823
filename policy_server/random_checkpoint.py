"""A checkpoint with random weights: whole, valid and honest about knowing nothing.

It shows that server, bridge and console work together. What it makes the arm do is noise inside the limits.
"""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import Tensor

from policy_server.checkpoint import UNSAVED_DIGEST, Checkpoint, save_checkpoint
from policy_server.model.config import ModelConfig
from policy_server.model.policy import build_policy
from policy_server.model.presets import TINY
from policy_server.model.tokenizer import word_tokenizer
from policy_server.preprocessing import OPENVLA_PROMPT
from robot_contract.policy_contract import (
    CameraContract,
    GripperContract,
    PolicyContract,
    Statistics,
)
from robot_contract.pose import Pose

WORDS = "put the red green blue yellow white black cube ball can box bottle plate tray bowl on in"

# Franka Hand: turned by -45 degrees on the flange, its TCP between the finger tips.
FLANGE_FROM_HAND_TCP = Pose.from_rotation_vector([0.0, 0.0, 0.1034], [0.0, 0.0, -math.pi / 4])
TRANSLATION_PER_STEP = 0.018  # [m]
ROTATION_PER_STEP = 0.04  # [rad]


def put_on_contract(*, name: str, cameras: tuple[CameraContract, ...], provenance: str) -> PolicyContract:
    """The put-on task as this project trains it: 10 Hz, eight steps a chunk, deltas chained on commands."""
    step = np.array([TRANSLATION_PER_STEP] * 3 + [ROTATION_PER_STEP] * 3)
    return PolicyContract(
        name=name,
        reference="commanded_chain",
        frame="base",
        execution="synchronous",
        step_period=0.1,
        chunk_length=8,
        execute_steps=8,
        trained_delay_steps=0,
        time_stretch=1.0,
        max_translation_per_step=TRANSLATION_PER_STEP,
        max_rotation_per_step=ROTATION_PER_STEP,
        flange_from_tcp=FLANGE_FROM_HAND_TCP,
        gripper=GripperContract(max_width=0.08, close_below=0.4, open_above=0.6),
        cameras=cameras,
        max_camera_skew=0.05,
        proprioception=("position", "rotation_vector", "opening", "gripper_command"),
        # Seen from a hand that points down, so that no rotation in the workspace comes near pi.
        proprioception_origin=Pose(
            position=np.array([0.5, 0.0, 0.0]), quaternion=np.array([1.0, 0.0, 0.0, 0.0])
        ),
        prompt_template=OPENVLA_PROMPT,
        normalisation="bounds",
        statistics=Statistics(
            action_low=np.array([*-step, 0.0]),
            action_high=np.array([*step, 1.0]),
            action_mask=(True,) * 6 + (False,),
            proprioception_low=np.array([-0.3, -0.4, -0.6, -1.0, -1.0, -1.0, 0.0, 0.0]),
            proprioception_high=np.array([0.3, 0.4, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0]),
        ),
        weights_digest=UNSAVED_DIGEST,
        provenance=(("weights", provenance),),
    )


def square_camera(name: str, *, wrist: bool = False, size: int = 96) -> CameraContract:
    """The middle square of a picture with the field of view of a RealSense D435's colour camera."""
    return CameraContract(
        name=name,
        mount="wrist" if wrist else "external",
        vertical_field_of_view=0.7417,
        crop_width=1.0,
        crop_height=1.0,
        width=size,
        height=size,
    )


def _quiet(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """With small actions around zero, so that a trial ends by its time and not at the table."""
    last = "action_head.model.fc2"
    return tensors | {
        f"{last}.weight": tensors[f"{last}.weight"] * 0.03,
        f"{last}.bias": tensors[f"{last}.bias"] * 0.0,
    }


def make_random_checkpoint(
    path: Path, *, seed: int = 0, name: str = "random", wrist_camera: bool = False, config: ModelConfig = TINY
) -> Checkpoint:
    """Write an untrained put-on policy of the tiny size; the same seed gives the same folder."""
    cameras = [square_camera("external", size=config.image_size)]
    if wrist_camera:
        cameras.append(square_camera("wrist", wrist=True, size=config.image_size))
    sized = replace(config, cameras=len(cameras))
    provenance = f"random, seed {seed}: not trained"
    return save_checkpoint(
        path,
        contract=put_on_contract(name=name, cameras=tuple(cameras), provenance=provenance),
        config=sized,
        tensors=_quiet(build_policy(sized, seed=seed).state_dict()).items(),
        tokenizer=word_tokenizer([WORDS, OPENVLA_PROMPT.replace("{instruction}", "")], config.tokens),
        report={"weights": provenance, "evaluations": {}},
    )
