"""What published policies were trained to drive: the half of a contract that stands in no published file.

Each preset is a choice that the converting person makes by name. Bounds per step are not presets: they follow
from the statistics, so that nothing the policy can say inside them is ever shortened.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from policy_server.actions import Rotation
from robot_contract.errors import ContractError, nearest_name
from robot_contract.policy_contract import (
    CameraContract,
    DeltaFrame,
    GripperContract,
    Mount,
    Normalisation,
    ProprioceptionField,
    Reference,
)
from robot_contract.pose import Pose


@dataclass(frozen=True, kw_only=True, eq=False)
class RobotPreset:
    reference: Reference
    frame: DeltaFrame
    step_period: float  # [s]
    chunk_length: int  # K of policies that answer several actions
    metres_per_unit: float  # of a translation in the data set
    radians_per_unit: float  # of a rotation in the data set
    rotation: Rotation
    flange_from_tcp: Pose
    gripper: GripperContract
    cameras: tuple[CameraContract, ...]  # in the order in which the policy was trained on them
    proprioception: tuple[ProprioceptionField, ...]  # of policies that take it
    proprioception_origin: Pose
    normalisation: Normalisation


def _camera(name: str, mount: Mount, degrees: float, *, aspect: float = 1.0) -> CameraContract:
    """256 px square, as all these data sets store it; a wider picture was squashed, not cut."""
    return CameraContract(
        name=name,
        mount=mount,
        vertical_field_of_view=math.radians(degrees),
        crop_width=aspect,
        crop_height=1.0,
        width=256,
        height=256,
    )


# The camera of BridgeData's setup as SimplerEnv and ManiSkill model it: 640 x 480, focal length 623.6 px.
_BRIDGE_CAMERA = _camera(
    "external", "external", math.degrees(2.0 * math.atan(240.0 / 623.588)), aspect=4.0 / 3.0
)


# robosuite's Panda: the hand is turned by -45 degrees on the flange; its grip site is 97 mm along the
# gripper, which sits 106.5 mm from the last link, where the flange is at 107 mm.
_ROBOSUITE_GRIP_SITE = Pose.from_rotation_vector([0.0, 0.0, 0.0965], [0.0, 0.0, -math.pi / 4])
_FRANKA_HAND_TCP = Pose.from_rotation_vector([0.0, 0.0, 0.1034], [0.0, 0.0, -math.pi / 4])

# LIBERO's states are seen from its world; its tabletop scenes put the arm here in that world.
_LIBERO_TABLETOP_BASE = Pose(
    position=np.array([-0.66, 0.0, 0.912]), quaternion=np.array([0.0, 0.0, 0.0, 1.0])
)

_BINARY_GRIPPER = GripperContract(max_width=0.08, close_below=0.5, open_above=0.5)

ROBOTS = {
    # robosuite OSC_POSE at 20 Hz: +-1 is +-5 cm and +-0.5 rad, anchored anew at every step.
    "libero": RobotPreset(
        reference="measured_each_step",
        frame="base",
        step_period=0.05,
        chunk_length=8,
        metres_per_unit=0.05,
        radians_per_unit=0.5,
        rotation="rotation_vector",
        flange_from_tcp=_ROBOSUITE_GRIP_SITE,
        gripper=_BINARY_GRIPPER,
        cameras=(_camera("external", "external", 45.0), _camera("wrist", "wrist", 75.0)),
        proprioception=("position", "rotation_vector", "finger_positions"),
        proprioception_origin=_LIBERO_TABLETOP_BASE.inverse(),
        normalisation="bounds_q99",
    ),
    # BridgeData V2 at 5 Hz: metres, and roll, pitch, yaw in radians.
    "bridge": RobotPreset(
        reference="commanded_chain",
        frame="base",
        step_period=0.2,
        chunk_length=5,
        metres_per_unit=1.0,
        radians_per_unit=1.0,
        rotation="roll_pitch_yaw",
        flange_from_tcp=_FRANKA_HAND_TCP,
        gripper=_BINARY_GRIPPER,
        cameras=(_BRIDGE_CAMERA,),
        proprioception=(),
        proprioception_origin=Pose.identity(),
        normalisation="bounds_q99",
    ),
    # The put-on tasks of RL4VLA and RLinf in ManiSkill at 5 Hz: BridgeData's units, ManiSkill's Euler angles.
    "maniskill-put-on": RobotPreset(
        reference="commanded_chain",
        frame="base",
        step_period=0.2,
        chunk_length=8,
        metres_per_unit=1.0,
        radians_per_unit=1.0,
        rotation="euler_xyz",
        flange_from_tcp=_FRANKA_HAND_TCP,
        gripper=_BINARY_GRIPPER,
        cameras=(_BRIDGE_CAMERA,),
        proprioception=(),
        proprioception_origin=Pose.identity(),
        normalisation="bounds_q99",
    ),
}


def robot_preset(name: str) -> RobotPreset:
    if name not in ROBOTS:
        raise ContractError(f"unknown robot {name!r}; {nearest_name(name, ROBOTS)}")
    return ROBOTS[name]


def choose_cameras(robot: RobotPreset, names: Sequence[str]) -> tuple[CameraContract, ...]:
    """The named cameras in the named order."""
    known = {camera.name: camera for camera in robot.cameras}
    for name in names:
        if name not in known:
            raise ContractError(f"camera {name!r} is unknown for this robot; {nearest_name(name, known)}")
    return tuple(known[name] for name in names)
