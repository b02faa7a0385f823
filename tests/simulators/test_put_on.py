"""Put-on in ManiSkill: the wire's actions mean what they mean at the bridge, episodes are what they say."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from robot_bridge.plan import compose
from robot_bridge.scene.splits import AXES, draw_scene, split_names
from robot_contract.pose import (
    angle_between,
    distance_between,
    matrix_from_quaternion,
    quaternion_from_rotation_vector,
)
from sim_train.put_on.suite import put_on_suite
from sim_train.simulation import Episode

if TYPE_CHECKING:
    from sim_train.put_on.simulation import PutOnSimulation

pytest.importorskip("sapien", reason="ManiSkill is not installed here", exc_type=ImportError)
pytestmark = pytest.mark.filterwarnings("ignore")  # ManiSkill's dependencies warn when they are imported


def put_on(task: str, seed: int) -> Episode:
    return Episode(suite="put-on", task=task, seed=seed)


@pytest.fixture(scope="module")
def simulation() -> Iterator["PutOnSimulation"]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        opened: Any = put_on_suite().open_simulation()
    yield opened
    opened.close()


def test_a_chunk_leads_to_the_targets_that_the_bridge_would_chain(simulation: "PutOnSimulation") -> None:
    rng = np.random.default_rng(0)
    simulation.reset(put_on("train", 3))
    anchor = simulation._env.commanded_tcp_pose()
    for _ in range(4):
        directions = rng.normal(size=(2, 8, 3))
        directions /= np.linalg.norm(directions, axis=2, keepdims=True)
        lengths = rng.uniform(0.0, 1.0, size=(2, 8, 1)) * np.array([0.018, 0.04])[:, None, None]
        chunk = np.concatenate([*(directions * lengths), np.ones((8, 1))], axis=1)
        simulation.step(chunk)
        anchor = compose(anchor, chunk, "base")[-1]
        reached = simulation._env.commanded_tcp_pose()
        assert distance_between(reached, anchor) < 1e-5
        assert angle_between(reached, anchor) < 1e-3


def test_turns_are_given_to_maniskill_as_its_inverted_euler_angles() -> None:
    import torch
    from mani_skill.utils.geometry.rotation_conversions import euler_angles_to_matrix

    from sim_train.put_on.arm import environment_action, euler_xyz

    turn = np.array([0.02, -0.03, 0.01])
    matrix = matrix_from_quaternion(quaternion_from_rotation_vector(turn))
    again = euler_angles_to_matrix(torch.tensor(euler_xyz(matrix)), "XYZ").numpy()
    assert np.abs(again - matrix).max() < 1e-12
    sent = environment_action(np.array([0.018, -0.009, 0.0, *turn, 0.3]), opening=1.0)
    assert sent[:3] == pytest.approx([1.0, -0.5, 0.0])
    assert np.sign(sent[3:6]).tolist() == (-np.sign(turn)).tolist()
    assert sent[6] == pytest.approx(1.0)


@pytest.mark.parametrize("axis", AXES)
def test_the_expert_puts_the_named_thing_where_it_belongs(axis: str, simulation: "PutOnSimulation") -> None:
    simulation.reset(put_on(axis, 1))
    for _ in range(120):
        report = simulation.step(simulation.expert(1))
        if report.is_over:
            break
    assert report.succeeded
    assert report.notes["stage"] == 5
    assert (report.notes["grasped_named"], report.notes["grasped_other"]) == (1, 0)


def test_the_rewards_of_a_success_add_up_to_one(simulation: "PutOnSimulation") -> None:
    simulation.reset(put_on("train", 2))
    rewards: list[float] = []
    while True:
        report = simulation.step(simulation.expert(1))
        rewards += report.rewards.tolist()
        if report.is_over:
            break
    assert report.succeeded
    assert sum(rewards) == pytest.approx(1.0)  # let go of at the end, so what the grasp had earned is gone
    assert max(rewards) == pytest.approx(0.8), "success, less the grasp that is over"


def test_an_episode_that_is_over_takes_no_more_steps(simulation: "PutOnSimulation") -> None:
    simulation.reset(put_on("train", 0))
    report = simulation.step(np.tile([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0], (200, 1)))
    assert (report.steps, report.is_over, report.succeeded) == (120, True, False)
    assert simulation.step(np.zeros((3, 7))).steps == 0


def test_equal_episodes_are_equal_bit_for_bit(simulation: "PutOnSimulation") -> None:
    def run() -> tuple[list[float], bytes]:
        simulation.reset(put_on("execution", 5))
        for _ in range(3):
            simulation.step(simulation.expert(8))
        return simulation.read().joint_position.tolist(), simulation.look()["external"].tobytes()

    assert run() == run()


def test_the_named_thing_is_seen_at_its_mark(simulation: "PutOnSimulation") -> None:
    seed = next(s for s in range(200) if draw_scene("train", s).target_object == "tennis_ball")
    simulation.reset(put_on("train", seed))
    picture = simulation.look()["external"]
    assert (picture.shape, picture.dtype) == ((96, 96, 3), np.uint8)
    x, y = simulation.mark_pixels()["external"][0]
    red, green, blue = (int(v) for v in picture[int(y * 96), int(x * 96)])
    assert green > blue + 40, "the ball is green"
    assert green >= red - 10


def test_somebody_moves_the_object_when_the_scene_says_so(simulation: "PutOnSimulation") -> None:
    simulation.reset(put_on("mid_episode_move", 0))
    move = draw_scene("mid_episode_move", 0).move
    assert move is not None
    before = simulation.marks()[0]
    simulation.step(np.tile([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0], (20, 1)))
    after = simulation.marks()[0]
    assert np.hypot(*(after - before)[:2]) > 0.07
    assert after[:2] == pytest.approx([move.to.x, move.to.y], abs=0.01)


def test_what_else_could_be_asked_names_each_other_thing(simulation: "PutOnSimulation") -> None:
    simulation.reset(put_on("multi_object_seen", 1))
    others = simulation.other_instructions()
    assert len(others) == 2
    assert simulation.instruction not in others


def test_an_old_picture_shows_the_past_and_changes_nothing(simulation: "PutOnSimulation") -> None:
    from dataclasses import replace

    env = simulation._env
    simulation.reset(put_on("train", 4))
    env.conditions = replace(env.conditions, camera_age=0.1)
    simulation.step(np.tile([0.0, 0.018, 0.0, 0.0, 0.0, 0.0, 1.0], (6, 1)))
    joints = env.agent.robot.qpos.clone()
    old = env.draw()["external"].picture
    assert bool((env.agent.robot.qpos == joints).all())
    new = env._draw_now()["external"].picture
    assert np.abs(old.astype(int) - new.astype(int)).max() > 50, "the hand stands elsewhere"


def test_the_arm_stands_while_the_answer_is_awaited(simulation: "PutOnSimulation") -> None:
    from dataclasses import replace

    env = simulation._env
    simulation.reset(put_on("train", 4))
    env.conditions = replace(env.conditions, delay_steps=3)
    move = np.tile([0.0, 0.0, 0.018, 0.0, 0.0, 0.0, 1.0], (2, 1))
    simulation.step(move)
    began = env.seconds
    simulation.look()
    report = simulation.step(move)
    assert report.steps == 2
    assert env.seconds - began == pytest.approx(0.5), "two steps, and three in which the arm stood"


def test_every_axis_has_gymnasium_ids() -> None:
    import gymnasium

    from sim_train.put_on.ids import IDS

    assert set(IDS) == set(split_names())
    environment = gymnasium.make(IDS["unseen_table"], obs_mode="rgb", num_envs=1)
    observation, _ = environment.reset(seed=3)
    assert observation["sensor_data"]["external"]["rgb"].shape == (1, 192, 192, 3)
    _, _, ended, cut, _ = environment.step(environment.action_space.sample())
    assert not bool(ended)
    assert not bool(cut)
    assert environment.unwrapped.put_on_scene == draw_scene("unseen_table", 3)
    environment.close()


@pytest.mark.slow
def test_every_split_resets_and_steps(simulation: "PutOnSimulation") -> None:
    for split in split_names():
        simulation.reset(put_on(split, 7))
        assert simulation.step(simulation.expert(8)).steps == 8
        assert simulation.look()["external"].any()


@pytest.mark.slow
def test_the_patched_shader_draws_the_same_bits(tmp_path: Path) -> None:
    from mani_skill.render.shaders import PREBUILT_SHADER_CONFIGS

    from sim_train.put_on import environment, world

    def picture() -> bytes:
        env = environment.PutOnEnv(obs_mode="none", reward_mode="none")
        env.reset(seed=1, options={"reconfigure": True})
        drawn = env.draw()["external"].picture.tobytes()
        env.close()
        return drawn

    quick = picture()
    patch = pytest.MonkeyPatch()
    patch.setattr(world, "quick_shader", lambda: PREBUILT_SHADER_CONFIGS["minimal"])
    stock = picture()
    patch.undo()
    assert quick == stock
