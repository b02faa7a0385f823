"""Normalised numbers become metres, radians and an opening; nothing leaves the contract's bounds."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from policy_server.actions import (
    decode_actions,
    normalise,
    normalise_actions,
    rotation_vector_from_angles,
    unnormalise_actions,
)
from policy_server.proprioception import build_proprioception, nearest_rotation_vector, proprioception_of
from policy_server.random_checkpoint import put_on_contract, square_camera
from robot_contract.errors import PolicyUnavailable
from robot_contract.policy_contract import PolicyContract, Statistics
from robot_contract.pose import Pose, quaternion_from_rotation_vector

CONTRACT = put_on_contract(name="put-on", cameras=(square_camera("external"),), provenance="none")
UNIT = st.floats(-1.0, 1.0)


def statistics(low: float = -0.02, high: float = 0.03) -> Statistics:
    return Statistics(
        action_low=np.full(7, low),
        action_high=np.full(7, high),
        action_mask=(True,) * 6 + (False,),
        proprioception_low=-np.ones(8),
        proprioception_high=np.ones(8),
    )


@given(
    normalised=hnp.arrays(np.float64, (8, 7), elements=UNIT),
    low=st.floats(-0.1, 0.0),
    width=st.floats(1e-3, 0.5),
)
@settings(max_examples=50)
def test_normalising_undoes_unnormalising_where_the_mask_is_set(
    normalised: np.ndarray, low: float, width: float
) -> None:
    s = statistics(low, low + width)
    physical = unnormalise_actions(normalised, s)
    np.testing.assert_allclose(normalise_actions(physical, s), normalised, atol=2e-5)
    np.testing.assert_array_equal(physical[:, 6], normalised[:, 6])


def test_the_ends_of_the_normalised_range_are_the_bounds() -> None:
    s = statistics()
    np.testing.assert_allclose(unnormalise_actions(-np.ones(7), s)[:6], s.action_low[:6])
    np.testing.assert_allclose(unnormalise_actions(np.ones(7), s)[:6], s.action_high[:6], atol=2e-8)


def test_a_number_that_never_varied_is_zero_and_comes_back_as_itself() -> None:
    same = np.full(3, 0.25)
    np.testing.assert_array_equal(normalise(np.array([0.25, 7.0, -7.0]), same, same), np.zeros(3))
    flat = dataclasses.replace(statistics(), action_low=np.full(7, 0.25), action_high=np.full(7, 0.25))
    np.testing.assert_allclose(unnormalise_actions(np.full(7, 0.3), flat)[:6], 0.25, atol=1e-8)


def test_what_is_outside_the_bounds_is_cut() -> None:
    np.testing.assert_array_equal(
        normalise(np.array([-9.0, 9.0]), np.array([-1.0, -1.0]), np.array([1.0, 1.0])), [-1.0, 1.0]
    )


@given(hnp.arrays(np.float64, (8, 7), elements=st.floats(-50.0, 50.0)))
@settings(max_examples=50)
def test_no_decoded_action_exceeds_a_step_bound_and_each_keeps_its_direction(normalised: np.ndarray) -> None:
    actions = decode_actions(normalised, CONTRACT)
    raw = unnormalise_actions(normalised, CONTRACT.statistics)
    for part, longest in ((slice(0, 3), 0.018), (slice(3, 6), 0.04)):
        lengths = np.linalg.norm(actions[:, part], axis=1)
        assert (lengths <= longest * (1 + 1e-12)).all()
        raw_lengths = np.linalg.norm(raw[:, part], axis=1)
        along = (actions[:, part] * raw[:, part]).sum(axis=1)
        np.testing.assert_allclose(along, lengths * raw_lengths, atol=1e-12)
        short = raw_lengths <= longest
        np.testing.assert_array_equal(actions[short, part], raw[short, part])
    assert ((actions[:, 6] >= 0.0) & (actions[:, 6] <= 1.0)).all()


def test_one_is_an_open_gripper_from_training_label_to_wire() -> None:
    label = normalise_actions(np.array([0, 0, 0, 0, 0, 0, 1.0]), CONTRACT.statistics)
    assert decode_actions(np.tile(label, (8, 1)), CONTRACT)[0, 6] == 1.0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_number_that_is_not_finite_is_an_error_not_an_action(bad: float) -> None:
    normalised = np.zeros((8, 7))
    normalised[3, 2] = bad
    with pytest.raises(PolicyUnavailable, match="not finite"):
        decode_actions(normalised, CONTRACT)


def test_a_chunk_of_another_length_is_refused_with_both_shapes() -> None:
    with pytest.raises(PolicyUnavailable, match=r"expected actions of shape \(8, 7\), found \(4, 7\)"):
        decode_actions(np.zeros((4, 7)), CONTRACT)


def test_angles_turn_about_fixed_or_moving_axes_as_scipy_has_them() -> None:
    from scipy.spatial.transform import Rotation

    angles = np.array([0.5, -0.3, 0.8])
    fixed, moving = Rotation.from_euler("xyz", angles), Rotation.from_euler("XYZ", angles)
    np.testing.assert_allclose(
        rotation_vector_from_angles(angles, "roll_pitch_yaw"), fixed.as_rotvec(), atol=1e-12
    )
    np.testing.assert_allclose(
        rotation_vector_from_angles(angles, "euler_xyz"), moving.as_rotvec(), atol=1e-12
    )


def test_euler_angles_of_a_chunk_reach_the_wire_as_rotation_vectors() -> None:
    wide = dataclasses.replace(CONTRACT, max_rotation_per_step=1.0)
    s = dataclasses.replace(wide.statistics, action_low=-np.ones(7), action_high=np.ones(7))
    wide = dataclasses.replace(wide, statistics=s)
    normalised = np.zeros((8, 7))
    normalised[:, 3:6] = [0.4, 0.3, -0.2]
    expected = rotation_vector_from_angles(np.array([0.4, 0.3, -0.2]), "euler_xyz")
    actions = decode_actions(normalised, wide, rotation="euler_xyz")
    np.testing.assert_allclose(actions[:, 3:6], np.tile(expected, (8, 1)), atol=1e-7)


def build(contract: PolicyContract, pose: Pose, width: float = 0.06) -> np.ndarray:
    return build_proprioception(
        contract, tcp_pose=pose, joint_position=np.arange(7.0), gripper_width=width, gripper_command=0.5
    )


def test_proprioception_follows_the_contracts_layout_and_origin() -> None:
    fields = ("joint_position", "opening", "position", "finger_positions", "gripper_command", "quaternion")
    wide = dataclasses.replace(
        CONTRACT.statistics, proprioception_low=-np.ones(18), proprioception_high=np.ones(18)
    )
    contract = dataclasses.replace(CONTRACT, proprioception=fields, statistics=wide)
    pose = contract.proprioception_origin @ Pose(
        position=np.array([0.1, 0.2, 0.3]), quaternion=np.array([0.0, 0.0, 0.0, 1.0])
    )
    expected = [*range(7), 0.75, 0.1, 0.2, 0.3, 0.03, -0.03, 0.5, 0.0, 0.0, 0.0, 1.0]
    np.testing.assert_allclose(build(contract, pose), expected, atol=1e-12)


def test_an_opening_never_leaves_zero_to_one() -> None:
    opening = CONTRACT.proprioception.index("opening") + 5  # after position and rotation_vector
    assert opening == 7
    pose = CONTRACT.proprioception_origin
    assert build(CONTRACT, pose, width=0.2)[6] == 1.0
    assert build(CONTRACT, pose, width=-0.01)[6] == 0.0


def test_a_hand_pointing_down_does_not_jump_where_the_shortest_rotation_does() -> None:
    """The statistics of LIBERO lie about pi: 3.1 and 3.2 rad must stay neighbours."""
    middle = np.array([3.15, 0.0, 0.0])
    seen = [
        nearest_rotation_vector(quaternion_from_rotation_vector(np.array([angle, 0.0, 0.0])), middle)[0]
        for angle in (3.1, np.pi, 3.2)
    ]
    np.testing.assert_allclose(seen, [3.1, np.pi, 3.2], atol=1e-9)


@given(hnp.arrays(np.float64, 3, elements=st.floats(-6.0, 6.0)), hnp.arrays(np.float64, 3, elements=UNIT))
@settings(max_examples=50)
def test_the_chosen_rotation_vector_names_the_same_orientation(
    rotation: np.ndarray, middle: np.ndarray
) -> None:
    quaternion = quaternion_from_rotation_vector(rotation)
    chosen = quaternion_from_rotation_vector(nearest_rotation_vector(quaternion, middle))
    assert abs(abs(float(chosen @ quaternion)) - 1.0) < 1e-9


def test_normalised_proprioception_is_cut_at_one() -> None:
    from policy_server.golden import golden_observation

    observation = dataclasses.replace(
        golden_observation(CONTRACT),
        tcp_pose=Pose(position=np.array([9.0, 0.0, 0.0]), quaternion=np.array([1.0, 0.0, 0.0, 0.0])),
    )
    values = proprioception_of(CONTRACT, observation)
    assert values[0] == 1.0
    assert (np.abs(values) <= 1.0).all()
