"""`calibrate`: read, check and compare camera calibration artefacts."""

import sys
from pathlib import Path

import numpy as np
import tyro

from robot_contract.calibration import CameraCalibration, load_calibration
from robot_contract.errors import CalibrationError


def describe(calibration: CameraCalibration) -> list[tuple[str, str]]:
    """Rows of a table about one artefact."""
    pose = calibration.parent_from_camera
    spread = np.sqrt(np.diag(calibration.covariance))
    return [
        ("camera", f"{calibration.camera} (serial {calibration.serial})"),
        ("picture", f"{calibration.width} x {calibration.height} px"),
        ("focal length", f"{calibration.matrix[0, 0]:.1f}, {calibration.matrix[1, 1]:.1f} px"),
        ("stands in", calibration.parent),
        ("position", "  ".join(f"{x:+.4f}" for x in pose.position) + " m"),
        ("rotation", "  ".join(f"{x:+.4f}" for x in pose.rotation_vector()) + " rad"),
        ("uncertainty", f"{1e3 * spread[:3].max():.2f} mm, {1e3 * spread[3:].max():.2f} mrad (one sigma)"),
        ("held out", f"{calibration.held_out_millimetres:.2f} mm, {calibration.held_out_pixels:.2f} px"),
        ("latency", f"{1e3 * calibration.latency:.0f} ms"),
        ("calibrated on", calibration.calibrated_on),
        ("digest", calibration.digest),
    ]


def show(files: tyro.conf.Positional[tuple[Path, ...]], /) -> None:
    """Print what calibration artefacts say, and refuse wrong ones.

    Args:
        files: Artefacts, as JSON files.
    """
    for path in files:
        rows = describe(load_calibration(path))
        width = max(len(name) for name, _ in rows)
        print(path)
        for name, value in rows:
            print(f"  {name:{width}}  {value}")


def main() -> None:
    try:
        tyro.extras.subcommand_cli_from_dict({"show": show}, prog="calibrate", description=__doc__)
    except CalibrationError as error:
        sys.exit(f"calibrate: {error}")


if __name__ == "__main__":
    main()
