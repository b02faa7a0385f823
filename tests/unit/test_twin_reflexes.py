"""What the twin's arm refuses by itself, state by state."""

from dataclasses import replace

import mujoco
import numpy as np
import pytest

from robot_bridge.scene.splits import draw_scene
from robot_bridge.twin.cell import build_cell
from robot_bridge.twin.impedance import ImpedanceLaw
from robot_bridge.twin.reflexes import JOINT_SPEED, Reflexes
from robot_bridge.twin.settings import ArmSettings
from robot_bridge.twin.start import HOME


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return build_cell(draw_scene("train", 3), {})


def verdict(model: mujoco.MjModel, joints: np.ndarray, speed: np.ndarray | None = None) -> str | None:
    data = mujoco.MjData(model)
    data.qpos[:7] = joints
    if speed is not None:
        data.qvel[:7] = speed
    mujoco.mj_forward(model, data)
    settings = ArmSettings()
    law = ImpedanceLaw(model, settings)
    law.observe(data)
    return Reflexes(model, settings).check(data, law)


def test_home_is_well(model: mujoco.MjModel) -> None:
    assert verdict(model, HOME) is None


@pytest.mark.parametrize("joint", range(7))
@pytest.mark.parametrize("end", [0, 1])
def test_each_end_of_each_joint_is_refused(model: mujoco.MjModel, joint: int, end: int) -> None:
    joints = HOME.copy()
    joints[joint] = model.jnt_range[joint, end]
    assert verdict(model, joints) == "joint_position_limits_violation"


@pytest.mark.parametrize("joint", range(7))
def test_each_joint_has_a_largest_speed(model: mujoco.MjModel, joint: int) -> None:
    speed = np.zeros(7)
    speed[joint] = -0.99 * JOINT_SPEED[joint]
    assert verdict(model, HOME, speed) is None
    speed[joint] = -1.01 * JOINT_SPEED[joint]
    assert verdict(model, HOME, speed) == "joint_velocity_violation"


def test_what_is_not_a_number_is_refused(model: mujoco.MjModel) -> None:
    data = mujoco.MjData(model)
    data.qpos[:7] = HOME
    mujoco.mj_forward(model, data)
    law = ImpedanceLaw(model, ArmSettings())
    law.observe(data)
    reflexes = Reflexes(model, ArmSettings())
    law.external_wrench[2] = np.nan
    assert reflexes.check(data, law) == "cartesian_reflex"
    law.external_wrench[2] = 0.0
    law.external_torque[3] = np.nan
    assert reflexes.check(data, law) == "joint_reflex"
    data.qpos[0] = np.nan
    assert reflexes.check(data, law) == "joint_position_limits_violation"


def test_the_hand_on_the_own_arm_is_a_self_collision(model: mujoco.MjModel) -> None:
    folded = np.array([0.0, 0.6, 0.0, -3.0, 0.0, 0.9, 0.8])
    assert verdict(model, folded) == "self_collision_avoidance_violation"


def test_thresholds_are_the_settings(model: mujoco.MjModel) -> None:
    data = mujoco.MjData(model)
    data.qpos[:7] = HOME
    mujoco.mj_forward(model, data)
    law = ImpedanceLaw(model, ArmSettings())
    law.observe(data)
    law.external_wrench[:] = [0.0, -30.0, 0.0, 0.0, 0.0, 0.0]
    settings = ArmSettings()
    assert Reflexes(model, settings).check(data, law) is None
    assert Reflexes(model, replace(settings, force_threshold=29.0)).check(data, law) == "cartesian_reflex"


def test_the_first_reflex_stays_until_it_is_cleared(model: mujoco.MjModel) -> None:
    reflexes = Reflexes(model, ArmSettings())
    reflexes.latch("cartesian_reflex")
    reflexes.latch("joint_reflex")
    assert reflexes.latched == "cartesian_reflex"
    reflexes.clear()
    assert reflexes.latched is None
