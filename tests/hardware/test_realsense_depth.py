"""Depth of a recorded camera: the real pipeline and the real alignment of librealsense, checked by hand."""

import io
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from robot_bridge.devices import Frame
from robot_bridge.realsense.requirements import missing_requirement
from robot_bridge.recording.encode import depth_png, frame_entries
from robot_bridge.records import FrameRecord
from robot_bridge.rig_file import find_rig, load_rig
from robot_bridge.running import check_rig
from robot_contract.errors import DeviceFault, RigError

if missing_requirement():
    pytest.skip(missing_requirement(), allow_module_level=True)

from robot_bridge.realsense.bus import CameraBus, ColourMode
from robot_bridge.realsense.camera import Patience, RealSenseCamera
from robot_bridge.realsense.listing import list_connected, listing_for_people
from robot_bridge.realsense.open_cameras import open_realsense
from robot_bridge.realsense.playback import plug_in
from robot_bridge.realsense.software_camera import record_pictures
from robot_bridge.realsense.stream import in_millimetres

MODE = ColourMode(width=64, height=48, rate_hz=30)
FOCAL = 61.0  # [px]
RIGHT = 0.05  # [m] of the depth sensor, seen from the colour sensor
NEAR, FAR = 500, 1000  # [mm] a patch before a wall
PATCH = slice(16, 32), slice(20, 40)  # rows and columns of the depth sensor
PATIENT = Patience(warm_up=0.0, restart_after=600.0, retry_period=0.05)


def depth_picture(step: float = 0.001) -> np.ndarray:
    steps = np.full((MODE.height, MODE.width), round(FAR * 0.001 / step), np.uint16)
    steps[PATCH] = round(NEAR * 0.001 / step)
    return steps


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("depth") / "depth.db3"
    colours = [np.full((MODE.height, MODE.width, 3), 4 * k, np.uint8) for k in range(45)]
    record_pictures(
        path,
        "SIM0003",
        MODE,
        colours,
        focal_length=FOCAL,
        depths=[depth_picture()] * len(colours),
        depth_camera_right=RIGHT,
    )
    return path


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def first_depth(path: Path, *, with_depth: bool = True) -> Frame:
    """The first frame with depth; without depth, simply the first."""
    bus = CameraBus()
    plug_in(bus, path)
    camera = RealSenseCamera(bus, "SIM0003", MODE, latency=0.0, with_depth=with_depth, patience=PATIENT)
    try:
        until(lambda: (f := camera.latest()) is not None and (f.depth_mm is not None or not with_depth))
        frame = camera.latest()
    finally:
        camera.close()
    assert frame is not None
    return frame


def test_depth_lies_on_the_pixels_of_the_picture(recording: Path) -> None:
    frame = first_depth(recording)
    depth = frame.depth_mm
    assert depth is not None
    assert depth.shape == frame.picture.shape[:2]
    assert (depth.dtype, depth.flags.writeable, depth.flags.owndata) == (np.uint16, False, True)
    assert set(np.unique(depth)) <= {0, NEAR, FAR}
    # The depth sensor sits to the right, so that the colour sensor sees the near patch farther right.
    shift = FOCAL * RIGHT / (0.001 * NEAR)
    rows, columns = np.nonzero(depth == NEAR)
    assert rows.min() == pytest.approx(PATCH[0].start, abs=1)
    assert rows.max() == pytest.approx(PATCH[0].stop - 1, abs=1)
    assert columns.min() == pytest.approx(PATCH[1].start + shift, abs=1)
    assert columns.max() == pytest.approx(PATCH[1].stop - 1 + shift, abs=1)


def test_depth_is_off_unless_it_is_asked_for(recording: Path) -> None:
    assert first_depth(recording, with_depth=False).depth_mm is None


def test_colour_goes_on_exactly_as_without_depth(recording: Path) -> None:
    picture = first_depth(recording).picture
    assert (picture == picture[0, 0, 0]).all()
    assert picture[0, 0, 0] % 4 == 0


def test_a_camera_without_depth_says_so(tmp_path: Path) -> None:
    path = tmp_path / "colour.db3"
    record_pictures(path, "SIM0003", MODE, [np.zeros((48, 64, 3), np.uint8)] * 3, focal_length=FOCAL)
    bus = CameraBus()
    plug_in(bus, path)
    with pytest.raises(DeviceFault, match="SIM0003 has no depth 64x48 at 30 Hz; it has no depth at all"):
        RealSenseCamera(bus, "SIM0003", MODE, latency=0.0, with_depth=True)
    assert "depth: true" not in listing_for_people(list_connected(bus))


def test_the_listing_offers_depth_where_there_is_some(recording: Path) -> None:
    bus = CameraBus()
    plug_in(bus, recording)
    assert "# depth: true         # record depth too" in listing_for_people(list_connected(bus))


@pytest.mark.parametrize(
    ("steps", "step", "millimetres"),
    [(1000, 0.001, 1000), (10000, 0.0001, 1000), (4, 0.00025, 1), (60000, 0.01, 0), (0, 0.0001, 0)],
)
def test_a_camera_s_own_steps_become_millimetres(steps: int, step: float, millimetres: int) -> None:
    depth = in_millimetres(np.full((2, 3), steps, np.uint16), step)
    assert (depth == millimetres).all()
    assert depth.dtype == np.uint16
    assert not depth.flags.writeable


def test_a_recorded_frame_has_its_depth_beside_its_picture() -> None:
    depth = depth_picture()
    frame = Frame(exposed_at=7.0, sequence=1, picture=np.zeros((48, 64, 3), np.uint8), depth_mm=depth)
    entries = list(frame_entries(FrameRecord(camera="wrist", frame=frame)))
    assert [(entry.topic, entry.at) for entry in entries] == [("/camera/wrist", 7.0), ("/depth/wrist", 7.0)]
    read = np.asarray(Image.open(io.BytesIO(depth_png(depth))))
    np.testing.assert_array_equal(read, depth)


def test_a_recorded_frame_without_depth_is_one_entry() -> None:
    frame = Frame(exposed_at=7.0, sequence=1, picture=np.zeros((48, 64, 3), np.uint8))
    assert len(list(frame_entries(FrameRecord(camera="wrist", frame=frame)))) == 1


def rig_lines(path: Path, text: str) -> Path:
    """The mock rig with this one camera."""
    head, rest = find_rig("mock").read_text().split("cameras:\n")
    path.write_text(f"{head}cameras:\n{text}\n{rest[rest.index('flange_from_tcp:') :]}")
    return path


def test_a_rig_asks_for_depth(recording: Path, tmp_path: Path) -> None:
    lines = (
        f"  wrist: {{driver: realsense, serial: SIM0003, mount: wrist, playback: {recording},\n"
        "    vertical_field_of_view: 0.75, width: 64, height: 48, rate_hz: 30, latency: 0.05,\n"
        "    identical_frames: 10, depth: true}"
    )
    rig = load_rig(rig_lines(tmp_path / "lab.yaml", lines))
    assert rig.camera("wrist").depth
    assert "at 30 Hz with depth; pictures over" in check_rig(rig)
    cameras = open_realsense(rig.cameras)
    try:
        until(lambda: (f := cameras["wrist"].latest()) is not None and f.depth_mm is not None)
    finally:
        cameras["wrist"].close()


def test_depth_belongs_to_realsense(tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text(
        find_rig("mock").read_text().replace("serial: mock-wrist", "serial: mock-wrist\n    depth: true")
    )
    with pytest.raises(RigError, match="`depth` belongs to the driver realsense only"):
        load_rig(path)
