"""The twin's arm is the maker's: link table, joint limits, and nothing of it is heavy or large."""

from pathlib import Path

import mujoco
import numpy as np
import pytest

from robot_bridge import kinematics
from robot_bridge.scene.splits import draw_scene
from robot_bridge.twin.cell import ARM_XML, build_cell
from robot_bridge.twin.franka_sim import franka_sim_xml
from robot_bridge.twin.start import start_joints

# Franka's published tables: a [m], d [m], alpha [rad] (modified Denavit-Hartenberg); [rad]; [Nm].
LINKS = (
    (0.0, 0.333, 0.0),
    (0.0, 0.0, -np.pi / 2),
    (0.0, 0.316, np.pi / 2),
    (0.0825, 0.0, np.pi / 2),
    (-0.0825, 0.384, -np.pi / 2),
    (0.0, 0.0, np.pi / 2),
    (0.088, 0.0, np.pi / 2),
    (0.0, 0.107, 0.0),
)
LOWEST = (-2.9007, -1.8361, -2.9007, -3.0770, -2.8763, 0.4398, -3.0508)
HIGHEST = (2.9007, 1.8361, 2.9007, -0.1169, 2.8763, 4.6216, 3.0508)
TORQUES = (87, 87, 87, 87, 12, 12, 12)


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_string(ARM_XML.read_text())


def pose_of(data: mujoco.MjData, site: str) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3] = data.site(site).xmat.reshape(3, 3)
    pose[:3, 3] = data.site(site).xpos
    return pose


def published_flange(joints: np.ndarray) -> np.ndarray:
    pose = np.eye(4)
    for (a, d, alpha), theta in zip(LINKS, (*joints, 0.0), strict=True):
        ct, st, ca, sa = np.cos(theta), np.sin(theta), np.cos(alpha), np.sin(alpha)
        pose = pose @ np.array(
            [[ct, -st, 0, a], [st * ca, ct * ca, -sa, -d * sa], [st * sa, ct * sa, ca, d * ca], [0, 0, 0, 1]]
        )
    return pose


def test_the_flange_stands_where_the_published_table_and_the_bridge_say(model: mujoco.MjModel) -> None:
    data = mujoco.MjData(model)
    rng = np.random.default_rng(7)
    for _ in range(200):
        joints = rng.uniform(LOWEST, HIGHEST)
        data.qpos[:7] = joints
        mujoco.mj_kinematics(model, data)
        flange = pose_of(data, "flange")
        np.testing.assert_allclose(flange, published_flange(joints), atol=1e-9)
        links = kinematics.forward(joints)
        np.testing.assert_allclose(flange[:3, 3], links.flange_position, atol=1e-9)
        np.testing.assert_allclose(flange[:3, :3], links.flange_rotation, atol=1e-9)


def test_the_tcp_is_behind_the_hand_turned_by_an_eighth(model: mujoco.MjModel) -> None:
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    flange_from_tcp = np.linalg.inv(pose_of(data, "flange")) @ pose_of(data, "tcp")
    c = np.sqrt(0.5)
    np.testing.assert_allclose(
        flange_from_tcp, [[c, c, 0, 0], [-c, c, 0, 0], [0, 0, 1, 0.1034], [0, 0, 0, 1]], atol=1e-9
    )


def test_joint_ranges_and_torques_are_the_published_ones(model: mujoco.MjModel) -> None:
    np.testing.assert_array_equal(model.jnt_range[:7, 0], LOWEST)
    np.testing.assert_array_equal(model.jnt_range[:7, 1], HIGHEST)
    np.testing.assert_array_equal(model.actuator_ctrlrange[:7, 1], TORQUES)
    np.testing.assert_array_equal(model.actuator_ctrlrange[:7, 0], np.negative(TORQUES))


def test_masses_and_inertias_are_those_of_such_an_arm(model: mujoco.MjModel) -> None:
    arm = [model.body(f"fr3_link{i}").id for i in range(1, 8)]
    assert 12 < model.body_mass[arm].sum() < 18  # the maker's arm without its base
    for body in arm:
        a, b, c = sorted(model.body_inertia[body])
        assert a > 0
        assert c < a + b, "no solid has such inertias"
    hand = [model.body(name).id for name in ("hand", "left_finger", "right_finger")]
    assert 0.6 < model.body_mass[hand].sum() < 0.95


def test_the_file_is_small_and_has_no_meshes(model: mujoco.MjModel) -> None:
    assert Path(str(ARM_XML)).stat().st_size < 200_000
    assert model.nmesh == 0


def test_for_franka_sim_the_seventh_body_is_the_flange_and_nothing_moves_otherwise(
    model: mujoco.MjModel,
) -> None:
    shifted = mujoco.MjModel.from_xml_string(franka_sim_xml())
    assert [shifted.joint(i).name for i in range(shifted.njnt)] == [f"fr3_joint{i}" for i in range(1, 8)]
    assert shifted.nu == 7
    data, other = mujoco.MjData(model), mujoco.MjData(shifted)
    rng = np.random.default_rng(3)
    for _ in range(50):
        joints = rng.uniform(LOWEST, HIGHEST)
        data.qpos[:7] = other.qpos[:] = joints
        mujoco.mj_forward(model, data)
        mujoco.mj_forward(shifted, other)
        np.testing.assert_allclose(other.body("fr3_link7").xpos, data.site("flange").xpos, atol=1e-9)
        np.testing.assert_allclose(other.body("fr3_link7").xmat, data.site("flange").xmat, atol=1e-9)
        np.testing.assert_allclose(other.body("fr3_link7").xipos, data.body("fr3_link7").xipos, atol=1e-9)


@pytest.mark.parametrize("seed", [130, 173, 204, 246, 285, 359, 382])
def test_the_arm_reaches_every_start_pose_that_is_drawn(seed: int) -> None:
    """These draws lay too near to the shoulder for the elbow, before they were drawn again."""
    scene = draw_scene("unseen_start_pose", seed)
    assert np.isfinite(start_joints(build_cell(scene, {}), scene.start)).all()
