"""The section `franka` of a rig: thresholds, load, gains, the hand's force, who opens the brakes.

Every key stands in the file. Ceilings are what was tried or what the maker allows, whichever is less.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robot_bridge.scene.lined_yaml import Field

SEVEN = tuple[float, ...]
_MOST_TORQUE = (87.0, 87.0, 87.0, 87.0, 12.0, 12.0, 12.0)  # [Nm] what the joints have


@dataclass(frozen=True, kw_only=True)
class CollisionThresholds:
    """Above these the arm stops by itself, with a reflex."""

    torque: SEVEN  # (7,) [Nm] external, per joint
    force: SEVEN  # (6,) [N, Nm] external, base frame


@dataclass(frozen=True, kw_only=True)
class Load:
    """What the arm carries beyond the tool that is set in Desk: a camera, a bracket."""

    mass: float  # [kg]
    center_of_mass: SEVEN  # (3,) [m] flange frame
    inertia: SEVEN  # (3,) [kg m^2] about that centre, along the flange's axes


@dataclass(frozen=True, kw_only=True)
class Stiffness:
    translation: float  # [N/m] at the tool centre point
    rotation: float  # [Nm/rad]
    posture: float  # [Nm/rad] of every joint, towards the posture that the safety filter judged


@dataclass(frozen=True, kw_only=True)
class HandSettings:
    speed: float  # [m/s] of the width
    force: float  # [N] of a grasp
    grasp_below: float  # [m] a command to close to less than this is a grasp, any other one a plain move


@dataclass(frozen=True, kw_only=True)
class DeskSettings:
    """Desk, the arm's own web page, asked at the start to open the brakes and to activate the FCI."""

    user: str
    password_file: Path
    unlock_brakes: bool
    activate_fci: bool


@dataclass(frozen=True, kw_only=True)
class TwinPictures:
    """The digital twin follows the arm and draws its cameras: for the simulated control interface only."""

    split: str
    seed: int


@dataclass(frozen=True, kw_only=True)
class FrankaSettings:
    collision: CollisionThresholds
    load: Load
    stiffness: Stiffness
    hand: HandSettings
    recoveries: int  # of reflexes by a person's CLEAR, until the bridge is started anew
    success_rate: float  # of control packets; below it for half a second the arm is stopped
    desk: DeskSettings | None = None
    twin_pictures: TwinPictures | None = None


def read_franka_settings(field: Field, folder: Path) -> FrankaSettings:
    f = field.mapping(
        ["collision", "load", "stiffness", "hand", "recoveries", "success_rate"], ["desk", "twin_pictures"]
    )
    recoveries = f["recoveries"].number(0, 100)
    if recoveries != int(recoveries):
        f["recoveries"].refuse(f"expected a whole number, found {recoveries:g}")
    return FrankaSettings(
        collision=_collision(f["collision"]),
        load=_load(f["load"]),
        stiffness=_stiffness(f["stiffness"]),
        hand=_hand(f["hand"]),
        recoveries=int(recoveries),
        success_rate=f["success_rate"].number(0.5, 1.0),
        desk=_desk(f["desk"], folder) if "desk" in f else None,
        twin_pictures=_twin_pictures(f["twin_pictures"]) if "twin_pictures" in f else None,
    )


def _collision(field: Field) -> CollisionThresholds:
    f = field.mapping(["torque", "force"])
    torque = f["torque"].numbers(7, 1.0, 87.0)
    for joint, (value, most) in enumerate(zip(torque, _MOST_TORQUE, strict=True), 1):
        if not value <= most:
            f["torque"].refuse(f"joint {joint}: {value:g} Nm; the joint itself has {most:g} Nm")
    return CollisionThresholds(torque=torque, force=f["force"].numbers(6, 1.0, 60.0))


def _load(field: Field) -> Load:
    f = field.mapping(["mass", "center_of_mass", "inertia"])
    return Load(
        mass=f["mass"].number(0.0, 3.0),
        center_of_mass=f["center_of_mass"].numbers(3, -0.5, 0.5),
        inertia=f["inertia"].numbers(3, 0.0, 1.0),
    )


def _stiffness(field: Field) -> Stiffness:
    f = field.mapping(["translation", "rotation", "posture"])
    return Stiffness(
        translation=f["translation"].number(50.0, 2000.0),
        rotation=f["rotation"].number(5.0, 150.0),
        posture=f["posture"].number(1.0, 60.0),
    )


def _hand(field: Field) -> HandSettings:
    f = field.mapping(["speed", "force", "grasp_below"])
    return HandSettings(
        speed=f["speed"].number(0.01, 0.1),
        force=f["force"].number(1.0, 70.0),
        grasp_below=f["grasp_below"].number(0.002, 0.03),
    )


def _desk(field: Field, folder: Path) -> DeskSettings:
    f = field.mapping(["user", "password_file", "unlock_brakes", "activate_fci"])
    return DeskSettings(
        user=f["user"].word(),
        password_file=folder / Path(f["password_file"].word()).expanduser(),
        unlock_brakes=f["unlock_brakes"].flag(),
        activate_fci=f["activate_fci"].flag(),
    )


def _twin_pictures(field: Field) -> TwinPictures:
    f = field.mapping(["split", "seed"])
    return TwinPictures(split=f["split"].word(), seed=int(f["seed"].number(0, 2**53)))


def inertia_matrix(load: Load) -> list[float]:
    """(9,) column-major, as the control interface takes it."""
    return np.diag(load.inertia).reshape(-1).tolist()
