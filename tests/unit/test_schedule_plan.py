"""The curve between targets: through every target, smooth, never beyond one."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_bridge.plan import Plan, compose, plan_chain
from robot_bridge.rig_file import find_rig, load_rig
from robot_contract.messages import ActionChunk, Timings
from robot_contract.pose import Pose, angle_between

HOME = Pose(position=np.array([0.5, 0.0, 0.3]), quaternion=np.array([0.0, 0.0, 0.0, 1.0]))
REDUCED = load_rig(find_rig("mock")).limits.profile


def make_chunk() -> ActionChunk:
    return ActionChunk(
        session="s",
        sequence=4,
        observed_at=0.0,
        actions=np.zeros((8, 7)),
        interface_digest="",
        policy_digest="",
        timings=Timings(queue=0.0, preprocess=0.0, model=0.0, total=0.0, batch_size=1),
    )


def make_plan(seed: int, steps: int = 6, frame: str = "base") -> tuple[np.ndarray, Plan]:
    rng = np.random.default_rng(seed)
    actions = rng.uniform(-1, 1, (8, 7)) * np.array([0.018] * 3 + [0.04] * 3 + [1.0])
    chunk = dataclasses.replace(make_chunk(), actions=actions)
    return actions, plan_chain(chunk, anchor=HOME, begins_at=2.0, step_period=0.1, steps=steps, frame=frame)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), frame=st.sampled_from(["base", "tool"]))
def test_goes_through_every_target(seed: int, frame: str) -> None:
    actions, plan = make_plan(seed, frame=frame)
    for i, target in enumerate(compose(HOME, actions[:6], frame)):
        found = plan.pose_at(2.0 + (i + 1) * 0.1)
        assert np.allclose(found.position, target.position, atol=1e-12)
        assert angle_between(found, target) < 1e-7
    assert plan.ends_at == pytest.approx(2.6)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_never_overshoots_and_has_continuous_velocity(seed: int) -> None:
    _, plan = make_plan(seed)
    times = np.arange(2.0, 2.6, 0.001)
    points = np.array([plan.pose_at(t).position for t in times])
    knots = np.array([HOME.position, *(target.position for target in plan.targets)])
    for i in range(6):
        inside = points[i * 100 : (i + 1) * 100]
        low, high = np.minimum(knots[i], knots[i + 1]), np.maximum(knots[i], knots[i + 1])
        assert (inside >= low - 1e-12).all()
        assert (inside <= high + 1e-12).all()
    velocity = np.diff(points, axis=0) / 0.001
    acceleration = np.diff(velocity, axis=0) / 0.001
    assert np.abs(acceleration).max() < 40 * 0.018 / 0.1**2, "a jump of velocity would be 1000 times this"


def test_stands_before_its_beginning_and_after_its_end() -> None:
    _, plan = make_plan(1)
    assert plan.pose_at(-5.0) == HOME
    assert plan.pose_at(2.0) == HOME
    assert plan.pose_at(50.0) == plan.targets[-1]


def test_openings_belong_to_their_steps() -> None:
    actions, plan = make_plan(2)
    assert [plan.opening_at(2.05 + 0.1 * i) for i in range(6)] == actions[:6, 6].tolist()
    assert plan.opening_at(99.0) == actions[5, 6]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), steps=st.integers(1, 8), share=st.floats(0.05, 1.0))
def test_chain_from_rest_to_rest_keeps_within_the_profile_at_its_ends(
    seed: int, steps: int, share: float
) -> None:
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=3)
    delta = share * 0.018 * direction / np.linalg.norm(direction)
    actions = np.zeros((8, 7))
    actions[:, :3] = delta
    chunk = dataclasses.replace(make_chunk(), actions=actions)
    plan = plan_chain(
        chunk, anchor=HOME, begins_at=2.0, step_period=0.1, steps=steps, frame="base", from_rest=REDUCED
    )
    assert np.allclose(plan.targets[-1].position, HOME.position + steps * delta, atol=1e-12)
    assert plan.ends_at <= 2.0 + (steps + 2) * 0.1 + 1e-9
    times = np.arange(1.95, plan.ends_at + 0.05, 0.002)
    points = np.array([plan.pose_at(t).position for t in times])
    along = points @ delta
    assert (np.diff(along) >= -1e-15).all(), "never back"
    speed = np.linalg.norm(np.diff(points, axis=0), axis=1) / 0.002
    assert speed.max() <= 0.25
    acceleration = np.linalg.norm(np.diff(points, n=2, axis=0), axis=1) / 0.002**2
    assert acceleration.max() <= REDUCED.acceleration


def test_slow_chain_keeps_the_policy_s_own_time() -> None:
    actions = np.zeros((8, 7))
    actions[:, 0] = 0.0009
    chunk = dataclasses.replace(make_chunk(), actions=actions)
    plan = plan_chain(
        chunk, anchor=HOME, begins_at=2.0, step_period=0.1, steps=8, frame="base", from_rest=REDUCED
    )
    assert plan.ends_at == pytest.approx(2.8)
