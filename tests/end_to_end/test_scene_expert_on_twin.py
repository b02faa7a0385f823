"""The scripted expert finishes scenes on the twin's physics, alone and through the real bridge.

A sample; `benchmarks/expert.py` runs a hundred scenes of every split.
"""

from dataclasses import replace

import pytest

from robot_bridge.rig_file import find_rig, load_rig
from robot_bridge.scene.perturbation import draw_bursts
from robot_bridge.scene.splits import AXES, draw_scene
from robot_bridge.scene.success import Stage
from robot_bridge.twin.expert_bridge import run_expert_through_bridge
from robot_bridge.twin.expert_trial import expert_world, run_episode, run_expert


@pytest.mark.parametrize("split", AXES)
def test_the_expert_finishes_scenes_of_every_axis(split: str) -> None:
    trials = run_expert(split, 2)
    assert [trial.furthest for trial in trials] == [Stage.PLACE] * 2
    assert all(trial.fault is None and trial.collisions == () for trial in trials)
    assert all(trial.first_grasped == trial.scene.target_object for trial in trials)


def test_the_same_scene_runs_the_same_twice() -> None:
    first, second = (run_expert("train", 1, first_seed=7)[0] for _ in range(2))
    assert (first.steps, first.furthest) == (second.steps, second.furthest)


def test_noise_bursts_are_recovered_from_on_physics() -> None:
    with expert_world(draw_scene("train", 0)) as world:
        assert run_episode(world, draw_bursts(3, 120)).succeeded


def test_the_expert_finishes_through_the_bridge() -> None:
    rig = load_rig(find_rig("twin_stepped"))
    rig = replace(rig, cameras=tuple(replace(camera, width=160, height=120) for camera in rig.cameras))
    trials = [*run_expert_through_bridge(rig, "train", 2), *run_expert_through_bridge(rig, "execution", 1)]
    for trial in trials:
        assert trial.succeeded, trial
        assert trial.verdicts["STOP"] == 0
