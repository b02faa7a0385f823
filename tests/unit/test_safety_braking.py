"""A stop is as quick as acceleration and jerk allow, and stays within them at every instant."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_bridge.safety.braking import phases

A, J = 2.0, 40.0
numbers = st.floats(-1.0, 1.0)
vectors = st.tuples(numbers, numbers, numbers).map(np.array)


def within(vector: np.ndarray, size: float) -> np.ndarray:
    return vector * min(1.0, size / max(float(np.linalg.norm(vector)), 1e-9))


@pytest.mark.parametrize("speed", [0.25, 0.5, 0.11])
def test_from_a_steady_motion_it_is_the_textbook_stop(speed: float) -> None:
    found = phases(np.array([0.0, speed, 0.0]), np.zeros(3), A, J)
    if speed >= A * A / J:
        assert found.duration == pytest.approx(speed / A + A / J, abs=1e-4)
        assert found.way[1] == pytest.approx(speed**2 / (2 * A) + speed * A / (2 * J), rel=1e-3)
    assert found.way[[0, 2]] == pytest.approx([0, 0])


def test_at_rest_there_is_nothing_to_do() -> None:
    found = phases(np.zeros(3), np.zeros(3), A, J)
    assert found.duration == 0
    assert not found.after(0.1)[0].any()


@given(vectors, vectors)
@settings(max_examples=150, deadline=None)
def test_limits_hold_and_rest_is_reached_in_every_direction(velocity: np.ndarray, pull: np.ndarray) -> None:
    velocity, acceleration = within(velocity, 0.5), within(pull * 3, A)
    found = phases(velocity, acceleration, A, J)
    times = np.linspace(0, found.duration, 201)
    ways, velocities, accelerations = (
        np.array(values) for values in zip(*map(found.after, times), strict=True)
    )
    np.testing.assert_allclose(velocities[0], velocity, atol=1e-9)
    np.testing.assert_allclose(accelerations[0], acceleration, atol=1e-9)
    assert np.linalg.norm(accelerations, axis=1).max() <= A * (1 + 1e-6)
    dt = times[1]
    if dt > 1e-6:
        jerks = np.diff(accelerations, axis=0) / dt
        assert np.linalg.norm(jerks, axis=1).max() <= J * (1 + 1e-3)
        integral = ((velocities[1:] + velocities[:-1]) * dt / 2).sum(axis=0)
        np.testing.assert_allclose(integral, ways[-1], atol=2e-5)
    assert not velocities[-1].any()
    assert (ways <= found.hull.max(axis=0) + 1e-9).all()
    assert (ways >= found.hull.min(axis=0) - 1e-9).all()
    speeds = np.linalg.norm(velocities, axis=1)
    assert speeds.max() <= np.linalg.norm(found.velocity_hull, axis=1).max() + 1e-9


@given(vectors, vectors, st.floats(0.0, 1.0))
@settings(max_examples=100, deadline=None)
def test_any_tail_of_a_stop_is_a_stop_within_the_limits(
    velocity: np.ndarray, pull: np.ndarray, share: float
) -> None:
    """Which is why a stop that was judged safe stays safe at irregular ticks."""
    found = phases(within(velocity, 0.5), within(pull * 3, A), A, J)
    way, at, rate = found.after(share * found.duration)
    again = phases(at, rate, A, J)
    assert again.duration <= (1 - share) * found.duration + 2e-4
    assert np.linalg.norm(way + again.way - found.way) <= 2e-3


def test_without_sideways_pull_the_way_is_straight_and_the_speed_only_falls() -> None:
    direction = np.array([0.6, 0.0, -0.8])
    found = phases(0.25 * direction, np.zeros(3), A, J)
    speeds = []
    for time in np.linspace(0, found.duration, 60):
        way, velocity, _ = found.after(time)
        assert np.linalg.norm(np.cross(way, direction)) < 1e-12
        speeds.append(float(velocity @ direction))
    assert (np.diff(speeds) <= 1e-12).all()
    assert min(speeds) >= 0
