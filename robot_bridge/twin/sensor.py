"""From a drawn picture to a camera's picture: gain and noise, from a bank of normals drawn once.

Fresh normals for a whole picture cost more than drawing it, so every picture takes a page of the bank at a
random shift.
"""

from functools import cache

import numpy as np
import numpy.typing as npt

from robot_bridge.devices import Picture

_PAGES = 4
_SCALE = 32  # grey levels to one unit of the bank: 1/32 level steps


@cache
def noise_bank(height: int, width: int, seed: int) -> npt.NDArray[np.int8]:
    """Pages of standard normals in 1/32, cut at almost four, read-only."""
    rng = np.random.default_rng([seed, height, width])
    normals = rng.standard_normal((_PAGES, height, width, 3), dtype=np.float32)
    bank = np.clip(np.rint(normals * _SCALE), -127, 127).astype(np.int8)
    bank.setflags(write=False)
    return bank


def expose(
    picture: Picture, *, gain: float, noise: float, bank: npt.NDArray[np.int8], rng: np.random.Generator
) -> Picture:
    """The picture with a brightness factor and noise of `noise` grey levels."""
    height, width = picture.shape[:2]
    page = bank[int(rng.integers(len(bank)))]
    down, across = int(rng.integers(height)), int(rng.integers(width))
    if gain == 1.0 and noise == 0.0:
        return np.ascontiguousarray(picture)
    # Fixed point with seven fractional bits: 255 * 128 fits into 16 bits without a sign.
    levels = picture.astype(np.int32)
    levels *= round(gain * 4096)
    amount = round(noise * 4096 / _SCALE)
    shifted = np.roll(page, (down, across), axis=(0, 1)) if noise else page
    levels += shifted.astype(np.int32) * amount
    levels += 2048
    levels >>= 12
    np.clip(levels, 0, 255, out=levels)
    return levels.astype(np.uint8)
