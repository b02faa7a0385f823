"""The arms of many cells at once: what `arm.py` does for one, on tensors and on any device.

The pose that was commanded last is each cell's anchor, as in the bridge's chain, and the joints that reach it
are found by damped Newton steps from where the joints are.

N = cells, J = the arm's seven joints
"""

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from mani_skill.utils.geometry.rotation_conversions import (
    euler_angles_to_matrix,
    matrix_to_quaternion,
    quaternion_multiply,
    quaternion_to_matrix,
)
from torch import Tensor

from robot_bridge.scene.protocol import MAX_TRANSLATION, OPEN_WIDTH
from robot_contract.errors import SceneError
from robot_contract.pose import Vector, matrix_from_quaternion, quaternion_from_rotation_vector
from sim_train.put_on.arm import SQUEEZE, TURN

# Shares of the way that is left: first along it, as a solver of many small steps goes, then onto the end.
_SHARES = (1 / 5, 1 / 4, 1 / 3, 1 / 2, 1.0, 1.0, 1.0)
_DAMPING = 1e-6  # of the squared singular values
_REACHED = 1e-4  # [m] and [rad], the norm of both: further off, the joints stay as they were commanded before


class ArmKinematics:
    def __init__(self, urdf: Path, hand: str, device: torch.device) -> None:
        made = {"dtype": torch.float64, "device": device}
        before, after = read_chain(urdf, hand)
        self._before_J44 = torch.tensor(before, **made)
        self._after_44 = torch.tensor(after, **made)

    def forward(self, joints_NJ: Tensor) -> tuple[Tensor, Tensor]:
        """The hand's (N, 4, 4) matrices in the base frame, and its (N, 6, J) Jacobian there."""
        turns = torch.zeros(*joints_NJ.shape, 4, 4, dtype=joints_NJ.dtype, device=joints_NJ.device)
        cos, sin = joints_NJ.cos(), joints_NJ.sin()
        turns[..., 0, 0], turns[..., 0, 1] = cos, -sin
        turns[..., 1, 0], turns[..., 1, 1] = sin, cos
        turns[..., 2, 2] = turns[..., 3, 3] = 1.0
        own = self._before_J44 @ turns
        frames = [own[:, 0]]
        for joint in range(1, joints_NJ.shape[1]):
            frames.append(frames[-1] @ own[:, joint])
        hand = frames[-1] @ self._after_44
        stacked = torch.stack(frames, dim=1)
        axes, origins = stacked[:, :, :3, 2], stacked[:, :, :3, 3]
        velocities = torch.linalg.cross(axes, hand[:, None, :3, 3] - origins)
        return hand, torch.cat([velocities, axes], dim=2).mT

    def hand_pose(self, joints_NJ: Tensor) -> Tensor:
        """(N, 7) position, quaternion w first."""
        hand, _ = self.forward(joints_NJ)
        return torch.cat([hand[:, :3, 3], matrix_to_quaternion(hand[:, :3, :3])], dim=1)

    def joints_for(self, pose_N7: Tensor, joints_NJ: Tensor) -> tuple[Tensor, Tensor]:
        """Joints near these that bring the hand to the pose, and what is left of the error, (N,)."""
        wanted, joints = quaternion_to_matrix(pose_N7[:, 3:]), joints_NJ
        hand, jacobian = self.forward(joints)
        error = _missing(hand, pose_N7, wanted)
        damping = _DAMPING * torch.eye(6, dtype=joints.dtype, device=joints.device)
        for share in _SHARES:
            square = jacobian @ jacobian.mT + damping
            step = jacobian.mT @ torch.linalg.solve(square, share * error[:, :, None])
            joints = joints + step[:, :, 0]
            hand, jacobian = self.forward(joints)
            error = _missing(hand, pose_N7, wanted)
        return joints, error.norm(dim=1)


def read_chain(urdf: Path, hand: str) -> tuple[Vector, Vector]:
    """(J, 4, 4) where each joint stands in the frame of the one before it, and the hand in the last one's."""
    joints = {_part(node, "child", "link"): node for node in ElementTree.parse(urdf).iterfind("joint")}
    before: list[Vector] = []
    offset, link = np.eye(4), hand
    while (joint := joints.get(link)) is not None:
        origin = _origin(joint)
        if joint.get("type") == "fixed":
            offset = origin @ offset
        else:
            if joint.get("type") != "revolute" or _part(joint, "axis", "xyz") != "0 0 1":
                raise SceneError(f"{urdf}: joint {joint.get('name')} does not turn about its own z")
            before.insert(0, offset)
            offset = origin
        link = _part(joint, "parent", "link")
    before.insert(0, offset)
    return np.array(before[:-1]), before[-1]


def _part(joint: ElementTree.Element, tag: str, key: str) -> str:
    found = joint.find(tag)
    return "" if found is None else found.get(key, "")


def _origin(joint: ElementTree.Element) -> Vector:
    origin = joint.find("origin")
    matrix = np.eye(4)
    if origin is not None:
        roll, pitch, yaw = (float(angle) for angle in origin.get("rpy", "0 0 0").split())
        matrix[:3, :3] = _about(2, yaw) @ _about(1, pitch) @ _about(0, roll)
        matrix[:3, 3] = [float(length) for length in origin.get("xyz", "0 0 0").split()]
    return matrix


def _about(axis: int, angle: float) -> Vector:
    return matrix_from_quaternion(quaternion_from_rotation_vector(angle * np.eye(3)[axis]))


def _missing(hand_N44: Tensor, pose_N7: Tensor, wanted_N33: Tensor) -> Tensor:
    """(N, 6) [m, rad] from the hand to a pose, base frame."""
    return torch.cat(
        [pose_N7[:, :3] - hand_N44[:, :3, 3], _turn_between(hand_N44[:, :3, :3], wanted_N33)], dim=1
    )


def _turn_between(before_N33: Tensor, after_N33: Tensor) -> Tensor:
    """(N, 3) rotation vectors, base frame; their sines, to be exact, which is the same in the end."""
    turn = after_N33 @ before_N33.mT
    skew = 0.5 * (turn - turn.mT)
    return torch.stack([skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]], dim=1)


def chained(target_N7: Tensor, sent_N6: Tensor) -> Tensor:
    """The next commanded poses: ManiSkill's scaled actions, seen from the poses commanded before."""
    sent = sent_N6.clamp(-1.0, 1.0)
    length = sent[:, 3:].norm(dim=1, keepdim=True).clamp(min=1.0)
    angles = sent[:, 3:] / length * -TURN
    turn = matrix_to_quaternion(euler_angles_to_matrix(angles, "XYZ"))
    quaternion = quaternion_multiply(turn, target_N7[:, 3:])
    quaternion = quaternion / quaternion.norm(dim=1, keepdim=True)
    return torch.cat([target_N7[:, :3] + sent[:, :3] * MAX_TRANSLATION, quaternion], dim=1)


def ramped(target_N: Tensor, sent_N: Tensor, reach_N: Tensor) -> Tensor:
    """The next targets [m] of the fingers: to the wanted width, `reach` [m] at most in a step."""
    low, high = -SQUEEZE, OPEN_WIDTH / 2
    wanted = low + 0.5 * (sent_N.clamp(-1.0, 1.0) + 1.0) * (high - low)
    return target_N + torch.minimum(torch.maximum(wanted - target_N, -reach_N), reach_N)


@dataclass(eq=False)
class ArmTargets:
    """What each cell's arm was told last; cells that are not named keep it."""

    kinematics: ArmKinematics
    pose: Tensor  # (N, 7) of the hand, quaternion w first
    arm: Tensor  # (N, 7) [rad]
    fingers: Tensor  # (N,) [m] of each
    finger_speed: Tensor  # (N,) [m/s]

    @classmethod
    def of(cls, kinematics: ArmKinematics, cells: int, device: torch.device) -> "ArmTargets":
        made = {"dtype": torch.float64, "device": device}
        return cls(
            kinematics=kinematics,
            pose=torch.zeros(cells, 7, **made),
            arm=torch.zeros(cells, 7, **made),
            fingers=torch.zeros(cells, **made),
            finger_speed=torch.zeros(cells, **made),
        )

    def stand(self, cells: Tensor, joints_N9: Tensor) -> None:
        """These arms shall stand where they are."""
        self.pose[cells] = self.kinematics.hand_pose(joints_N9[:, :7])
        self.arm[cells] = joints_N9[:, :7]
        self.fingers[cells] = joints_N9[:, 7]

    def command(self, cells: Tensor, sent_N7: Tensor, joints_N9: Tensor, *, seconds: float) -> Tensor:
        """(N, 9) joint targets of these cells for a step of so many seconds."""
        self.pose[cells] = chained(self.pose[cells], sent_N7[:, :6])
        joints, error = self.kinematics.joints_for(self.pose[cells], joints_N9[:, :7])
        is_reached = (error < _REACHED)[:, None]
        self.arm[cells] = torch.where(is_reached, joints, self.arm[cells])
        reach = self.finger_speed[cells] * seconds
        self.fingers[cells] = ramped(self.fingers[cells], sent_N7[:, 6], reach)
        fingers = self.fingers[cells][:, None]
        return torch.cat([self.arm[cells], fingers, fingers], dim=1)
