"""The RealSense driver on recorded cameras: the real librealsense pipeline by serial, with no hardware."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_bridge.__main__ import main
from robot_bridge.open_devices import open_devices
from robot_bridge.realsense.requirements import missing_requirement
from robot_bridge.rig_file import find_rig, load_rig
from robot_contract.errors import DeviceFault, RigError

if missing_requirement():
    pytest.skip(missing_requirement(), allow_module_level=True)

from robot_bridge.realsense.bus import CameraBus, ColourMode, colour_sensor
from robot_bridge.realsense.camera import Patience, RealSenseCamera
from robot_bridge.realsense.listing import list_connected, listing_for_people, suggest_mode
from robot_bridge.realsense.look import adjusts_itself, begin_look, lock_look, read_look
from robot_bridge.realsense.open_cameras import open_realsense
from robot_bridge.realsense.playback import plug_in, unplug
from robot_bridge.realsense.sdk import rs
from robot_bridge.realsense.software_camera import record_pictures
from robot_bridge.realsense.stream import Stream

MODE = ColourMode(width=64, height=48, rate_hz=30)
PICTURES = 60
LATENCY = 0.05  # [s]
PATIENT = Patience(warm_up=0.0, restart_after=600.0, retry_period=0.05)
EAGER = Patience(warm_up=0.0, restart_after=0.4, retry_period=0.05)


def picture(number: int, camera: int) -> np.ndarray:
    """Says in its red channel when it was taken, and in its green one by whom; blue runs along the rows."""
    image = np.zeros((MODE.height, MODE.width, 3), np.uint8)
    image[..., 0], image[..., 1] = 3 * number, camera
    image[..., 2] = np.arange(MODE.width)
    return image


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("realsense")
    files = folder / "one.db3", folder / "two.db3"
    for camera, (file, serial) in enumerate(zip(files, ("SIM0001", "SIM0002"), strict=True), 1):
        record_pictures(file, serial, MODE, (picture(k, camera) for k in range(PICTURES)), focal_length=61.0)
    return files


@pytest.fixture
def opened() -> Iterator[list[RealSenseCamera]]:
    cameras: list[RealSenseCamera] = []
    yield cameras
    for camera in cameras:
        camera.close()


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def sequence(camera: RealSenseCamera) -> int:
    frame = camera.latest()
    return 0 if frame is None else frame.sequence


def open_by_serial(bus: CameraBus, serial: str, patience: Patience = PATIENT) -> RealSenseCamera:
    return RealSenseCamera(bus, serial, MODE, latency=LATENCY, patience=patience)


def test_a_recorded_camera_streams_by_serial_and_its_pictures_are_exact(
    recordings: tuple[Path, Path], opened: list[RealSenseCamera]
) -> None:
    bus = CameraBus()
    assert plug_in(bus, recordings[0]) == "SIM0001"
    camera = open_by_serial(bus, "SIM0001")
    opened.append(camera)
    seen = {}
    end = time.monotonic() + 20.0
    while len(seen) < 20:  # all held, more than librealsense lends by default
        assert time.monotonic() < end, f"only {len(seen)} pictures came"
        frame = camera.latest()
        if frame is not None:
            assert frame.exposed_at <= time.monotonic() - LATENCY
            seen[frame.sequence] = frame
        time.sleep(0.005)
    numbers = [int(frame.picture[0, 0, 0]) // 3 for frame in seen.values()]
    assert numbers == sorted(set(numbers))
    for number, frame in zip(numbers, seen.values(), strict=True):
        np.testing.assert_array_equal(frame.picture, picture(number, 1))
        assert not frame.picture.flags.writeable
        assert frame.picture.flags.owndata  # not lent by the camera
    exposures = [frame.exposed_at for frame in seen.values()]
    assert exposures == sorted(exposures)


def test_two_cameras_on_one_bus_do_not_mix(
    recordings: tuple[Path, Path], opened: list[RealSenseCamera]
) -> None:
    bus = CameraBus()
    for file in recordings:
        plug_in(bus, file)
    opened += [open_by_serial(bus, "SIM0002"), open_by_serial(bus, "SIM0001")]
    until(lambda: all(sequence(camera) >= 10 for camera in opened))
    for camera, marker in zip(opened, (2, 1), strict=True):
        frame = camera.latest()
        assert frame is not None
        assert (frame.picture[..., 1] == marker).all()


def test_a_slow_consumer_gets_the_newest_picture(
    recordings: tuple[Path, Path], opened: list[RealSenseCamera]
) -> None:
    bus = CameraBus()
    plug_in(bus, recordings[0])
    camera = open_by_serial(bus, "SIM0001")
    opened.append(camera)
    until(lambda: camera.latest() is not None)
    first = camera.latest()
    time.sleep(0.8)
    second = camera.latest()
    assert first is not None
    assert second is not None
    assert second.sequence - first.sequence >= 5  # the slot went on without its reader
    assert time.monotonic() - second.exposed_at - LATENCY < 0.4  # and holds no old picture


def test_a_stalled_stream_keeps_its_last_picture_which_grows_old(
    recordings: tuple[Path, Path], opened: list[RealSenseCamera]
) -> None:
    bus = CameraBus()
    plug_in(bus, recordings[0])
    camera = open_by_serial(bus, "SIM0001")
    opened.append(camera)
    until(lambda: (frame := camera.latest()) is not None and time.monotonic() - frame.exposed_at > 0.7)
    last = camera.latest()
    assert last is not None
    time.sleep(0.3)
    assert camera.latest() is last
    assert time.monotonic() - last.exposed_at > 1.0
    assert camera.restarts == 0


def test_a_silent_camera_is_started_anew(
    recordings: tuple[Path, Path], opened: list[RealSenseCamera]
) -> None:
    bus = CameraBus()
    plug_in(bus, recordings[0])
    camera = open_by_serial(bus, "SIM0001", EAGER)
    opened.append(camera)
    until(lambda: camera.restarts >= 1)
    before = sequence(camera)
    until(lambda: sequence(camera) > before)
    frame = camera.latest()
    assert frame is not None
    assert time.monotonic() - frame.exposed_at < 1.0  # its clock began anew as well


def test_an_unplugged_camera_comes_back_by_itself_and_the_other_never_stops(
    recordings: tuple[Path, Path], opened: list[RealSenseCamera]
) -> None:
    bus = CameraBus()
    for file in recordings:
        plug_in(bus, file)
    pulled, other = open_by_serial(bus, "SIM0001"), open_by_serial(bus, "SIM0002", EAGER)
    opened += [pulled, other]
    until(lambda: sequence(pulled) >= 3)
    unplug(bus, recordings[0])
    until(lambda: not pulled.is_streaming)
    last = pulled.latest()
    counted = sequence(other)
    until(lambda: sequence(other) > counted + 3)
    assert pulled.latest() is last
    assert last is not None
    plug_in(bus, recordings[0])
    until(lambda: sequence(pulled) > last.sequence + 3)
    assert pulled.restarts == 1


def test_closing_while_unplugged_ends_the_thread(recordings: tuple[Path, Path]) -> None:
    bus = CameraBus()
    plug_in(bus, recordings[0])
    camera = open_by_serial(bus, "SIM0001")
    unplug(bus, recordings[0])
    until(lambda: not camera.is_streaming)
    camera.close()
    assert not camera.is_streaming


def test_a_wrong_serial_names_what_is_connected(recordings: tuple[Path, Path]) -> None:
    bus = CameraBus()
    with pytest.raises(DeviceFault, match="no RealSense camera with serial SIM0009; connected: none"):
        open_by_serial(bus, "SIM0009")
    plug_in(bus, recordings[0])
    with pytest.raises(DeviceFault, match="serial SIM0009; connected: SIM0001"):
        open_by_serial(bus, "SIM0009")


def test_a_mode_that_the_camera_lacks_names_those_that_it_has(recordings: tuple[Path, Path]) -> None:
    bus = CameraBus()
    plug_in(bus, recordings[0])
    with pytest.raises(DeviceFault, match=r"no colour 640x480 at 60 Hz; it has 64x48 at 30 Hz"):
        RealSenseCamera(bus, "SIM0001", ColourMode(width=640, height=480, rate_hz=60), latency=0.0)


@pytest.mark.parametrize("name", ["none.db3", "old.bag", "broken.db3"])
def test_a_file_that_is_no_recording_is_refused(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    if name != "none.db3":
        file.write_text("not a recording")
    with pytest.raises(DeviceFault, match=name):
        plug_in(CameraBus(), file)


def adjustable_sensor() -> Any:
    """A sensor of librealsense with the settings of a D435's colour sensor."""
    sensor = rs.software_device().add_sensor("RGB Camera")
    values = {
        "enable_auto_exposure": (0, 1, 0),
        "auto_exposure_priority": (0, 1, 1),
        "enable_auto_white_balance": (0, 1, 0),
        "exposure": (1, 10000, 156),
        "gain": (0, 128, 64),
        "white_balance": (2800, 6500, 4600),
    }
    for name, (low, high, default) in values.items():
        span = rs.option_range()
        span.min, span.max, span.step, span.default = low, high, 1, default
        sensor.add_option(getattr(rs.option, name), span)
    return sensor


def test_the_look_is_found_by_the_camera_and_then_locked() -> None:
    sensor = adjustable_sensor()

    def option(name: str) -> float:
        return sensor.get_option(getattr(rs.option, name))

    assert adjusts_itself(sensor)
    begin_look(sensor)
    assert (option("enable_auto_exposure"), option("enable_auto_white_balance")) == (1, 1)
    assert option("auto_exposure_priority") == 0
    sensor.set_option(rs.option.exposure, 312)  # as the camera itself would find it
    look = read_look(sensor)
    assert look == {"exposure": 312, "gain": 64, "white_balance": 4600}
    sensor.set_option(rs.option.exposure, 99)
    lock_look(sensor, look)
    assert (option("enable_auto_exposure"), option("enable_auto_white_balance")) == (0, 0)
    assert read_look(sensor) == look


def test_warm_up_pictures_are_not_shown_and_a_restart_keeps_the_look(
    recordings: tuple[Path, Path], opened: list[RealSenseCamera], monkeypatch: pytest.MonkeyPatch
) -> None:
    sensor = adjustable_sensor()

    class AdjustableStream(Stream):
        """A recording has no settings to make; this one's sensor has."""

        def __init__(self, bus: CameraBus, serial: str, mode: ColourMode, *, with_depth: bool) -> None:
            super().__init__(bus, serial, mode, with_depth=with_depth)
            self.sensor = sensor

    monkeypatch.setattr("robot_bridge.realsense.camera.Stream", AdjustableStream)
    bus = CameraBus()
    plug_in(bus, recordings[0])
    camera = open_by_serial(bus, "SIM0001", Patience(warm_up=0.5, restart_after=600.0, retry_period=0.05))
    opened.append(camera)
    sensor.set_option(rs.option.exposure, 312)  # found while warming up
    until(lambda: camera.latest() is not None)
    first = camera.latest()
    assert first is not None
    assert first.picture[0, 0, 0] // 3 - first.sequence >= 4  # those before the first were of the warm-up
    assert camera.look == {"exposure": 312, "gain": 64, "white_balance": 4600}
    assert sensor.get_option(rs.option.enable_auto_exposure) == 0
    unplug(bus, recordings[0])
    until(lambda: not camera.is_streaming)
    sensor.set_option(rs.option.exposure, 156)  # a camera that comes back has forgotten its settings
    sensor.set_option(rs.option.enable_auto_exposure, 1)
    plug_in(bus, recordings[0])
    until(lambda: sequence(camera) > 1 and camera.restarts == 1 and camera.is_streaming)
    assert read_look(sensor)["exposure"] == 312
    assert sensor.get_option(rs.option.enable_auto_exposure) == 0


def test_a_camera_without_such_settings_is_taken_as_it_is(recordings: tuple[Path, Path]) -> None:
    bus = CameraBus()
    plug_in(bus, recordings[0])
    sensor = colour_sensor(bus.devices()["SIM0001"])
    assert not adjusts_itself(sensor)
    begin_look(sensor)
    lock_look(sensor, {})
    assert read_look(sensor) == {}


@pytest.mark.parametrize(
    ("offered", "expected"),
    [
        ([(640, 480, 30), (640, 480, 60), (1280, 720, 30)], (640, 480, 60)),
        ([(640, 480, 15), (640, 480, 30)], (640, 480, 30)),
        ([(424, 240, 60), (1920, 1080, 30)], (424, 240, 60)),
        ([], None),
    ],
)
def test_sixty_pictures_a_second_are_suggested_where_there_are_any(
    offered: list[tuple[int, int, int]], expected: tuple[int, int, int] | None
) -> None:
    modes = tuple(ColourMode(width=w, height=h, rate_hz=r) for w, h, r in offered)
    mode = suggest_mode(modes)
    assert (mode and (mode.width, mode.height, mode.rate_hz)) == expected


def rig_with(tmp_path: Path, camera_lines: str) -> Path:
    """The mock rig with other cameras."""
    text = find_rig("mock").read_text()
    head, rest = text.split("cameras:\n")
    tail = rest[rest.index("flange_from_tcp:") :]
    path = tmp_path / "lab.yaml"
    path.write_text(f"{head}{camera_lines}\n{tail}")
    return path


def test_the_listing_suggests_lines_that_make_a_rig_once_the_latency_is_measured(
    recordings: tuple[Path, Path], tmp_path: Path
) -> None:
    bus = CameraBus()
    for file in recordings:
        plug_in(bus, file)
    text = listing_for_people(list_connected(bus))
    assert "SIM0001  Software D435  firmware 5.16.0.1  USB 3.2" in text
    lines = text[text.index("cameras:\n") :]
    with pytest.raises(RigError, match="latency"):
        load_rig(rig_with(tmp_path, lines))
    rig = load_rig(rig_with(tmp_path, lines.replace("MEASURE", "0.06")))
    assert [(camera.name, camera.serial) for camera in rig.cameras] == [
        ("external", "SIM0001"),
        ("wrist", "SIM0002"),
    ]
    assert rig.camera("wrist").vertical_field_of_view == pytest.approx(2 * np.arctan(24 / 61), abs=1e-4)


def test_no_camera_is_a_sentence() -> None:
    assert "no RealSense camera is connected" in listing_for_people([])


def test_the_command_lists_recordings(
    recordings: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["cameras", "--playback", str(recordings[0])])
    assert 'serial: "SIM0001"' in capsys.readouterr().out


def played_rig(tmp_path: Path, recordings: tuple[Path, Path]) -> Path:
    lines = ["cameras:"]
    for name, serial, file in zip(("external", "wrist"), ("SIM0001", "SIM0002"), recordings, strict=True):
        lines += [
            f"  {name}:",
            f"    {{driver: realsense, serial: {serial}, mount: {name}, playback: {file},",
            "     vertical_field_of_view: 0.75, width: 64, height: 48, rate_hz: 30, latency: 0.05,",
            "     identical_frames: 10}",
        ]
    return rig_with(tmp_path, "\n".join(lines))


def test_a_rig_opens_recorded_cameras_beside_the_mock_arm(
    recordings: tuple[Path, Path], tmp_path: Path
) -> None:
    devices = open_devices(load_rig(played_rig(tmp_path, recordings)))
    try:
        assert set(devices.cameras) == {"external", "wrist"}
        until(lambda: all(camera.latest() is not None for camera in devices.cameras.values()))
    finally:
        devices.close()


def test_a_recording_of_another_camera_is_refused(recordings: tuple[Path, Path], tmp_path: Path) -> None:
    path = played_rig(tmp_path, recordings)
    path.write_text(path.read_text().replace("SIM0002", "SIM0007"))
    with pytest.raises(RigError, match=r"two\.db3 is of SIM0002, not SIM0007"):
        open_realsense(load_rig(path).cameras)


def test_a_real_arm_never_moves_by_recorded_pictures(recordings: tuple[Path, Path], tmp_path: Path) -> None:
    rig = load_rig(played_rig(tmp_path, recordings))
    arm = dataclasses.replace(rig.arm, driver="franka")
    with pytest.raises(RigError, match="plays a recording"):
        dataclasses.replace(rig, arm=arm, hold_to_run=True, simulation=None)


def test_a_stepped_clock_has_no_real_cameras(recordings: tuple[Path, Path], tmp_path: Path) -> None:
    path = played_rig(tmp_path, recordings)
    path.write_text(path.read_text().replace("clock: real", "clock: stepped"))
    with pytest.raises(RigError, match="runs in real time"):
        load_rig(path)


def test_playback_belongs_to_realsense(tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text(
        find_rig("mock").read_text().replace("serial: mock-wrist", "serial: mock-wrist\n    playback: a.db3")
    )
    with pytest.raises(RigError, match="playback"):
        load_rig(path)
