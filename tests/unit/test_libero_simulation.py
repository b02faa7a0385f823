"""LIBERO's simulation keeps what it promises: published conditions, the bridge's semantics, lazy pictures."""

import importlib.util
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from policy_server.actions import decode_actions
from robot_bridge.reanchored import ReanchoredChunk
from robot_contract.errors import SceneError, SimulationUnavailable
from robot_contract.messages import ActionChunk, Timings
from robot_contract.pose import Pose, Vector, angle_between, distance_between, quaternion_from_matrix
from sim_train.libero.cell import Cell
from sim_train.libero.pictures import drawn_as
from sim_train.libero.protocols import OPENVLA_OFT, RLINF
from sim_train.libero.simulation import LiberoSimulation
from sim_train.libero.suite import base_from_world, libero_suite
from sim_train.libero.tasks import ALL, INITIAL_STATES, SIZES, find_task
from sim_train.simulation import Episode
from sim_train.suite_contract import contract_of_suite

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("libero") is None, reason="the extra `libero` is not installed"
)
SPATIAL = "libero_spatial"
SUITE = libero_suite(SPATIAL)
STANDING = np.array([[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]])


def episode(state: int, task: str = "4", suite: str = SPATIAL) -> Episode:
    return Episode(suite=suite, task=task, seed=state)


@pytest.fixture(scope="module")
def spatial() -> Iterator[LiberoSimulation]:
    """Task 4, with the cabinet and its drawer."""
    with closing(LiberoSimulation(SPATIAL, OPENVLA_OFT)) as simulation:
        yield simulation


def cell_of(simulation: LiberoSimulation) -> Cell:
    return simulation._cell  # pyright: ignore[reportPrivateUsage]


def cabinet(simulation: LiberoSimulation) -> Vector:
    cell = cell_of(simulation)
    return cell.model.body_pos[cell.environment.obj_body_id["wooden_cabinet_1"]].copy()


def test_equal_episodes_are_equal_whatever_came_before(spatial: LiberoSimulation) -> None:
    chunk = np.random.default_rng(1).uniform(-0.03, 0.03, (6, 7)) + STANDING * 0.2  # closes
    told: list[bytes] = []
    for _ in range(2):
        spatial.reset(episode(3))
        spatial.step(chunk)
        told.append(cell_of(spatial).data.qpos.tobytes())
        spatial.reset(episode(0))
        spatial.step(chunk[:3])
    assert told[0] == told[1]


def test_fixtures_stand_where_the_published_order_of_episodes_puts_them(spatial: LiberoSimulation) -> None:
    """They are placed by each reset: the k-th episode of a task that was seeded once gets the k-th draw."""
    stood: dict[int, Vector] = {}
    for state in (2, 0, 1):
        spatial.reset(episode(state))
        stood[state] = cabinet(spatial)
    cell = cell_of(spatial)
    before = np.random.get_state()[1].copy()
    np.random.seed(OPENVLA_OFT.seed)
    for state in range(3):
        cell.environment.reset()
        np.testing.assert_array_equal(cabinet(spatial), stood[state])
    np.random.set_state(("MT19937", before, 624, 0, 0.0))
    assert not np.array_equal(stood[0], stood[1])


def test_the_global_generator_is_given_back(spatial: LiberoSimulation) -> None:
    np.random.seed(5)
    expected = np.random.uniform(size=2)
    np.random.seed(5)
    first = np.random.uniform()
    spatial.reset(episode(1))
    assert [first, np.random.uniform()] == expected.tolist()


def test_nothing_hangs_in_the_air_and_what_does_is_named(spatial: LiberoSimulation) -> None:
    spatial.reset(episode(0))
    cell = cell_of(spatial)
    assert cell.falling() == []
    joint = cell.environment.objects_dict["cookies_1"].joints[-1]
    cell.data.joint(joint).qpos[2] += 0.3
    cell.environment.sim.forward()
    assert cell.falling() == ["cookies_1"]


def test_a_protocol_that_does_not_wait_is_refused(spatial: LiberoSimulation) -> None:
    cell = cell_of(spatial)
    hasty = replace(OPENVLA_OFT, settle_steps=0)  # the official states hold things above the table
    kept = cell._protocol  # pyright: ignore[reportPrivateUsage]
    cell._protocol = hasty  # pyright: ignore[reportPrivateUsage]
    try:
        with pytest.raises(SimulationUnavailable, match=r"cookies_1.* still in the air after 0 steps"):
            cell.reset(0)
    finally:
        cell._protocol = kept  # pyright: ignore[reportPrivateUsage]


def test_targets_are_those_of_the_bridge(spatial: LiberoSimulation) -> None:
    """From the policy's numbers to what the controller goes for: server, bridge and robosuite agree."""
    spatial.reset(episode(0))
    cell, controller = cell_of(spatial), cell_of(spatial).robot.controller
    contract = contract_of_suite(SUITE, name="any", cameras=["external"])
    rng = np.random.default_rng(0)
    hand_from_site: Pose | None = None
    for sequence in range(3):
        normalised = rng.uniform(-0.04, 0.04, (SUITE.chunk_length, 7))
        normalised[:, 3:6] *= 10.0
        normalised[2, 3:6] = 0.0  # the measured orientation is wanted then, not the one wanted before
        normalised[:, 6] = rng.integers(0, 2, SUITE.chunk_length)
        # The statistics here change nothing, so this is what `decode_actions` makes of the model's answer.
        actions = decode_actions(normalised, contract)
        np.testing.assert_allclose(actions[:, :6], normalised[:, :6], atol=1e-7)
        assert contract.statistics.action_mask[6] is False
        chunk = ReanchoredChunk(
            chunk=ActionChunk(
                session="s",
                sequence=sequence,
                observed_at=0.0,
                actions=actions,
                interface_digest=contract.interface_digest,
                policy_digest=contract.policy_digest,
                timings=Timings(queue=0.0, preprocess=0.0, model=0.0, total=0.0, batch_size=1),
            ),
            begins_at=0.0,
            step_period=SUITE.step_period,
            steps=SUITE.chunk_length,
            next_step=0,
        )
        for step, action in enumerate(actions):
            cell.environment.sim.forward()  # what was read last is one step of physics old, 2 ms
            measured = spatial.read().tcp_pose
            if hand_from_site is None:
                site = cell.data.site("gripper0_grip_site").xmat.reshape(3, 3)
                seen = Pose(position=measured.position, quaternion=quaternion_from_matrix(site))
                hand_from_site = measured.inverse() @ seen
            wanted = chunk.pose_at(step * SUITE.step_period, measured, SUITE.frame)
            assert wanted is not None
            spatial.step(action[None])
            carried_out = Pose(
                position=controller.goal_pos + base_from_world(SPATIAL).position,
                quaternion=quaternion_from_matrix(controller.goal_ori),
            )
            assert distance_between(wanted, carried_out) < 1e-6
            assert angle_between(wanted @ hand_from_site, carried_out) < 1e-6
            opens = chunk.opening_at(step * SUITE.step_period) > 0.5
            assert spatial.read().gripper_command == float(opens)
            assert cell.robot.recent_actions.current[6] == (-1.0 if opens else 1.0)


def test_the_state_is_the_published_one(spatial: LiberoSimulation) -> None:
    spatial.reset(episode(0))
    cell, reading = cell_of(spatial), spatial.read()
    seen = cell.environment._get_observations(force_update=True)
    from_origin = SUITE.proprioception_origin.inverse() @ reading.tcp_pose
    np.testing.assert_allclose(from_origin.position, seen["robot0_eef_pos"], atol=1e-12)
    np.testing.assert_allclose(from_origin.quaternion, seen["robot0_eef_quat"], atol=1e-12)
    np.testing.assert_allclose(cell.robot.base_pos, -SUITE.proprioception_origin.position, atol=1e-3)
    np.testing.assert_array_equal(reading.joint_position, seen["robot0_joint_pos"])
    fingers = seen["robot0_gripper_qpos"]
    assert reading.gripper_width == pytest.approx(fingers[0] - fingers[1])
    assert reading.gripper_width > 0.07  # opened while settling
    assert reading.gripper_command == 1.0


def test_an_episode_ends_at_the_published_limit(
    spatial: LiberoSimulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    spatial.reset(episode(0))
    monkeypatch.setattr(spatial, "_steps", OPENVLA_OFT.step_limits[SPATIAL] - 2)
    report = spatial.step(np.repeat(STANDING, 8, axis=0))
    assert (report.steps, report.is_over, report.succeeded) == (2, True, False)
    assert spatial.step(STANDING).steps == 0


def test_what_cannot_be_is_said(spatial: LiberoSimulation) -> None:
    with pytest.raises(SceneError, match="there are 0 to 49"):
        spatial.reset(episode(INITIAL_STATES))
    with pytest.raises(SceneError, match="of libero_spatial, the episode of libero_goal"):
        spatial.reset(episode(0, suite="libero_goal"))


def test_pictures_are_turned_and_marks_are_where_the_thing_is(spatial: LiberoSimulation) -> None:
    spatial.reset(episode(0))
    cell = cell_of(spatial)
    # Nothing was drawn, and no OpenGL context made, by all that came before.
    assert cell.environment.sim._render_context_offscreen is None
    pictures = spatial.look()
    assert {name: picture.shape for name, picture in pictures.items()} == {
        camera.name: (camera.height, camera.width, 3) for camera in SUITE.cameras
    }
    raw = cell.draw("agentview", 256)
    np.testing.assert_array_equal(pictures["external"], raw[::-1, ::-1])
    np.testing.assert_array_equal(drawn_as(raw, turned=False), raw)
    thing = int(cell.model.body_rootid[cell.environment.obj_body_id["akita_black_bowl_1"]])
    model = cell.model
    shown = (model.body_rootid[model.geom_bodyid] == thing) & (model.geom_group == 1)
    kept = model.geom_rgba.copy(), model.geom_matid.copy()
    model.geom_rgba[shown], model.geom_matid[shown] = (1.0, 0.0, 1.0, 1.0), -1
    try:
        painted = spatial.look()["external"].astype(int)
    finally:
        model.geom_rgba[:], model.geom_matid[:] = kept
    changed = np.abs(painted - pictures["external"]).sum(axis=2) > 60
    y, x = (np.flatnonzero(changed.any(axis=axis)).mean() / 256 for axis in (1, 0))
    np.testing.assert_allclose(spatial.mark_pixels()["external"][0], [x, y], atol=0.04)
    # Where the policies look, left is right: the plate stands at +y, which is the camera's right.
    assert spatial.mark_pixels()["external"][1, 0] < 0.5
    assert spatial.marks()[1, 1] > 0.1


@pytest.mark.parametrize(
    ("suite", "task"),
    [("libero_object", "1"), ("libero_goal", "0"), ("libero_10", "0"), (ALL, "90")],
)
def test_one_task_of_each_suite_resets_and_steps(suite: str, task: str) -> None:
    with closing(libero_suite(suite).open_simulation()) as simulation:
        simulation.reset(episode(7, task, suite))
        assert simulation.instruction == find_task(suite, task).instruction
        report = simulation.step(np.repeat(STANDING, 2, axis=0))
        assert (report.steps, report.succeeded, report.is_over) == (2, False, False)
        assert simulation.read().tcp_pose.is_finite()
        assert np.isfinite(simulation.marks()[0]).all()
        if suite == "libero_object":
            assert len(simulation.other_instructions()) == 5
        else:
            with pytest.raises(SceneError, match="has no scripted expert"):
                simulation.expert(1)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_all_130_tasks_reset_and_step() -> None:
    for suite, size in SIZES.items():
        with closing(libero_suite(suite).open_simulation()) as simulation:
            for number in range(size):
                simulation.reset(episode(number % INITIAL_STATES, str(number), suite))
                report = simulation.step(np.repeat(STANDING, 2, axis=0))
                assert (report.steps, report.succeeded) == (2, False), f"{suite} {number}"
                assert np.isfinite(simulation.marks()[0]).all(), f"{suite} {number}"


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("chunk", [1, 8])
@pytest.mark.parametrize(("suite", "task"), [("libero_object", "1"), (SPATIAL, "4")])
def test_the_expert_does_it_step_by_step_and_in_chunks(suite: str, task: str, chunk: int) -> None:
    with closing(libero_suite(suite).open_simulation()) as simulation:
        simulation.reset(episode(0, task, suite))
        while not (report := simulation.step(simulation.expert(chunk))).is_over:
            pass
        assert report.succeeded


@pytest.mark.slow
def test_rlinf_settles_longer(spatial: LiberoSimulation) -> None:
    with closing(LiberoSimulation(SPATIAL, RLINF)) as other:
        other.reset(episode(2))
        spatial.reset(episode(0))
        # Its fixtures do not depend on the episode; the first draw is that of the first episode elsewhere.
        np.testing.assert_array_equal(cabinet(other), cabinet(spatial))
