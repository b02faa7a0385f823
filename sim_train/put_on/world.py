"""What both put-on environments have in common: physics, start, arm and shader, whoever steps them."""

from functools import cache
from typing import Any, Literal

import mujoco
import numpy as np
from mani_skill.utils.structs.types import SceneConfig, SimConfig

from robot_bridge.scene.protocol import OPEN_WIDTH
from robot_bridge.scene.scene import StartPose
from robot_bridge.twin.cell import ARM_XML
from robot_bridge.twin.start import start_joints
from robot_contract.pose import Vector
from sim_train.put_on.arm import PutOnPanda, PutOnPandaPlain
from sim_train.put_on.shader import quick_shader

# The twin's plain arm; Franka's meshes and the stock shader; the plain arm and scanned things.
Look = Literal["fast", "full", "scanned"]

PHYSICS_RATE_HZ = 100
SETTLING_STEPS = 15  # of physics, in which things come to rest before an episode begins
NEAR, FAR = 0.02, 6.0  # [m] what cameras see


def sim_config(rate_hz: float) -> SimConfig:
    return SimConfig(
        sim_freq=PHYSICS_RATE_HZ,
        control_freq=int(rate_hz),
        scene_config=SceneConfig(sleep_threshold=0.0, solver_position_iterations=20),
    )


def robot_of(look: Look) -> str:
    return PutOnPanda.uid if look == "full" else PutOnPandaPlain.uid


def shader_of(look: Look) -> dict[str, Any]:
    """Arguments of a `CameraConfig`."""
    return {"shader_pack": "minimal"} if look == "full" else {"shader_config": quick_shader()}


def joints_at_start(start: StartPose) -> Vector:
    """(9,) [rad], and [m] of each finger: the hand open."""
    return np.array([*start_joints(_arm_model(), start), OPEN_WIDTH / 2, OPEN_WIDTH / 2])


@cache
def _arm_model() -> mujoco.MjModel:
    """The arm alone."""
    return mujoco.MjModel.from_xml_string(ARM_XML.read_text(encoding="utf-8"))
