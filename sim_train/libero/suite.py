"""LIBERO's suites: what a policy of each sees and does, and how its simulator is opened.

Cameras, state and units are those of the converter's `libero` robot, so that converted checkpoints run here.
"""

import math
from functools import partial

import numpy as np

from policy_server.convert.robots import ROBOTS
from policy_server.preprocessing import OPENVLA_PROMPT
from robot_contract.errors import SceneError, nearest_name
from robot_contract.pose import Pose
from sim_train.libero.actions import ROTATION, STEP_PERIOD, TRANSLATION
from sim_train.libero.protocols import OPENVLA_OFT, PROTOCOLS, Protocol
from sim_train.libero.tasks import ALL, SUITES, task_names
from sim_train.simulation import Simulation
from sim_train.suites import Suite

_UNTURNED = np.array([0.0, 0.0, 0.0, 1.0])
# Where the arm stands in LIBERO's world, in suites whose scenes are all of one kind. The others have tables
# of several heights: what is called the base frame there is the world itself, as in the published states.
_ARM = {
    "libero_spatial": Pose(position=np.array([-0.66, 0.0, 0.912]), quaternion=_UNTURNED),
    "libero_goal": Pose(position=np.array([-0.66, 0.0, 0.912]), quaternion=_UNTURNED),
    "libero_object": Pose(position=np.array([-0.6, 0.0, 0.0]), quaternion=_UNTURNED),
}


def base_from_world(suite: str) -> Pose:
    return _ARM[suite].inverse() if suite in _ARM else Pose.identity()


def step_limit(suite: str, protocol: Protocol) -> int:
    """Of the longest task, in a list of several suites."""
    return max(protocol.step_limits.values()) if suite == ALL else protocol.step_limits[suite]


def libero_suite(name: str, protocol: str = OPENVLA_OFT.name) -> Suite:
    if name not in SUITES:
        raise SceneError(f"no LIBERO suite is named {name!r}; {nearest_name(name, SUITES)}")
    if protocol not in PROTOCOLS:
        raise SceneError(f"no LIBERO protocol is named {protocol!r}; {nearest_name(protocol, PROTOCOLS)}")
    chosen, robot = PROTOCOLS[protocol], ROBOTS["libero"]
    return Suite(
        name=name,
        tasks=task_names(name),
        reference=robot.reference,
        frame=robot.frame,
        step_period=STEP_PERIOD,
        episode_steps=step_limit(name, chosen),
        # The environment cuts each axis by itself, so the norm may be that of a corner.
        max_translation_per_step=math.sqrt(3.0) * TRANSLATION,
        max_rotation_per_step=math.sqrt(3.0) * ROTATION,
        chunk_length=chosen.chunk,
        flange_from_tcp=robot.flange_from_tcp,
        gripper=robot.gripper,
        cameras=robot.cameras,
        proprioception=robot.proprioception,
        proprioception_origin=base_from_world(name),
        prompt_template=OPENVLA_PROMPT,
        open_simulation=partial(_open, name, protocol),  # goes to other processes
    )


def _open(name: str, protocol: str) -> Simulation:
    from sim_train.libero.simulation import LiberoSimulation

    return LiberoSimulation(name, PROTOCOLS[protocol])
