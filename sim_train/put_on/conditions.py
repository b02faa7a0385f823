"""What differs between a simulated cell and a real one, drawn anew for every episode.

`plain` is the twin's cell. `sim2real` spreads everything that a real cell does not hold still; its widths can
be sized from what was calibrated.
"""

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from robot_bridge.scene.scene import CameraOffset
from robot_contract.calibration import CameraCalibration
from robot_contract.errors import SceneError, nearest_name

Preset = Literal["plain", "sim2real"]
Range = tuple[float, float]

_SIGMAS = 3.0  # of a calibration's own uncertainty, at most


@dataclass(frozen=True, kw_only=True)
class Spread:
    """From where to where each thing is drawn, evenly."""

    delay_steps: tuple[int, int] = (0, 0)  # control steps between the picture and the first action of a chunk
    camera_age: Range = (0.0, 0.0)  # [s] of the picture when it is used
    stiffness: Range = (1.0, 1.0)  # factor of the arm's
    damping: Range = (1.0, 1.0)  # factor of the arm's; over stiffness it is the lag
    finger_speed: Range = (0.05, 0.05)  # [m/s] of each finger
    friction: Range = (1.0, 1.0)  # factor of every thing's
    mass: Range = (1.0, 1.0)  # factor of every thing's
    field_of_view: Range = (1.0, 1.0)  # factor
    camera_translation: float = 0.0  # [m] either way, per axis, on top of the scene's own
    camera_rotation: float = 0.0  # [rad] either way, per axis


SPREADS: dict[Preset, Spread] = {
    "plain": Spread(),
    "sim2real": Spread(
        delay_steps=(0, 3),
        camera_age=(0.0, 0.10),
        stiffness=(0.7, 1.4),
        damping=(0.8, 1.25),
        finger_speed=(0.03, 0.08),
        friction=(0.7, 1.3),
        mass=(0.7, 1.3),
        field_of_view=(0.97, 1.03),
        camera_translation=0.010,
        camera_rotation=0.015,
    ),
}


@dataclass(frozen=True, kw_only=True)
class Conditions:
    delay_steps: int
    camera_age: float
    stiffness: float
    damping: float
    finger_speed: float
    friction: float
    mass: float
    field_of_view: float
    camera: CameraOffset


def spread_named(name: str) -> Spread:
    if name not in get_args(Preset):
        raise SceneError(f"no conditions named {name!r}; {nearest_name(name, get_args(Preset))}")
    return SPREADS[name]


def sized_by(spread: Spread, calibration: CameraCalibration) -> Spread:
    """The camera's spread as wide as its calibration is uncertain, and its pictures as old as measured."""
    deviations = np.sqrt(np.diag(calibration.covariance))
    return replace(
        spread,
        camera_age=(0.5 * calibration.latency, 1.5 * calibration.latency),
        camera_translation=float(_SIGMAS * deviations[:3].max()),
        camera_rotation=float(_SIGMAS * deviations[3:].max()),
    )


def draw_conditions(spread: Spread, seed: int) -> Conditions:
    """The conditions of the episode with this seed; the same on every machine."""
    rng = np.random.default_rng([seed, 0xC0D1])
    x, y, z, a, b, c = rng.uniform(-1.0, 1.0, 6)
    shift, turn = spread.camera_translation, spread.camera_rotation
    return Conditions(
        delay_steps=int(rng.integers(spread.delay_steps[0], spread.delay_steps[1] + 1)),
        camera_age=float(rng.uniform(*spread.camera_age)),
        stiffness=float(rng.uniform(*spread.stiffness)),
        damping=float(rng.uniform(*spread.damping)),
        finger_speed=float(rng.uniform(*spread.finger_speed)),
        friction=float(rng.uniform(*spread.friction)),
        mass=float(rng.uniform(*spread.mass)),
        field_of_view=float(rng.uniform(*spread.field_of_view)),
        camera=CameraOffset(
            translation=(float(x * shift), float(y * shift), float(z * shift)),
            rotation=(float(a * turn), float(b * turn), float(c * turn)),
        ),
    )
