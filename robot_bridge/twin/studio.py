"""The twin as a spectator sees it: a third camera that no policy gets, beside the two that it does."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from robot_bridge.devices import Camera, Picture
from robot_bridge.twin.settings import CameraSettings, TwinSettings, looking_at

STUDIO = "studio"
SIZE = (960, 720)  # [px] of the spectator's picture
_INSET = (480, 360)  # [px] of each of the others, beside it
_EYE, _POINT = (1.36, -0.84, 0.86), (0.33, 0.015, 0.22)  # [m]


def with_studio(settings: TwinSettings, *, rate_hz: float, shadows: bool) -> TwinSettings:
    """The settings with a spectator's camera, free of noise and latency; the others at their insets' size."""
    studio = CameraSettings(
        mount="base",
        mount_from_camera=looking_at(_EYE, _POINT),
        width=SIZE[0],
        height=SIZE[1],
        vertical_field_of_view=0.66,
        frame_rate_hz=rate_hz,
        latency=0.0,
        latency_jitter=0.0,
        exposure_jitter=0.0,
        gain_drift=0.0,
        noise=0.0,
        shadows=shadows,
    )
    others = {
        name: replace(camera, width=_INSET[0], height=_INSET[1]) for name, camera in settings.cameras.items()
    }
    return replace(settings, cameras={**others, STUDIO: studio})


def panel(cameras: Mapping[str, Camera]) -> Picture | None:
    """The spectator's picture with the policy's two beside it; None before the first ones."""
    frames = {name: camera.latest() for name, camera in cameras.items()}
    pictures = {name: frame.picture for name, frame in frames.items() if frame is not None}
    if len(pictures) < len(frames):
        return None
    column = np.vstack([picture for name, picture in pictures.items() if name != STUDIO][:2])
    return np.ascontiguousarray(np.hstack([pictures[STUDIO], column]))


def shrink(picture: Picture, size: tuple[int, int]) -> Picture:
    """To `size` (width, height) by the mean of the pixels that fall together."""
    height, width = picture.shape[:2]
    rows = np.arange(size[1] + 1) * height // size[1]
    columns = np.arange(size[0] + 1) * width // size[0]
    sums = np.add.reduceat(picture.astype(np.uint32), rows[:-1], axis=0)
    sums = np.add.reduceat(sums, columns[:-1], axis=1)
    counts = np.diff(rows)[:, None] * np.diff(columns)
    return (sums / counts[..., None]).round().astype(np.uint8)
