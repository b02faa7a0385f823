"""Rotation arithmetic against scipy, and the algebra that the loop relies on."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from scipy.spatial.transform import Rotation

from robot_contract import pose as p
from robot_contract.pose import Pose

numbers = st.floats(-3, 3, allow_nan=False)
vectors = st.lists(numbers, min_size=3, max_size=3).map(np.array)
poses = st.builds(Pose.from_rotation_vector, vectors, vectors)


def assert_same(a: Pose, b: Pose, tolerance: float = 1e-9) -> None:
    assert p.distance_between(a, b) < tolerance
    assert p.angle_between(a, b) < max(tolerance, 1e-7)


@given(vectors)
def test_exponential_and_logarithm_match_scipy(r: np.ndarray) -> None:
    q = p.quaternion_from_rotation_vector(r)
    expected = Rotation.from_rotvec(r)
    np.testing.assert_allclose(p.matrix_from_quaternion(q), expected.as_matrix(), atol=1e-12)
    logarithm = p.rotation_vector_from_quaternion(q)
    np.testing.assert_allclose(
        p.matrix_from_quaternion(p.quaternion_from_rotation_vector(logarithm)),
        expected.as_matrix(),
        atol=1e-9,
    )
    assert np.linalg.norm(logarithm) <= np.pi + 1e-12


@pytest.mark.parametrize("angle", [0.0, 1e-12, 1e-7, 1e-4, np.pi - 1e-9, np.pi])
@pytest.mark.parametrize("axis", np.vstack([np.eye(3), [0.6, 0.0, 0.8]]))
def test_small_and_large_angles(angle: float, axis: np.ndarray) -> None:
    r = axis * angle
    back = p.rotation_vector_from_quaternion(p.quaternion_from_rotation_vector(r))
    np.testing.assert_allclose(np.linalg.norm(back), angle, atol=1e-12)


@given(vectors)
def test_matrix_and_back(r: np.ndarray) -> None:
    q = p.quaternion_from_matrix(Rotation.from_rotvec(r).as_matrix())
    np.testing.assert_allclose(p.matrix_from_quaternion(q), Rotation.from_rotvec(r).as_matrix(), atol=1e-12)


@given(poses, poses, poses)
def test_composition_is_associative_and_inverts(a: Pose, b: Pose, c: Pose) -> None:
    assert_same((a @ b) @ c, a @ (b @ c))
    assert_same(a @ a.inverse(), Pose.identity())
    np.testing.assert_allclose((a @ b).matrix(), a.matrix() @ b.matrix(), atol=1e-9)


@given(poses, poses, st.floats(0, 1))
def test_interpolation_runs_evenly_from_a_to_b(a: Pose, b: Pose, fraction: float) -> None:
    assert_same(p.interpolate(a, b, 0.0), a)
    assert_same(p.interpolate(a, b, 1.0), b)
    between = p.interpolate(a, b, fraction)
    assert p.distance_between(a, between) == pytest.approx(fraction * p.distance_between(a, b), abs=1e-9)
    assert p.angle_between(a, between) == pytest.approx(fraction * p.angle_between(a, b), abs=1e-6)


def test_a_base_delta_moves_along_the_base_and_turns_about_the_tool() -> None:
    turned = Pose.from_rotation_vector([0.5, 0.0, 0.4], [0.0, 0.0, np.pi / 2])
    moved = p.apply_delta(turned, np.array([0.01, 0.0, 0.0]), np.array([0.1, 0.0, 0.0]), "base")
    np.testing.assert_allclose(moved.position, [0.51, 0.0, 0.4])
    np.testing.assert_allclose(p.rotation_between(turned, moved), [0.1, 0.0, 0.0], atol=1e-12)


def test_a_tool_delta_moves_along_the_tool() -> None:
    turned = Pose.from_rotation_vector([0.5, 0.0, 0.4], [0.0, 0.0, np.pi / 2])
    moved = p.apply_delta(turned, np.array([0.01, 0.0, 0.0]), np.zeros(3), "tool")
    np.testing.assert_allclose(moved.position, [0.5, 0.01, 0.4], atol=1e-12)
    assert_same(
        p.apply_delta(turned, np.array([0.01, 0.02, 0.03]), np.array([0.1, 0.2, 0.3]), "tool"),
        turned @ Pose.from_rotation_vector([0.01, 0.02, 0.03], [0.1, 0.2, 0.3]),
    )


def test_a_delta_in_no_known_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="must be 'base' or 'tool', not 'world'"):
        p.apply_delta(Pose.identity(), np.zeros(3), np.zeros(3), "world")


def test_poses_cannot_be_written() -> None:
    source = np.zeros(3)
    pose = Pose(position=source, quaternion=np.array([0.0, 0.0, 0.0, 1.0]))
    source[0] = 1.0
    assert pose.position[0] == 0.0
    with pytest.raises(ValueError, match="read-only"):
        pose.position[0] = 1.0
