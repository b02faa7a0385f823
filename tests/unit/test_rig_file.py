"""Rig files: every mistake is an error with file, line and key; what could hurt cannot be written."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from robot_bridge.rig_file import find_rig, load_rig, shipped_rigs
from robot_contract.calibration import CameraCalibration, save_calibration
from robot_contract.errors import RigError
from robot_contract.pose import Pose

MOCK = find_rig("mock").read_text()


def load(tmp_path: Path, text: str):
    path = tmp_path / "lab.yaml"
    path.write_text(text)
    return load_rig(path)


def line_of(text: str, words: str) -> int:
    return next(i for i, line in enumerate(text.splitlines(), 1) if words in line)


@pytest.mark.parametrize("name", sorted(shipped_rigs()))
def test_shipped_rigs_load_and_default_to_the_careful_profile(name: str) -> None:
    rig = load_rig(find_rig(name))
    assert rig.name == name
    assert rig.limits.profile.name == "reduced"
    assert {"home"} <= set(rig.poses)
    assert len(rig.digest) == len(rig.limits_digest) == 64
    for joints in rig.poses.values():
        assert (rig.limits.joint_low <= joints).all()
        assert (rig.limits.joint_high >= joints).all()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "  latency: 0.0            # [s] from",
            "  latecy: 0.0            # [s] from",
            "unknown key; did you mean 'latency'",
        ),
        ("control_rate_hz: 100", "control_rate_hz: fast", "expected a number, found 'fast'"),
        ("control_rate_hz: 100", "control_rate_hz: nan", "nan is outside 20 to 1000"),
        ("  table_height: 0.0", "  table_height: .nan", "expected a number, found '.nan'"),
        ("  driver: mock\n  id", "  driver: mok\n  id", "did you mean 'mock'"),
        ("profile: reduced", "profile: fast", "safety profile: found 'fast'"),
        ("    mount: external", "    mount: roof", "'roof' is not accepted"),
        ("identical_frames: 10  # so", "identical_frames: 2.5  # so", "expected a whole number"),
        ("  longest_hold: 0.5", "  longest_hold: 5.0", "5 is outside 0.05 to 0.5"),
        ("  position: [0.0, 0.0, 0.1034]", "  position: [0.0, 0.1034]", "expected 3 numbers, found 2"),
        ("  quaternion: [0.0, 0.0, -0.38", "  quaternion: [0.5, 0.0, -0.38", "expected a unit quaternion"),
        ("  address: 127.0.0.1:50052", "  address: 0.0.0.0:50052", "off loopback `tls_folder` is needed"),
        ("hold_to_run: false", "hold_to_run: maybe", "'maybe' is not accepted"),
    ],
)
def test_mistakes_are_named_with_file_and_line(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in MOCK
    text = MOCK.replace(old, new, 1)
    with pytest.raises(RigError) as caught:
        load(tmp_path, text)
    message = str(caught.value)
    assert words in message
    changed = next(i for i, (a, b) in enumerate(zip(MOCK.splitlines(), text.splitlines()), 1) if a != b)
    place, line, _ = message.split(":", 2)
    assert place == "lab.yaml"
    assert abs(int(line) - changed) <= 3, message


@pytest.mark.parametrize("key", ["hold_to_run", "control_rate_hz", "safety", "watchdogs", "cameras", "poses"])
def test_nothing_that_matters_has_a_silent_default(tmp_path: Path, key: str) -> None:
    lines = MOCK.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"{key}:"))
    end = next((i for i in range(start + 1, len(lines)) if not lines[i].startswith(" ")), len(lines))
    with pytest.raises(RigError, match=f"missing {key}"):
        load(tmp_path, "\n".join(lines[:start] + lines[end:]))


def test_limits_beyond_the_maker_s_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RigError, match="singularity_slow"):
        load(tmp_path, MOCK.replace("  profile: reduced", "  singularity_slow: 50\n  profile: reduced"))
    with pytest.raises(RigError, match=r"0\.3 is outside 0\.005 to 0\.1"):
        load(tmp_path, MOCK.replace("  profile: reduced", "  leash_distance: 0.3\n  profile: reduced"))


def test_box_that_is_inside_out_is_refused(tmp_path: Path) -> None:
    text = MOCK.replace("low: [0.1, -0.5, -0.2]", "low: [0.1, 0.6, -0.2]")
    with pytest.raises(
        RigError, match=r"lab.yaml:\d+: document.safety: limits box 'workspace': expected low < high"
    ):
        load(tmp_path, text)


@pytest.mark.parametrize("driver", ["franka", "crisp"])
def test_a_real_arm_always_needs_the_key(driver: str) -> None:
    rig = load_rig(find_rig("mock"))
    with pytest.raises(RigError, match="needs hold_to_run: true"):
        dataclasses.replace(rig, arm=dataclasses.replace(rig.arm, driver=driver))


def test_a_stepped_clock_has_no_key(tmp_path: Path) -> None:
    text = MOCK.replace("clock: real", "clock: stepped").replace("hold_to_run: false", "hold_to_run: true")
    with pytest.raises(RigError, match="stepped clock has no real time"):
        load(tmp_path, text)


def test_simulation_belongs_to_simulated_arms(tmp_path: Path) -> None:
    start = MOCK.index("simulation:")
    with pytest.raises(RigError, match="`simulation` belongs to the drivers mock, twin"):
        load(tmp_path, MOCK[:start])


def test_unknown_rig_gets_the_nearest_name() -> None:
    with pytest.raises(RigError, match="no rig 'twinn'; did you mean 'twin'"):
        find_rig("twinn")


def test_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(RigError, match="cannot be read"):
        load_rig(tmp_path / "none.yaml")


def test_calibration_is_read_with_the_rig_and_its_latency_counts(tmp_path: Path) -> None:
    camera = load_rig(find_rig("mock")).cameras[0]
    calibration = CameraCalibration(
        camera="external",
        serial=camera.serial,
        width=640,
        height=480,
        matrix=np.diag([600.0, 600.0, 1.0]),
        distortion=np.zeros(5),
        parent="base",
        parent_from_camera=Pose.identity(),
        covariance=np.eye(6),
        latency=0.071,
        calibrated_on="2026-01-01",
        held_out_millimetres=1.0,
        held_out_pixels=0.3,
    )
    text = MOCK.replace(
        "    serial: mock-external", "    calibration: cameras/e.json\n    serial: mock-external"
    )
    with pytest.raises(RigError, match=r"lab.yaml:\d+: document.cameras.external.calibration: .*e.json"):
        load(tmp_path, text)
    (tmp_path / "cameras").mkdir()
    save_calibration(tmp_path / "cameras" / "e.json", calibration)
    rig = load(tmp_path, text)
    assert rig.cameras[0].latency == 0.071
    assert rig.camera_age_limit(rig.cameras[0]) == pytest.approx(0.071 + 2 / 30 + 0.03)
    assert rig.cameras[0].calibration is not None
    assert rig.cameras[0].calibration.digest == calibration.digest
