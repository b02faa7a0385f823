"""The stand-in keeps the promises of a simulation, so that what is tested on it is tested."""

from dataclasses import replace

import numpy as np
import pytest

from robot_contract.errors import SceneError
from sim_train.simulation import Episode
from sim_train.stand_in import STAND_IN, TASKS, StandIn


def episode(task: str = "one", seed: int = 0) -> Episode:
    return Episode(suite="stand-in", task=task, seed=seed)


@pytest.mark.parametrize("task", ["one", "two"])
def test_the_expert_finishes_every_seed_step_by_step(task: str) -> None:
    simulation = StandIn()
    for seed in range(100):
        simulation.reset(episode(task, seed))
        steps, total = 0, 0.0
        while True:
            report = simulation.step(simulation.expert(1))
            steps, total = steps + report.steps, total + report.rewards.sum()
            if report.is_over:
                break
        assert report.succeeded, seed
        assert steps < STAND_IN.episode_steps
        assert total == pytest.approx(1.0)
        assert report.notes == {"stage": 5.0, "grasped_named": 1.0, "grasped_other": 0.0}


def test_a_chunk_of_the_expert_is_what_it_then_does_step_by_step() -> None:
    simulation = StandIn()
    simulation.reset(episode(seed=3))
    chunk = simulation.expert(30)
    for action in chunk:
        assert np.array_equal(simulation.expert(1)[0], action)
        simulation.step(action[None])


def test_a_fixed_block_is_never_placed_and_the_episode_ends() -> None:
    simulation = StandIn()
    simulation.reset(episode("fixed"))
    report = simulation.step(simulation.expert(500))
    assert report.steps == STAND_IN.episode_steps
    assert report.is_over
    assert not report.succeeded


def test_equal_episodes_are_equal_and_others_are_not() -> None:
    first, second, other = StandIn(), StandIn(), StandIn()
    first.reset(episode(seed=5))
    second.reset(episode(seed=5))
    other.reset(episode(seed=6))
    assert np.array_equal(first.look()["external"], second.look()["external"])
    assert not np.array_equal(first.look()["external"], other.look()["external"])


def test_the_marks_are_where_the_picture_shows_block_and_pad() -> None:
    simulation = StandIn()
    simulation.reset(episode("two", seed=1))
    picture = simulation.look()["external"]
    size = len(picture)
    for x, y in simulation.mark_pixels()["external"]:
        assert tuple(picture[int(y * size), int(x * size)]) not in {(150, 130, 110), (20, 20, 20)}


def test_the_other_block_is_in_the_other_instruction() -> None:
    simulation = StandIn()
    simulation.reset(episode("two"))
    (other,) = simulation.other_instructions()
    assert other != simulation.instruction
    simulation.reset(episode("one"))
    assert simulation.other_instructions() == ()


def test_an_unknown_task_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(SceneError, match="did you mean 'two'"):
        StandIn().reset(replace(episode(), task="tow"))


def test_the_suite_names_its_tasks_and_its_cameras() -> None:
    simulation = STAND_IN.open_simulation()
    for task in TASKS:
        simulation.reset(episode(task))
        for camera in STAND_IN.cameras:
            assert simulation.look()[camera.name].shape == (camera.height, camera.width, 3)
