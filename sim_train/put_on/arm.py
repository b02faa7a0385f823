"""The Panda of the put-on tasks: ManiSkill's own, with controllers that mean what the wire means.

An action of the environment is (dx dy dz) / 18 mm, the turn / 0.04 rad, and the wanted width of the gripper.
The arm's deltas chain from the pose that was commanded before (`use_target`), in the base frame.
"""

from dataclasses import dataclass

import numpy as np
import torch
from mani_skill.agents.controllers import PDEEPoseControllerConfig, PDJointPosMimicControllerConfig
from mani_skill.agents.controllers.pd_ee_pose import PDEEPoseController
from mani_skill.agents.controllers.pd_joint_pos import PDJointPosMimicController
from mani_skill.agents.registration import register_agent
from mani_skill.agents.robots.panda.panda import Panda
from mani_skill.utils.structs import Pose as ManiSkillPose

from robot_bridge.scene.protocol import MAX_ROTATION, MAX_TRANSLATION, OPEN_WIDTH
from robot_contract.pose import (
    Vector,
    matrix_from_quaternion,
    quaternion_from_rotation_vector,
    quaternion_multiply,
)
from sim_train.put_on.look import arm_parts, dress
from sim_train.put_on.poses import to_sapien

# The turn comes as Euler angles, which are a little longer than the rotation vector that they stand for.
TURN = 1.001 * MAX_ROTATION  # [rad] that +1 means
SQUEEZE = 0.01  # [m] that each finger is asked to go beyond closed, so that thin things are held with force


class ChainedPose(PDEEPoseController):
    """ManiSkill's controller of chained poses for one arm, in numpy: equal targets in a third of the time."""

    config: "ChainedPoseConfig"

    def set_action(self, action: torch.Tensor) -> None:
        if len(action) != 1 or not self.config.use_target:
            super().set_action(action)
            return
        sent = np.clip(action[0].double().numpy(), -1.0, 1.0)
        turn = sent[3:] / max(1.0, float(np.linalg.norm(sent[3:]))) * self.config.rot_lower
        before = self._target_pose.raw_pose[0].double().numpy()
        w, x, y, z = before[3:]
        quaternion = quaternion_multiply(_turned_by(turn), np.array([x, y, z, w]))
        position = before[:3] + sent[:3] * self.config.pos_upper
        target = to_sapien(position, quaternion / np.linalg.norm(quaternion))
        self._target_pose = ManiSkillPose.create(target)
        kinematics = self.kinematics
        joints, is_solved, _ = kinematics.pmodel.compute_inverse_kinematics(
            kinematics.end_link_idx,
            target,
            initial_qpos=self.articulation.get_qpos()[0].double().numpy(),
            active_qmask=kinematics.qmask,
            max_iterations=100,
        )
        if is_solved:
            arm = joints[kinematics.pmodel_controlled_joint_indices]
            self._target_qpos = torch.tensor(arm[None], dtype=torch.float32)
            self.set_drive_targets(self._target_qpos)


def _turned_by(angles: Vector) -> Vector:
    """Quaternion of X(a) Y(b) Z(c)."""
    x, y, z = (quaternion_from_rotation_vector(axis * angle) for axis, angle in zip(np.eye(3), angles))
    return quaternion_multiply(x, quaternion_multiply(y, z))


@dataclass
class ChainedPoseConfig(PDEEPoseControllerConfig):
    controller_cls = ChainedPose


class RampedGripper(PDJointPosMimicController):
    """Fingers that go to the wanted width at the Franka Hand's pace, not at once."""

    config: "RampedGripperConfig"
    finger_speed = 0.05  # [m/s] of each finger

    def set_action(self, action: torch.Tensor) -> None:
        wanted = self._preprocess_action(action)
        reach = self.finger_speed / self._control_freq
        now = self._target_qpos[:, self.control_joint_indices]
        self._target_qpos[:, self.control_joint_indices] = now + torch.clamp(wanted - now, -reach, reach)
        self._target_qpos[:, self.mimic_joint_indices] = self._target_qpos[
            :, self.mimic_control_joint_indices
        ]
        self.set_drive_targets(self._target_qpos)


@dataclass
class RampedGripperConfig(PDJointPosMimicControllerConfig):
    controller_cls = RampedGripper


@register_agent()
class PutOnPanda(Panda):
    """Franka's own meshes."""

    uid = "put_on_panda"

    @property
    def _controller_configs(self) -> dict[str, dict[str, object]]:
        arm = ChainedPoseConfig(
            joint_names=self.arm_joint_names,
            pos_lower=-MAX_TRANSLATION,
            pos_upper=MAX_TRANSLATION,
            rot_lower=-TURN,
            rot_upper=TURN,
            stiffness=self.arm_stiffness,
            damping=self.arm_damping,
            force_limit=self.arm_force_limit,
            ee_link=self.ee_link_name,
            urdf_path=self.urdf_path,
            use_target=True,
        )
        gripper = RampedGripperConfig(
            joint_names=self.gripper_joint_names,
            lower=-SQUEEZE,
            upper=OPEN_WIDTH / 2,
            stiffness=self.gripper_stiffness,
            damping=self.gripper_damping,
            force_limit=20.0,
            mimic={"panda_finger_joint2": {"joint": "panda_finger_joint1"}},
        )
        return {"put_on": {"arm": arm, "gripper": gripper}}

    def behave(self, *, stiffness: float, damping: float, finger_speed: float) -> None:
        """Follow commands more or less closely: factors of the arm's own, and the fingers' speed [m/s]."""
        self.follow(0, stiffness=stiffness, damping=damping)
        self.controller.controllers["gripper"].finger_speed = finger_speed

    def follow(self, cell: int, *, stiffness: float, damping: float) -> None:
        for name in self.arm_joint_names:
            self.robot.active_joints_map[name]._objs[cell].set_drive_properties(
                stiffness * self.arm_stiffness,
                damping * self.arm_damping,
                force_limit=self.arm_force_limit,
                mode="force",
            )


@register_agent()
class PutOnPandaPlain(PutOnPanda):
    """The twin's primitive shapes: the fast look."""

    uid = "put_on_panda_plain"

    def _after_loading_articulation(self) -> None:
        parts = arm_parts()
        for link in self.robot.links:
            for body in link._objs:
                dress(body.entity, parts.get(link.name, ()))


def environment_action(action: Vector, opening: float) -> Vector:
    """From the wire's action to the environment's: scaled, and the turn as ManiSkill counts it.

    ManiSkill multiplies the turn by a negative bound and reads the product as angles about x, y, z in turn.
    """
    turn = euler_xyz(matrix_from_quaternion(quaternion_from_rotation_vector(action[3:6])))
    return np.array([*(action[:3] / MAX_TRANSLATION), *(turn / -TURN), gripper_action(opening * OPEN_WIDTH)])


def gripper_action(width: float) -> float:
    """From a width [m] to -1..1; closed asks for a little more than closed."""
    finger = width / 2 if width > 0 else -SQUEEZE
    return 2.0 * (finger + SQUEEZE) / (OPEN_WIDTH / 2 + SQUEEZE) - 1.0


def euler_xyz(matrix: Vector) -> Vector:
    """Angles (a, b, c) [rad] with matrix = X(a) Y(b) Z(c); for turns well below a right angle."""
    return np.array(
        [
            np.arctan2(-matrix[1, 2], matrix[2, 2]),
            np.arcsin(np.clip(matrix[0, 2], -1.0, 1.0)),
            np.arctan2(-matrix[0, 1], matrix[0, 0]),
        ]
    )
