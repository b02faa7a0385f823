"""LIBERO without its simulator: the list of tasks, the published protocols, units, and which OpenGL draws."""

import importlib.util
import math
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_server.convert.robots import ROBOTS
from robot_contract.errors import SceneError, SimulationUnavailable
from sim_train.libero import gl
from sim_train.libero.actions import to_environment, to_wire
from sim_train.libero.protocols import OPENVLA_OFT, PROTOCOLS, RLINF, SIMPLE_VLA_RL
from sim_train.libero.suite import libero_suite, step_limit
from sim_train.libero.tasks import ALL, SIZES, SUITES, find_task, initial_states, task_names
from sim_train.suites import suite_named
from sim_train.task_list import tasks

needs_libero = pytest.mark.skipif(
    importlib.util.find_spec("libero") is None, reason="the extra `libero` is not installed"
)


@needs_libero
def test_there_are_130_tasks_with_50_initial_states_each() -> None:
    found = [find_task(ALL, name) for name in task_names(ALL)]
    assert len(found) == 130
    assert len({(task.suite, task.name) for task in found}) == 130
    assert {suite: sum(task.suite == suite for task in found) for suite in SIZES} == dict(SIZES)
    assert all(task.scene_file.is_file() and task.states_file.is_file() for task in found)
    assert all(initial_states(task).shape[0] == 50 for task in found[::13])
    assert find_task("libero_goal", "7").instruction == "turn on the stove"
    assert find_task(ALL, "27") == find_task("libero_goal", "7")


@needs_libero
def test_the_command_lists_every_task(capsys: pytest.CaptureFixture[str]) -> None:
    tasks(episodes=0)
    said = capsys.readouterr()
    for suite, size in SIZES.items():
        assert f"{suite}:\n  0: " in said.out
        assert f"\n  {size - 1}: " in said.out
    assert len(said.out.splitlines()) >= 130 + len(SIZES)
    assert said.err == ""
    with pytest.raises(SceneError, match="did you mean 'libero_goal'"):
        tasks(suite="libero_gaol")


@pytest.mark.parametrize(("suite", "task"), [("libero_spatial", "10"), ("libero_130", "130"), ("x", "0")])
def test_a_wrong_task_or_suite_is_named(suite: str, task: str) -> None:
    with pytest.raises(SceneError, match=r"has no task|no LIBERO suite"):
        find_task(suite, task)


def test_the_protocols_are_the_published_ones() -> None:
    assert dict(OPENVLA_OFT.step_limits) == {
        "libero_spatial": 220,
        "libero_object": 280,
        "libero_goal": 300,
        "libero_10": 520,
        "libero_90": 400,
    }
    assert set(SIMPLE_VLA_RL.step_limits.values()) == {512}
    assert [p.settle_steps for p in (OPENVLA_OFT, SIMPLE_VLA_RL, RLINF)] == [10, 10, 15]
    assert all(p.picture_size == 256 and p.turned and p.crop_area == 0.9 for p in PROTOCOLS.values())
    assert all(set(p.step_limits) == set(SIZES) for p in PROTOCOLS.values())
    assert step_limit(ALL, OPENVLA_OFT) == 520


@pytest.mark.parametrize("name", SUITES)
def test_each_suite_is_what_the_converter_makes_of_published_policies(name: str) -> None:
    suite, robot = suite_named(name), ROBOTS["libero"]
    assert (suite.reference, suite.frame) == (robot.reference, robot.frame) == ("measured_each_step", "base")
    assert (suite.cameras, suite.gripper) == (robot.cameras, robot.gripper)
    assert suite.step_period == robot.step_period == 0.05
    # The published bounds of one step, of all axes at once, are not shortened.
    assert suite.max_translation_per_step == pytest.approx(math.sqrt(3) * robot.metres_per_unit)
    assert suite.max_rotation_per_step == pytest.approx(math.sqrt(3) * robot.radians_per_unit)


def test_a_wrong_protocol_is_named() -> None:
    with pytest.raises(SceneError, match="did you mean 'openvla-oft'"):
        libero_suite("libero_goal", "openvla-otf")


unit = st.lists(st.floats(-1, 1), min_size=6, max_size=6)


@given(arm=unit, gripper=st.sampled_from([-1.0, 1.0]))
def test_units_there_and_back(arm: list[float], gripper: float) -> None:
    """+-1 is +-0.05 m or +-0.5 rad; the gripper's -1 is an opening of 1."""
    environment = np.array([*arm, gripper])
    wire = to_wire(environment)
    np.testing.assert_allclose(wire[:3], 0.05 * environment[:3])
    np.testing.assert_allclose(wire[3:6], 0.5 * environment[3:6])
    assert wire[6] == (1.0 if gripper == -1.0 else 0.0)
    np.testing.assert_allclose(to_environment(wire, opens=wire[6] == 1.0), environment, atol=1e-8)


def test_what_is_too_far_is_cut_axis_by_axis() -> None:
    cut = to_environment(np.array([0.1, -0.025, 0.0, 0.0, 2.0, -0.25, 1.0]), opens=True)
    np.testing.assert_allclose(cut, [1.0, -0.5, 0.0, 0.0, 1.0, -0.5, -1.0])


def test_one_opengl_is_chosen_and_a_contradiction_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "robosuite", raising=False)
    monkeypatch.setenv("PYOPENGL_PLATFORM", "osmesa")
    monkeypatch.setenv("MUJOCO_GL", "egl")
    with pytest.raises(SimulationUnavailable, match="egl and osmesa"):
        gl.settle_gl()
    monkeypatch.setenv("MUJOCO_GL", "glfw")
    monkeypatch.delenv("PYOPENGL_PLATFORM")
    with pytest.raises(SimulationUnavailable, match="in a process of its own"):
        gl.settle_gl()
    monkeypatch.setenv("PYOPENGL_PLATFORM", "osmesa")
    monkeypatch.delenv("MUJOCO_GL")
    assert gl.settle_gl() == "osmesa"
