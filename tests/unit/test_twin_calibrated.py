"""A calibration's intrinsics and pose in the twin's camera, seen on a printed board whose place is known."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from robot_bridge.devices import Picture
from robot_bridge.drivers.twin_cell import twin_settings
from robot_bridge.rig_file import find_rig, load_rig
from robot_bridge.scene.scene import CameraOffset, Scene
from robot_bridge.scene.splits import draw_scene
from robot_bridge.twin.settings import CameraSettings, Poster, TwinSettings, looking_at
from robot_bridge.twin.world import TwinWorld
from robot_contract.calibration import CameraCalibration
from robot_contract.pose import Pose, quaternion_from_matrix

SQUARE = 0.030  # [m]
BOARD = cv2.aruco.CharucoBoard(
    (7, 5), SQUARE, 0.022, cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_5X5_100)
)
EYE = looking_at((0.75, 0.05, 0.45), (0.48, 0.0, 0.0))


def board_picture() -> Picture:
    return np.repeat(BOARD.generateImage((1400, 1000))[..., None], 3, axis=2)


def lying() -> Poster:
    """On the table, its picture upwards."""
    rotation = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
    pose = Pose(position=[0.42, -0.10, 0.003], quaternion=quaternion_from_matrix(rotation))
    return Poster(
        mount="base", mount_from_sheet=pose, width=7 * SQUARE, height=5 * SQUARE, picture=board_picture()
    )


def measured() -> CameraCalibration:
    return CameraCalibration(
        camera="external",
        serial="0",
        width=640,
        height=480,
        matrix=[[640.0, 0.0, 340.0], [0.0, 600.0, 225.0], [0.0, 0.0, 1.0]],
        distortion=np.zeros(5),
        parent="base",
        parent_from_camera=EYE,
        covariance=1e-6 * np.eye(6),
        latency=0.05,
        calibrated_on="2026-11-21",
        held_out_millimetres=0.5,
        held_out_pixels=0.2,
    )


@pytest.fixture
def scene() -> Scene:
    exact = CameraOffset(translation=(0.0, 0.0, 0.0), rotation=(0.0, 0.0, 0.0))
    drawn = draw_scene("train", 3)
    thing = replace(drawn.objects[0], name=drawn.target_object, x=0.65, y=0.35)
    plate = replace(drawn.receptacles[0], name=drawn.target_receptacle, x=0.65, y=-0.3)
    return replace(
        drawn, external_camera=exact, wrist_camera=exact, objects=(thing,), receptacles=(plate,), move=None
    )


def corners_seen(picture: Picture) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the board's inner corners and where they are [px]."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    corners, numbers, _, _ = cv2.aruco.CharucoDetector(BOARD).detectBoard(grey)
    assert numbers is not None
    return numbers.ravel(), corners.reshape(-1, 2)


def test_the_measured_camera_sees_the_board_where_it_should(scene: Scene) -> None:
    poster = lying()
    settings = TwinSettings(clock="stepped")
    camera = replace(settings.cameras["external"], noise=0.0).calibrated(measured())
    assert camera.latency == 0.05
    with TwinWorld(scene, replace(settings, cameras={"external": camera}, posters=(poster,))) as world:
        frame = world.cameras["external"].latest()
    assert frame is not None
    numbers, seen = corners_seen(frame.picture)
    assert len(numbers) > 12
    camera_from_sheet = (EYE.inverse() @ poster.mount_from_sheet).matrix()
    points = BOARD.getChessboardCorners()[numbers] @ camera_from_sheet[:3, :3].T + camera_from_sheet[:3, 3]
    fx, fy, cx, cy = camera.intrinsics()
    expected = np.column_stack([fx * points[:, 0], fy * points[:, 1]]) / points[:, 2:] + (cx, cy)
    assert np.abs((seen - expected).mean(axis=0)).max() < 0.15
    assert np.abs(seen - expected).max() < 0.8


def test_a_rigs_calibration_goes_into_the_twins_camera() -> None:
    rig = load_rig(find_rig("twin_stepped"))
    assert rig.simulation is not None
    external, *others = rig.cameras
    calibrated = replace(rig, cameras=(replace(external, calibration=measured()), *others))
    camera = twin_settings(calibrated, rig.simulation).cameras["external"]
    assert camera.intrinsics() == (640.0, 600.0, 340.0, 225.0)
    assert camera.mount_from_camera == EYE
    plain = twin_settings(rig, rig.simulation).cameras["external"]
    assert plain.measured_intrinsics is None


def test_a_board_on_the_flange_moves_with_it(scene: Scene) -> None:
    poster = replace(
        lying(), mount="flange", mount_from_sheet=Pose(position=[0.09, -0.10, 0.0], quaternion=[0, 0, 0, 1])
    )
    # Seen from above: the flange's z points down, so the sheet's printed side is up.
    camera = CameraSettings(
        mount="base", mount_from_camera=looking_at((0.50, 0.02, 0.95), (0.42, 0.0, 0.3)), noise=0.0
    )
    settings = TwinSettings(clock="stepped", cameras={"external": camera}, posters=(poster,))
    with TwinWorld(scene, settings) as world:
        first = world.cameras["external"].latest()
        target = world.arm.read().flange_pose
        shifted = Pose(position=target.position + np.array([0.0, 0.05, 0.0]), quaternion=target.quaternion)
        for _ in range(60):
            world.arm.track(shifted, None)
            world.clock.sleep_until(world.clock.now() + 0.02)
        later = world.cameras["external"].latest()
    assert first is not None
    assert later is not None
    numbers, before = corners_seen(first.picture)
    again, after = corners_seen(later.picture)
    common = np.intersect1d(numbers, again)
    assert len(common) > 5
    moved = np.array([after[list(again).index(n)] - before[list(numbers).index(n)] for n in common.tolist()])
    assert np.linalg.norm(moved, axis=1).min() > 20
