"""Where the arm stands when a scene begins: joints for a TCP pose, elbow as at the usual home pose."""

import mujoco
import numpy as np

from robot_bridge.scene.scene import StartPose
from robot_bridge.twin.impedance import JOINTS
from robot_contract.errors import SceneError
from robot_contract.pose import Vector

HOME = np.array([0.0, -np.pi / 4, 0.0, -3 * np.pi / 4, 0.0, np.pi / 2, np.pi / 4])  # [rad]
_ROUNDS = 200
_CLOSE = 1e-10  # [m] and [rad]


def start_joints(model: mujoco.MjModel, start: StartPose) -> Vector:
    """Newton steps with damping, and a pull to HOME in the null space."""
    data = mujoco.MjData(model)
    data.qpos[:JOINTS] = HOME
    site = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_SITE, "tcp")
    target = np.array([start.x, start.y, start.z])
    wanted = np.array(
        [0.0, np.cos(start.yaw / 2), np.sin(start.yaw / 2), 0.0]
    )  # w first: straight down, turned
    jacobian, present, turn, error = np.zeros((6, model.nv)), np.zeros(4), np.zeros(3), np.zeros(6)
    joints = data.qpos[:JOINTS]
    low, high = model.jnt_range[:JOINTS, 0] + 0.05, model.jnt_range[:JOINTS, 1] - 0.05
    for _ in range(_ROUNDS):
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_jacSite(model, data, jacobian[:3], jacobian[3:], site)
        mujoco.mju_mat2Quat(present, data.site_xmat[site])
        mujoco.mju_subQuat(turn, wanted, present)
        mujoco.mju_rotVecQuat(error[3:], turn, present)
        error[:3] = target - data.site_xpos[site]
        arm = jacobian[:, :JOINTS]
        inverse = arm.T @ np.linalg.inv(arm @ arm.T + 1e-9 * np.eye(6))
        rest = 0.1 * (HOME - joints)
        step = inverse @ error + rest - inverse @ (arm @ rest)
        joints[:] = np.clip(joints + step, low, high)
        if np.abs(error).max() < _CLOSE and np.abs(step).max() < 1e-6:
            break
    if not np.abs(error).max() < 1e-6:
        raise SceneError(f"the arm does not reach its start pose {start} within its joint range")
    return np.array(joints)
