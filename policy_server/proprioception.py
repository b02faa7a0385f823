"""What the policy is told about the robot's own state, built from an observation in the contract's layout.

Training and serving call the same functions, so that a layout cannot mean two things.
"""

import numpy as np

from policy_server.actions import normalise
from robot_contract.messages import Observation
from robot_contract.policy_contract import PROPRIOCEPTION_WIDTHS, PolicyContract, ProprioceptionField
from robot_contract.pose import Pose, Vector, rotation_vector_from_quaternion


def build_proprioception(
    contract: PolicyContract,
    *,
    tcp_pose: Pose,
    joint_position: Vector,
    gripper_width: float,
    gripper_command: float,
) -> Vector:
    """The contract's fields side by side, in physical units; the pose is seen from the contract's origin."""
    pose = contract.proprioception_origin.inverse() @ tcp_pose
    statistics = contract.statistics
    parts: list[Vector] = []
    at = 0
    for name in contract.proprioception:
        width = PROPRIOCEPTION_WIDTHS[name]
        bounds = slice(at, at + width)
        middle = 0.5 * (statistics.proprioception_low[bounds] + statistics.proprioception_high[bounds])
        parts.append(
            _field(
                name, pose, joint_position, gripper_width, gripper_command, contract.gripper.max_width, middle
            )
        )
        at += width
    return np.concatenate(parts) if parts else np.zeros(0)


def normalise_proprioception(values: Vector, contract: PolicyContract) -> Vector:
    """To -1..1, cut at the bounds; what never varied in training becomes 0."""
    return normalise(values, contract.statistics.proprioception_low, contract.statistics.proprioception_high)


def proprioception_of(contract: PolicyContract, observation: Observation) -> Vector:
    """Normalised proprioception of one observation."""
    values = build_proprioception(
        contract,
        tcp_pose=observation.tcp_pose,
        joint_position=observation.joint_position,
        gripper_width=observation.gripper_width,
        gripper_command=observation.gripper_command,
    )
    return normalise_proprioception(values, contract)


def _field(
    name: ProprioceptionField,
    pose: Pose,
    joint_position: Vector,
    gripper_width: float,
    gripper_command: float,
    max_width: float,
    middle: Vector,
) -> Vector:
    match name:
        case "position":
            return pose.position
        case "rotation_vector":
            return nearest_rotation_vector(pose.quaternion, middle)
        case "quaternion":
            return pose.quaternion if float(pose.quaternion @ middle) >= 0.0 else -pose.quaternion
        case "opening":
            return np.array([np.clip(gripper_width / max_width, 0.0, 1.0)])
        case "finger_positions":
            return np.array([0.5 * gripper_width, -0.5 * gripper_width])
        case "gripper_command":
            return np.array([gripper_command])
        case "joint_position":
            return joint_position


def nearest_rotation_vector(quaternion: Vector, middle: Vector) -> Vector:
    """Of the two rotation vectors that name one orientation, the one nearer to what training saw.

    A hand that points down turns by about pi: the shortest vector would jump from one end of the statistics
    to the other there.
    """
    shortest = rotation_vector_from_quaternion(quaternion)
    angle = float(np.linalg.norm(shortest))
    if not angle > 1e-6:
        return shortest
    other = shortest * (1.0 - 2.0 * np.pi / angle)
    return min(shortest, other, key=lambda vector: float(np.linalg.norm(vector - middle)))
