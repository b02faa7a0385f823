"""Kinematics against MuJoCo's model of the arm, numerical derivatives and themselves."""

from pathlib import Path

import mujoco
import numpy as np
import pytest

import robot_bridge.twin
from robot_bridge import kinematics
from robot_bridge.safety import ARM_TABLES
from robot_bridge.safety.limits import FRANKA_HAND_POINTS, NOMINAL_POSTURE
from robot_contract.pose import (
    Pose,
    angle_between,
    apply_delta,
    distance_between,
    quaternion_from_matrix,
    rotation_between,
)

MODEL = Path(robot_bridge.twin.__file__).with_name("fr3.xml")


def random_postures(count: int, seed: int = 1) -> np.ndarray:
    table = ARM_TABLES["fr3"]
    return np.random.default_rng(seed).uniform(table.joint_low, table.joint_high, (count, 7))


def test_home_is_where_the_maker_says() -> None:
    assert kinematics.flange_pose(NOMINAL_POSTURE).position == pytest.approx([0.307, 0.0, 0.590], abs=5e-4)


def test_every_frame_agrees_with_mujoco() -> None:
    model = mujoco.MjModel.from_xml_path(str(MODEL))
    data = mujoco.MjData(model)
    joints = [model.joint(f"fr3_joint{i}").qposadr[0] for i in range(1, 8)]
    for posture in random_postures(50):
        data.qpos[joints] = posture
        mujoco.mj_kinematics(model, data)
        links = kinematics.forward(posture)
        for i in range(7):
            np.testing.assert_allclose(links.origins[i], data.body(f"fr3_link{i + 1}").xpos, atol=1e-9)
            rotation = data.body(f"fr3_link{i + 1}").xmat.reshape(3, 3)
            np.testing.assert_allclose(links.axes[i], rotation[:, 2], atol=1e-9)
        flange = data.body("flange")
        np.testing.assert_allclose(links.flange_position, flange.xpos, atol=1e-9)
        np.testing.assert_allclose(links.flange_rotation, flange.xmat.reshape(3, 3), atol=1e-9)
        np.testing.assert_allclose(kinematics.elbow_position(posture), data.body("fr3_link4").xpos, atol=1e-9)


def test_the_points_of_the_hand_are_where_the_model_has_them() -> None:
    """Fingers wide open: the pads reach as far sideways as the points do, on the same line."""
    model = mujoco.MjModel.from_xml_path(str(MODEL))
    data = mujoco.MjData(model)
    for finger in ("finger_joint1", "finger_joint2"):
        data.qpos[model.joint(finger).qposadr[0]] = 0.04
    mujoco.mj_kinematics(model, data)
    flange, points = data.body("flange"), {point.name: point.position for point in FRANKA_HAND_POINTS}
    rotation = flange.xmat.reshape(3, 3)
    for body, name in (("left_finger", "finger_left"), ("right_finger", "finger_right")):
        sideways = rotation.T @ (data.body(body).xpos - flange.xpos)
        assert points[name][:2] / np.linalg.norm(points[name][:2]) == pytest.approx(
            sideways[:2] / np.linalg.norm(sideways[:2]), abs=1e-6
        )
        assert np.linalg.norm(points[name][:2]) >= np.linalg.norm(sideways[:2])
        assert points[name][2] >= 0.1034


@pytest.mark.parametrize("joint", range(7))
def test_jacobians_are_the_derivatives(joint: int) -> None:
    step = np.zeros(7)
    step[joint] = 1e-6
    for posture in random_postures(5, seed=2):
        before, after = kinematics.forward(posture - step), kinematics.forward(posture + step)
        moved = (after.flange_position - before.flange_position) / 2e-6
        turned = rotation_between(before.flange_pose(), after.flange_pose()) / 2e-6
        column = kinematics.jacobian(posture)[:, joint]
        np.testing.assert_allclose(column, [*moved, *turned], atol=1e-6)
        elbow = kinematics.forward(posture).elbow_jacobian()[:, joint]
        np.testing.assert_allclose(elbow, (after.elbow - before.elbow) / 2e-6, atol=1e-6)


def test_solving_returns_to_the_pose_from_nearby() -> None:
    rng = np.random.default_rng(3)
    for _ in range(30):
        posture = NOMINAL_POSTURE + rng.uniform(-0.4, 0.4, 7)
        wanted = kinematics.flange_pose(posture)
        found = kinematics.solve(wanted, posture + rng.uniform(-0.2, 0.2, 7))
        assert found is not None
        reached = kinematics.flange_pose(found)
        assert distance_between(reached, wanted) < 2e-6
        assert angle_between(reached, wanted) < 4e-6


def test_a_pose_out_of_reach_has_no_solution_and_the_joints_stay_finite() -> None:
    far = Pose(
        position=np.array([2.0, 0.0, 0.5]), quaternion=kinematics.flange_pose(NOMINAL_POSTURE).quaternion
    )
    assert kinematics.solve(far, NOMINAL_POSTURE) is None
    assert np.isfinite(kinematics.inverse(far, NOMINAL_POSTURE, steps=50).joint_position).all()


def test_one_tick_needs_few_steps() -> None:
    start = kinematics.flange_pose(NOMINAL_POSTURE)
    target = apply_delta(start, np.array([0.0025, 0.0, -0.001]), np.array([0.0, 0.005, 0.0]), "base")
    found = kinematics.inverse(target, NOMINAL_POSTURE)
    assert np.abs(found.error).max() < 1e-6


def test_the_null_space_moves_the_joints_and_not_the_flange() -> None:
    tendency = np.array([0.0, 0.0, 0.01, 0.0, 0.0, 0.0, 0.0])
    pose = kinematics.flange_pose(NOMINAL_POSTURE)
    found = kinematics.inverse(pose, NOMINAL_POSTURE, tendency=tendency)
    assert np.abs(found.error).max() < 1e-6
    assert np.abs(found.joint_position - NOMINAL_POSTURE).max() > 1e-3


def test_the_condition_number_is_that_of_the_singular_values() -> None:
    for posture in random_postures(10, seed=4):
        matrix = kinematics.jacobian(posture)
        assert kinematics.condition_number(matrix) == pytest.approx(np.linalg.cond(matrix), rel=1e-4)


def test_a_stretched_arm_is_singular_and_its_inverse_finite() -> None:
    stretched = np.array([0.0, 0.0, 0.0, 0.0, 0.0, np.pi / 2, 0.0])
    matrix = kinematics.jacobian(stretched)
    assert kinematics.condition_number(matrix) > 1e3
    assert np.isfinite(kinematics.pseudo_inverse(matrix)).all()


@pytest.mark.parametrize("angle", [0.0, 1e-12, 0.3, 3.0, np.pi - 1e-9])
def test_the_error_of_the_orientation_is_right_for_every_angle(angle: float) -> None:
    links = kinematics.forward(NOMINAL_POSTURE)
    axis = np.array([0.6, -0.64, 0.48])
    target = apply_delta(links.flange_pose(), np.array([0.1, 0.0, 0.0]), axis * angle, "base")
    error = kinematics.pose_error(links, target.position, target.matrix()[:3, :3])
    np.testing.assert_allclose(error, [0.1, 0.0, 0.0, *(axis * angle)], atol=1e-7)


def test_tool_points_are_carried_by_the_flange() -> None:
    flange = kinematics.flange_pose(NOMINAL_POSTURE)
    points = np.array([[0.0, 0.0, 0.0], [0.01, 0.02, 0.1]])
    found = kinematics.tool_points(flange, points)
    for point, expected in zip(found, points, strict=True):
        on_tool = flange @ Pose(position=expected, quaternion=np.array([0.0, 0.0, 0.0, 1.0]))
        np.testing.assert_allclose(point, on_tool.position, atol=1e-12)
    assert quaternion_from_matrix(np.eye(3)) == pytest.approx([0, 0, 0, 1])
