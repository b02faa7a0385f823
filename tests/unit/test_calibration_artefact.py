"""The calibration artefact: saved, loaded, digested; a wrong one is refused by field."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from robot_contract.calibration import CameraCalibration, load_calibration, save_calibration
from robot_contract.errors import CalibrationError
from robot_contract.pose import Pose


def calibration() -> CameraCalibration:
    return CameraCalibration(
        camera="external",
        serial="000000000001",
        width=640,
        height=480,
        matrix=np.array([[600.0, 0.0, 320.0], [0.0, 600.0, 240.0], [0.0, 0.0, 1.0]]),
        distortion=np.zeros(5),
        parent="base",
        parent_from_camera=Pose.from_rotation_vector([1.0, 0.1, 0.5], [0.1, 2.0, 0.3]),
        covariance=np.eye(6) * 1e-6,
        latency=0.05,
        calibrated_on="2026-01-31",
        held_out_millimetres=0.8,
        held_out_pixels=0.4,
    )


def test_an_artefact_survives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "external.json"
    save_calibration(path, calibration())
    loaded = load_calibration(path)
    assert loaded.digest == calibration().digest
    assert loaded.parent_from_camera == calibration().parent_from_camera


def test_the_digest_follows_every_field() -> None:
    moved = dataclasses.replace(calibration(), latency=0.06)
    assert moved.digest != calibration().digest


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("parent", "world", "parent is 'world', accepted are base, flange"),
        ("matrix", [[1.0]], r"matrix has shape \(1, 1\)"),
        ("latency", -0.1, "latency is -0.1, expected zero or more"),
        ("width", 0, "size is 0x480 px"),
        ("schema_version", 9, "schema_version is 9, this program reads 1"),
        ("held_out_pixels", float("nan"), "held_out_pixels is nan"),
    ],
)
def test_a_wrong_field_is_named(field: str, value: object, sentence: str) -> None:
    with pytest.raises(CalibrationError, match=sentence):
        dataclasses.replace(calibration(), **{field: value})  # pyright: ignore[reportArgumentType]


def test_a_wrong_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "external.json"
    with pytest.raises(CalibrationError, match="cannot be read"):
        load_calibration(path)
    path.write_text("{")
    with pytest.raises(CalibrationError, match="is not JSON"):
        load_calibration(path)
    save_calibration(path, calibration())
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | {"notes": ""}))
    with pytest.raises(CalibrationError, match=r"unknown \['notes'\]"):
        load_calibration(path)
    del document["serial"]
    path.write_text(json.dumps(document))
    with pytest.raises(CalibrationError, match=r"missing \['serial'\]"):
        load_calibration(path)
