"""What a command line may change in a rig: addresses, folders, stand-ins; nothing looser gets through."""

import dataclasses
import threading
from pathlib import Path

import pytest

from robot_bridge.__main__ import Run
from robot_bridge.open_devices import open_devices
from robot_bridge.records import NoRecorder
from robot_bridge.rig import Rig
from robot_bridge.rig_file import find_rig, load_rig
from robot_bridge.run_options import RunOptions, with_options
from robot_bridge.running import open_recorder, run_bridge
from robot_bridge.safety import PROFILES
from robot_contract.errors import RigError

MOCK = load_rig(find_rig("mock"))
CAMERA = """
  {name}:
    driver: {driver}
    serial: "{name}-2"
    mount: external
    vertical_field_of_view: 0.75
    width: 640
    height: 480
    rate_hz: {rate}
    latency: {latency}
    identical_frames: {frames}
"""


@pytest.fixture
def real_rig() -> Rig:
    """A rig for a Franka arm with RealSense cameras."""
    return dataclasses.replace(
        MOCK,
        name="lab",
        arm=dataclasses.replace(
            MOCK.arm, driver="franka", id="fr3-1", options={"address": "172.16.0.2", "realtime": "enforce"}
        ),
        cameras=tuple(dataclasses.replace(camera, driver="realsense") for camera in MOCK.cameras),
        hold_to_run=True,
        simulation=None,
    )


def cameras_file(
    folder: Path,
    *,
    names: tuple[str, ...] = ("external", "wrist"),
    driver: str = "realsense",
    **numbers: float,
) -> Path:
    values = {"rate": 60, "latency": 0.03, "frames": 10, **numbers}
    path = folder / "cameras.yaml"
    path.write_text("cameras:" + "".join(CAMERA.format(name=name, driver=driver, **values) for name in names))
    return path


def test_no_option_changes_nothing(real_rig: Rig) -> None:
    same = with_options(real_rig, RunOptions())
    for field in dataclasses.fields(Rig):
        if field.name != "limits":
            assert getattr(same, field.name) == getattr(real_rig, field.name), field.name
    assert same.limits is real_rig.limits


def test_addresses_and_folders_are_free(real_rig: Rig, tmp_path: Path) -> None:
    options = RunOptions(policy_server="gpu:1", address="127.0.0.1:0", recordings=tmp_path)
    changed = with_options(real_rig, options)
    assert (changed.policy_server.address, changed.operator.address) == ("gpu:1", "127.0.0.1:0")
    assert changed.recording.folder == tmp_path
    assert (changed.digest, changed.limits_digest) == (real_rig.digest, real_rig.limits_digest)


def test_a_looser_profile_is_refused_and_a_stricter_one_taken() -> None:
    with pytest.raises(RigError, match="looser than the rig's"):
        with_options(MOCK, RunOptions(profile="normal"))
    fast = dataclasses.replace(MOCK, limits=dataclasses.replace(MOCK.limits, profile=PROFILES["normal"]))
    careful = with_options(fast, RunOptions(profile="reduced"))
    assert careful.limits.profile.name == "reduced"
    assert careful.limits_digest == MOCK.limits_digest


def test_the_robot_s_address_is_another_and_so_is_the_digest(real_rig: Rig) -> None:
    changed = with_options(real_rig, RunOptions(robot_ip="192.168.7.3"))
    assert changed.arm.options == {"address": "192.168.7.3", "realtime": "enforce"}
    assert changed.digest != real_rig.digest
    assert changed.limits_digest == real_rig.limits_digest


@pytest.mark.parametrize("address", [" ", "172.16.0.2 ", "a;b", "-x", "http://172.16.0.2"])
def test_what_is_no_address_is_refused(real_rig: Rig, address: str) -> None:
    with pytest.raises(RigError, match="expected a host name or an IP address"):
        with_options(real_rig, RunOptions(robot_ip=address))


def test_a_simulated_rig_has_no_robot_to_address() -> None:
    with pytest.raises(RigError, match="rig mock is for driver mock, which has no address"):
        with_options(MOCK, RunOptions(robot_ip="172.16.0.2"))


def test_another_robot_type_is_refused(real_rig: Rig) -> None:
    assert with_options(real_rig, RunOptions(robot_type="fr3")).arm == real_rig.arm
    with pytest.raises(RigError, match="robot type 'panda': rig lab is for fr3"):
        with_options(real_rig, RunOptions(robot_type="panda"))


@pytest.mark.parametrize("driver", ["mock", "twin"])
def test_a_simulated_arm_stands_in_and_keeps_limits_and_key(real_rig: Rig, driver: str) -> None:
    rig = with_options(real_rig, RunOptions(driver=driver, robot_ip="dont-care"))
    assert rig.arm.driver == driver
    assert {camera.driver for camera in rig.cameras} == {driver}
    assert rig.limits_digest == real_rig.limits_digest
    assert rig.hold_to_run
    assert not rig.is_stepped
    assert rig.name == f"lab-{driver}"  # its recordings are not those of the real arm
    assert rig.digest != real_rig.digest


def test_a_rig_for_hardware_opens_on_mock_devices(real_rig: Rig) -> None:
    devices = open_devices(with_options(real_rig, RunOptions(driver="mock")))
    devices.close()
    assert set(devices.cameras) == {"external", "wrist"}


@pytest.mark.parametrize("driver", ["franka", "crisp", "frnka"])
def test_a_real_arm_never_stands_in(driver: str) -> None:
    with pytest.raises(RigError, match="only mock or twin may stand in for it"):
        with_options(MOCK, RunOptions(driver=driver))


def test_other_cameras_that_are_watched_as_strictly_are_taken(real_rig: Rig, tmp_path: Path) -> None:
    rig = with_options(real_rig, RunOptions(cameras_file=cameras_file(tmp_path)))
    assert [camera.serial for camera in rig.cameras] == ["external-2", "wrist-2"]
    assert rig.digest != real_rig.digest
    for camera in rig.cameras:
        assert rig.camera_age_limit(camera) <= real_rig.camera_age_limit(real_rig.camera(camera.name))


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({"latency": 0.2}, "pictures would be believed for 263 ms, the rig's for 127 ms"),
        ({"rate": 15}, "pictures would be believed for 193 ms"),
        ({"frames": 100}, "would count as frozen after 1.67 s, the rig's after 0.33 s"),
    ],
)
def test_cameras_that_are_watched_less_strictly_are_refused(
    real_rig: Rig, tmp_path: Path, numbers: dict[str, float], words: str
) -> None:
    with pytest.raises(RigError, match=words):
        with_options(real_rig, RunOptions(cameras_file=cameras_file(tmp_path, **numbers)))


def test_a_real_arm_keeps_cameras_that_see_it(real_rig: Rig, tmp_path: Path) -> None:
    with pytest.raises(RigError, match="driver mock, and the rig's is realsense"):
        with_options(real_rig, RunOptions(cameras_file=cameras_file(tmp_path, driver="mock")))
    played = cameras_file(tmp_path)
    played.write_text(played.read_text().replace("mount:", "playback: old.db3\n    mount:"))
    with pytest.raises(RigError, match="plays a recording"):
        with_options(real_rig, RunOptions(cameras_file=played))


def test_other_names_are_refused(real_rig: Rig, tmp_path: Path) -> None:
    with pytest.raises(RigError, match="has cameras external; rig lab has external, wrist"):
        with_options(real_rig, RunOptions(cameras_file=cameras_file(tmp_path, names=("external",))))


def test_a_calibrated_camera_is_not_replaced_by_one_that_is_not(real_rig: Rig, tmp_path: Path) -> None:
    calibrated = dataclasses.replace(real_rig.cameras[0], calibration=object())  # pyright: ignore[reportArgumentType]
    rig = dataclasses.replace(real_rig, cameras=(calibrated, real_rig.cameras[1]))
    with pytest.raises(RigError, match="has no calibration, and the rig's has one"):
        with_options(rig, RunOptions(cameras_file=cameras_file(tmp_path)))


@pytest.mark.parametrize("text", ["cameras: {}\n", "cameras:\n  a: {driver: mock}\n", "name: lab\n"])
def test_a_wrong_cameras_file_is_named_with_its_line(real_rig: Rig, tmp_path: Path, text: str) -> None:
    path = tmp_path / "cameras.yaml"
    path.write_text(text)
    with pytest.raises(RigError, match=r"cameras\.yaml:\d+"):
        with_options(real_rig, RunOptions(cameras_file=path))


def test_missing_certificates_are_named(real_rig: Rig, tmp_path: Path) -> None:
    with pytest.raises(RigError, match=r"ca\.pem, bridge\.pem, bridge\.key is missing"):
        with_options(real_rig, RunOptions(policy_tls=tmp_path))
    for name in ("ca.pem", "bridge.pem", "bridge.key"):
        (tmp_path / name).touch()
    assert with_options(real_rig, RunOptions(policy_tls=tmp_path)).policy_server.tls_folder == tmp_path


def test_every_option_can_be_given_on_the_command_line() -> None:
    given = {field.name for field in dataclasses.fields(Run)}
    assert {field.name for field in dataclasses.fields(RunOptions)} <= given


def test_without_a_recorder_a_recorded_trial_is_refused() -> None:
    recorder = open_recorder(MOCK, record=False)
    assert isinstance(recorder, NoRecorder)
    assert "runs without a recorder" in recorder.refusal()


def test_the_running_bridge_obeys_the_options(tmp_path: Path) -> None:
    """Nothing looser gets as far as a device."""
    with pytest.raises(RigError, match="looser"):
        run_bridge(MOCK, RunOptions(profile="normal"), threading.Event(), is_up=print)
