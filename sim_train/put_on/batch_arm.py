"""The arms of many cells at once: what `arm.py` does for one, on tensors and on any device.

The pose that was commanded last is each cell's anchor, as in the bridge's chain, and the joints that reach it
are found by damped Newton steps from where the joints are.

N = cells, J = the arm's seven joints
"""

from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytorch_kinematics
import torch
from mani_skill.utils.geometry.rotation_conversions import (
    euler_angles_to_matrix,
    matrix_to_quaternion,
    quaternion_multiply,
    quaternion_to_matrix,
)
from torch import Tensor

from robot_bridge.scene.protocol import MAX_TRANSLATION, OPEN_WIDTH
from sim_train.put_on.arm import SQUEEZE, TURN

_STEPS = 10
_DAMPING = 1e-6  # of the squared singular values
_REACHED = 1e-4  # [m] and [rad], the norm of both: further off, the joints stay as they were commanded before


class ArmKinematics:
    def __init__(self, urdf: Path, hand: str, device: torch.device) -> None:
        with (
            redirect_stdout(StringIO()),
            redirect_stderr(StringIO()),
        ):  # it complains of tags it does not need
            chain = pytorch_kinematics.build_serial_chain_from_urdf(urdf.read_bytes(), hand)
        self._chain = chain.to(dtype=torch.float64, device=device)

    def jacobian(self, joints_NJ: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 6, J) of the hand in the base frame, and its (N, 4, 4) matrices."""
        return self._chain.jacobian(joints_NJ, ret_eef_pose=True)

    def hand_pose(self, joints_NJ: Tensor) -> Tensor:
        """(N, 7) position, quaternion w first."""
        _, matrix = self.jacobian(joints_NJ)
        return torch.cat([matrix[:, :3, 3], matrix_to_quaternion(matrix[:, :3, :3])], dim=1)

    def joints_for(self, pose_N7: Tensor, joints_NJ: Tensor) -> tuple[Tensor, Tensor]:
        """Joints near these that bring the hand to the pose, and what is left of the error, (N,)."""
        wanted, joints = quaternion_to_matrix(pose_N7[:, 3:]), joints_NJ
        damping = _DAMPING * torch.eye(6, dtype=joints.dtype, device=joints.device)
        for step in range(_STEPS + 1):
            jacobian, matrix = self.jacobian(joints)
            error = torch.cat(
                [pose_N7[:, :3] - matrix[:, :3, 3], _turn_between(matrix[:, :3, :3], wanted)], dim=1
            )
            if step < _STEPS:
                square = jacobian @ jacobian.mT + damping
                joints = joints + (jacobian.mT @ torch.linalg.solve(square, error[:, :, None]))[:, :, 0]
        return joints, error.norm(dim=1)


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
