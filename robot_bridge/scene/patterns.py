"""Tileable grey patterns in 0..1, each a function of (side in pixels, cells along a side, generator)."""

import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float64]


def _grid(size: int) -> tuple[Field, Field]:
    """x and y in 0..1 at pixel centres."""
    line = (np.arange(size) + 0.5) / size
    x, y = np.meshgrid(line, line)
    return x, y


def _smooth_noise(size: int, cells_x: int, cells_y: int, rng: np.random.Generator) -> Field:
    """Random values on a grid, cosine-interpolated, wrapping round."""
    values = rng.random((cells_y, cells_x))

    def weights(cells: int) -> tuple[npt.NDArray[np.int_], Field]:
        at = np.arange(size) * cells / size
        low = at.astype(int)
        return low, (1 - np.cos(np.pi * (at - low))) / 2

    (left, across), (top, down) = weights(cells_x), weights(cells_y)
    right, bottom = (left + 1) % cells_x, (top + 1) % cells_y
    upper = values[np.ix_(top, left)] * (1 - across) + values[np.ix_(top, right)] * across
    lower = values[np.ix_(bottom, left)] * (1 - across) + values[np.ix_(bottom, right)] * across
    return upper * (1 - down[:, None]) + lower * down[:, None]


def _cloudy(size: int, cells: int, rng: np.random.Generator, octaves: int = 4) -> Field:
    total = np.zeros((size, size))
    for octave in range(octaves):
        fine = min(cells * 2**octave, size)
        total += _smooth_noise(size, fine, fine, rng) / 2**octave
    return (total - total.min()) / np.ptp(total)


def noise(size: int, cells: int, rng: np.random.Generator) -> Field:
    return _cloudy(size, cells, rng)


def granite(size: int, cells: int, rng: np.random.Generator) -> Field:
    return np.clip(1.2 * _cloudy(size, cells, rng, 2) - 0.6 * (_cloudy(size, cells, rng, 2) > 0.72), 0, 1)


def felt(size: int, cells: int, rng: np.random.Generator) -> Field:
    return 0.5 * _cloudy(size, cells, rng, 2) + 0.5 * rng.random((size, size))


def wood(size: int, cells: int, rng: np.random.Generator) -> Field:
    """Grain along x, bent by slow noise."""
    _, y = _grid(size)
    bend = _smooth_noise(size, 2, 3, rng)
    rings = 0.5 + 0.5 * np.sin(2 * np.pi * (cells * y + 1.6 * bend))
    fibres = _smooth_noise(size, 4, size // 3, rng)
    return 0.55 * rings + 0.30 * fibres + 0.15 * _smooth_noise(size, 2, 9, rng)


def parquet(size: int, cells: int, rng: np.random.Generator) -> Field:
    """Squares of five strips, turned in turn."""
    x, y = _grid(size)
    turned = ((np.floor(x * cells) + np.floor(y * cells)) % 2).astype(bool)
    grain = wood(size, 3 * cells, rng)
    along = np.where(turned, x, y) * cells * 5
    joint = (along % 1 < 0.08) | ((np.where(turned, y, x) * cells) % 1 < 0.02)
    shades = rng.random(64)[(np.floor(along).astype(int) * 7 + turned * 3) % 64]
    return np.where(joint, 0.0, 0.35 + 0.35 * np.where(turned, grain.T, grain) + 0.3 * shades)


def cloth(size: int, cells: int, rng: np.random.Generator) -> Field:
    x, y = _grid(size)
    weave = 0.5 + 0.25 * (np.sin(2 * np.pi * cells * x) + np.sin(2 * np.pi * cells * y))
    return 0.7 * weave + 0.3 * _cloudy(size, 8, rng, 2)


def marble(size: int, cells: int, rng: np.random.Generator) -> Field:
    x, y = _grid(size)
    veins = np.abs(np.sin(np.pi * (cells * (x + y) / 2 + 2.5 * _cloudy(size, 3, rng))))
    return veins**0.4


def checker(size: int, cells: int, rng: np.random.Generator) -> Field:
    x, y = _grid(size)
    return ((np.floor(x * cells) + np.floor(y * cells)) % 2) * 0.94 + 0.06 * rng.random((size, size))


def stripes(size: int, cells: int, rng: np.random.Generator) -> Field:
    x, _ = _grid(size)
    return (np.floor(x * cells) % 2) * 0.94 + 0.06 * rng.random((size, size))


def tiles(size: int, cells: int, rng: np.random.Generator) -> Field:
    x, y = _grid(size)
    joint = ((x * cells) % 1 < 0.04) | ((y * cells) % 1 < 0.04)
    shades = rng.random((cells, cells))[np.floor(y * cells).astype(int), np.floor(x * cells).astype(int)]
    return np.where(joint, 0.0, 0.65 + 0.2 * shades + 0.15 * _cloudy(size, 12, rng, 2))


def bricks(size: int, cells: int, rng: np.random.Generator) -> Field:
    x, y = _grid(size)
    row = np.floor(y * 2 * cells)
    along = x * cells + 0.5 * (row % 2)
    joint = (along % 1 < 0.06) | ((y * 2 * cells) % 1 < 0.12)
    shades = rng.random((2 * cells, cells))[row.astype(int), np.floor(along).astype(int) % cells]
    return np.where(joint, 0.0, 0.6 + 0.3 * shades + 0.1 * _cloudy(size, 16, rng, 2))


def dots(size: int, cells: int, rng: np.random.Generator) -> Field:
    x, y = _grid(size)
    off = np.hypot((x * cells) % 1 - 0.5, (y * cells) % 1 - 0.5)
    return np.clip((0.3 - off) * 20, 0, 1) * 0.95 + 0.05 * rng.random((size, size))


def crackle(size: int, cells: int, rng: np.random.Generator) -> Field:
    """Distance to the border between the nearest two of some random points, wrapping round."""
    x, y = _grid(size)
    nearest = np.full((size, size), np.inf)
    second = nearest.copy()
    for px, py in rng.random((cells * cells, 2)):
        dx, dy = np.abs(x - px), np.abs(y - py)
        distance = np.hypot(np.minimum(dx, 1 - dx), np.minimum(dy, 1 - dy))
        second = np.minimum(second, np.maximum(nearest, distance))
        nearest = np.minimum(nearest, distance)
    return np.clip((second - nearest) * cells * 6, 0, 1) * 0.8 + 0.2 * _cloudy(size, 12, rng, 2)


def brushed(size: int, cells: int, rng: np.random.Generator) -> Field:
    return 0.8 * _smooth_noise(size, 3, size // 2, rng) + 0.2 * _smooth_noise(size, 2, cells // 8, rng)


def wicker(size: int, cells: int, rng: np.random.Generator) -> Field:
    """Strands over and under, in both directions."""
    x, y = _grid(size)
    over = ((np.floor(x * cells) + np.floor(y * cells)) % 2).astype(bool)
    strand = np.where(over, np.sin(np.pi * ((y * cells) % 1)), np.sin(np.pi * ((x * cells) % 1)))
    return 0.85 * strand**0.7 + 0.15 * rng.random((size, size))


def pleats(size: int, cells: int, rng: np.random.Generator) -> Field:
    """Folds of a paper cup, upright along y."""
    x, _ = _grid(size)
    return 0.5 + 0.45 * np.sin(2 * np.pi * cells * x) + 0.05 * rng.random((size, size))


def bands(size: int, cells: int, rng: np.random.Generator) -> Field:
    """A printed label: a broad band, two thin ones, and lines that pass for writing."""
    x, y = _grid(size)
    broad = (y > 0.30) & (y < 0.72)
    thin = (np.abs(y - 0.22) < 0.02) | (np.abs(y - 0.80) < 0.02)
    inked = rng.random((7, 12 * cells)) < 0.72
    row = np.clip(np.floor((y - 0.36) / 0.30 * 7).astype(int), 0, 6)
    letters = inked[row, np.floor(x * 12 * cells).astype(int)] & (y > 0.36) & (y < 0.66) & (row % 2 == 0)
    margin = (x * cells) % 1
    return ((broad & ~(letters & (margin > 0.15) & (margin < 0.85))) | thin).astype(np.float64)
