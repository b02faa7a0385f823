"""What a camera calibration says: read by the bridge, the twin and the simulated cameras alike.

`calibrate` writes it as JSON; its digest goes into every recording.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from robot_contract.canonical_json import canonical, digest
from robot_contract.errors import CalibrationError
from robot_contract.policy_contract import as_document
from robot_contract.pose import Pose, Vector, read_only

CALIBRATION_SCHEMA_VERSION = 1

Parent = Literal["base", "flange"]


@dataclass(frozen=True, kw_only=True, eq=False)
class CameraCalibration:
    camera: str  # name in the rig
    serial: str
    width: int  # [px]
    height: int  # [px]
    matrix: Vector  # (3, 3) intrinsics [px]
    distortion: Vector  # (5,) Brown-Conrady k1 k2 p1 p2 k3
    parent: Parent  # external cameras stand in the base, wrist cameras in the flange
    parent_from_camera: Pose  # optical frame: x right, y down, z forward
    covariance: Vector  # (6, 6) of that pose: [m^2], [rad^2]
    latency: float  # [s] from exposure to arrival
    calibrated_on: str  # ISO date
    held_out_millimetres: float  # error on poses that were not used, [mm]
    held_out_pixels: float  # the same in the picture, [px]
    schema_version: int = CALIBRATION_SCHEMA_VERSION

    def __post_init__(self) -> None:
        for name in ("matrix", "distortion", "covariance"):
            object.__setattr__(self, name, read_only(getattr(self, name)))
        problems = _problems(self)
        if problems:
            raise CalibrationError(f"calibration of camera {self.camera!r}: " + "; ".join(problems))

    @property
    def digest(self) -> str:
        return digest(as_document(self))


def _problems(calibration: CameraCalibration) -> list[str]:
    problems: list[str] = []
    if calibration.schema_version != CALIBRATION_SCHEMA_VERSION:
        problems.append(
            f"schema_version is {calibration.schema_version}, this program reads {CALIBRATION_SCHEMA_VERSION}"
        )
    for name, shape in (("matrix", (3, 3)), ("distortion", (5,)), ("covariance", (6, 6))):
        array = getattr(calibration, name)
        if array.shape != shape or not np.isfinite(array).all():
            problems.append(f"{name} has shape {array.shape}, expected {shape} finite numbers")
    if calibration.parent not in get_args(Parent):
        problems.append(f"parent is {calibration.parent!r}, accepted are base, flange")
    if not (calibration.width > 0 and calibration.height > 0):
        problems.append(f"size is {calibration.width}x{calibration.height} px, expected positive")
    if not calibration.parent_from_camera.is_finite():
        problems.append("parent_from_camera is not finite")
    for name in ("latency", "held_out_millimetres", "held_out_pixels"):
        if not 0.0 <= getattr(calibration, name) < float("inf"):
            problems.append(f"{name} is {getattr(calibration, name)!r}, expected zero or more")
    return problems


def save_calibration(path: Path, calibration: CameraCalibration) -> None:
    path.write_text(canonical(as_document(calibration)) + "\n")


def load_calibration(path: Path) -> CameraCalibration:
    try:
        document: Any = json.loads(path.read_text())
    except OSError as error:
        raise CalibrationError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise CalibrationError(f"{path}: is not JSON: {error}") from error
    expected = set(CameraCalibration.__dataclass_fields__)
    if not isinstance(document, dict) or set(document) != expected:
        found = set(document) if isinstance(document, dict) else set()
        raise CalibrationError(
            f"{path}: missing {sorted(expected - found)}, unknown {sorted(found - expected)};"
            f" expected exactly {sorted(expected)}"
        )
    try:
        pose = document.pop("parent_from_camera")
        return CameraCalibration(
            **document,
            parent_from_camera=Pose(position=pose["position"], quaternion=pose["quaternion"]),
        )
    except (TypeError, KeyError) as error:
        raise CalibrationError(f"{path}: {error}") from error
