"""The expert's grasp is pure: boxes in, one grip out that goes around them and keeps off the rest."""

import numpy as np
import pytest

from robot_contract.pose import Vector
from sim_train.libero.boxes import Boxes
from sim_train.libero.grasp import choose_grasp, hand_points, nearest_turn, rotation_of, stretch

SHOULDER = np.array([-0.5, 0.0, 0.3])
NOTHING = Boxes(centers=np.zeros((0, 3)), rotations=np.zeros((0, 3, 3)), halves=np.zeros((0, 3)))


def box(center: Vector, halves: Vector, yaw: float = 0.0) -> Boxes:
    c, s = np.cos(yaw), np.sin(yaw)
    return Boxes(
        centers=np.array([center]),
        rotations=np.array([[[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]]),
        halves=np.array([halves]),
    )


def bowl() -> Boxes:
    """A ring of small boxes, wider than an open gripper."""
    angles = np.linspace(0.0, 2.0 * np.pi, 24, endpoint=False)
    c, s, o = np.cos(angles), np.sin(angles), np.zeros(24)
    return Boxes(
        centers=np.stack([0.053 * c, 0.053 * s, o + 0.04], axis=1),
        rotations=np.stack(
            [np.stack([c, -s, o], 1), np.stack([s, c, o], 1), np.tile([0, 0, 1.0], (24, 1))], 1
        ),
        halves=np.tile([0.002, 0.008, 0.01], (24, 1)),
    )


@pytest.mark.parametrize("yaw", [0.0, 0.4, 1.2, -0.7])
def test_a_long_box_is_held_across_its_narrow_side(yaw: float) -> None:
    grasp = choose_grasp(np.zeros(3), box([0.0, 0.0, 0.03], [0.06, 0.02, 0.03], yaw), NOTHING, SHOULDER)
    narrow = yaw + 0.5 * np.pi
    assert abs(np.sin(grasp.direction - narrow)) < 0.1
    np.testing.assert_allclose(grasp.position[:2], 0.0, atol=0.003)
    assert 0.0 < grasp.position[2] < 0.06


def test_what_is_too_wide_is_held_by_its_rim() -> None:
    grasp = choose_grasp(np.zeros(3), bowl(), NOTHING, SHOULDER)
    assert np.linalg.norm(grasp.position[:2]) == pytest.approx(0.052, abs=0.006)
    along = np.array([np.cos(grasp.direction), np.sin(grasp.direction)])
    assert abs(grasp.position[:2] @ along) == pytest.approx(np.linalg.norm(grasp.position[:2]), abs=1e-6)


def test_a_grip_keeps_off_what_stands_about() -> None:
    free = choose_grasp(np.zeros(3), bowl(), NOTHING, SHOULDER)
    outwards = free.position[:2] / np.linalg.norm(free.position[:2])
    wall = box(np.append(0.085 * outwards, 0.05), [0.01, 0.01, 0.1])
    hand = hand_points(0.076) @ rotation_of(free.direction).T + free.position
    assert wall.gap(hand) < 0.0
    chosen = choose_grasp(np.zeros(3), bowl(), wall, SHOULDER)
    assert chosen.room > 0.005


def test_where_there_is_no_room_outside_the_rim_is_pulled() -> None:
    tub = [
        box(np.array([np.cos(a), np.sin(a), 0.0]) * 0.095 + [0.0, 0.0, 0.04], [0.003, 0.2, 0.04], a)
        for a in np.linspace(0.0, 2.0 * np.pi, 16, endpoint=False)
    ]
    walls = Boxes(
        centers=np.concatenate([b.centers for b in tub]),
        rotations=np.concatenate([b.rotations for b in tub]),
        halves=np.concatenate([b.halves for b in tub]),
    )
    grasp = choose_grasp(np.zeros(3), bowl(), walls, SHOULDER)
    assert np.linalg.norm(grasp.position[:2]) < 0.045  # further in than the rim
    assert np.linalg.norm(grasp.thing_from_grip[:2]) == pytest.approx(0.052, abs=0.006)


def test_the_hand_never_turns_more_than_a_quarter() -> None:
    for direction in np.linspace(-7.0, 7.0, 50):
        turned = nearest_turn(direction)
        assert abs(turned - 0.5 * np.pi) <= 0.5 * np.pi + 1e-9
        assert abs(np.sin(turned - direction)) < 1e-9


def test_gaps_are_distances() -> None:
    cube = box(np.zeros(3), [0.1, 0.1, 0.1], 0.3)
    assert cube.gap(np.array([[0.0, 0.0, 0.15]])) == pytest.approx(0.05)
    assert cube.gap(np.array([[0.0, 0.0, 0.09]])) == pytest.approx(-0.01)
    assert NOTHING.gap(np.zeros((1, 3))) == np.inf


def test_a_far_bowl_is_taken_at_its_nearer_side() -> None:
    near, far = np.array([-0.5, 0.0, 0.3]), np.array([-0.8, 0.0, 0.3])
    assert choose_grasp(np.zeros(3), bowl(), NOTHING, near).position[0] > -0.01
    grasp = choose_grasp(np.zeros(3), bowl(), NOTHING, far)
    assert grasp.position[0] < -0.04
    assert stretch(grasp.position, far) < stretch(np.array([0.0, 0.05, grasp.position[2]]), far)
