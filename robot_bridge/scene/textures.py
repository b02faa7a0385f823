"""Procedural textures as arrays, the same for the twin, for ManiSkill and for image mixing.

A texture is a pattern (a grey field in 0..1, tileable) between two colours. Nothing is read from disk, and
the same name, size and seed give the same bytes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from robot_bridge.scene.patterns import (
    bands,
    bricks,
    brushed,
    checker,
    cloth,
    crackle,
    dots,
    felt,
    granite,
    marble,
    noise,
    parquet,
    pleats,
    stripes,
    tiles,
    wicker,
    wood,
)
from robot_contract.errors import SceneError, nearest_name

Picture = npt.NDArray[np.uint8]  # (height, width, 3), RGB
Field = npt.NDArray[np.float64]  # (size, size), 0..1


@dataclass(frozen=True, kw_only=True)
class Texture:
    pattern: Callable[[int, int, np.random.Generator], Field]
    cells: int  # repeats of the pattern's feature along a side
    low: tuple[int, int, int]  # colour where the field is 0
    high: tuple[int, int, int]  # colour where it is 1


def _texture(
    pattern: Callable[[int, int, np.random.Generator], Field], cells: int, low: str, high: str
) -> Texture:
    dark, light = bytes.fromhex(low), bytes.fromhex(high)
    return Texture(
        pattern=pattern, cells=cells, low=(dark[0], dark[1], dark[2]), high=(light[0], light[1], light[2])
    )


_SEEN_TABLES = {
    "oak": _texture(wood, 6, "a9793f", "d9ae72"),
    "walnut": _texture(wood, 7, "4a2f1b", "7d5534"),
    "pine": _texture(wood, 5, "d3a866", "f0d6a2"),
    "parquet": _texture(parquet, 4, "8a5a2e", "c08c52"),
    "linen": _texture(cloth, 48, "c9bfa8", "ece5d4"),
    "blue_cloth": _texture(cloth, 40, "3b4f74", "5f769f"),
    "grey_felt": _texture(felt, 32, "6b6e72", "8b8e93"),
    "green_felt": _texture(felt, 32, "2f6344", "43805b"),
    "white_marble": _texture(marble, 4, "b9bcc2", "f3f3f1"),
    "grey_granite": _texture(granite, 48, "55585c", "a9abad"),
    "white_laminate": _texture(noise, 6, "dcdcd8", "efefec"),
    "grey_laminate": _texture(noise, 6, "85888c", "9b9ea2"),
    "beige_tiles": _texture(tiles, 5, "a1937c", "ddd0b8"),
    "black_rubber": _texture(noise, 40, "26282b", "3c3f43"),
    "concrete": _texture(noise, 10, "8d8c88", "b4b3ae"),
    "steel": _texture(brushed, 64, "979da3", "c2c7cc"),
}
_UNSEEN_TABLES = {
    "red_checker": _texture(checker, 8, "b23a3a", "f0e9e0"),
    "blue_stripes": _texture(stripes, 10, "2d5b9a", "e5e9ef"),
    "terracotta_bricks": _texture(bricks, 6, "c9b8a4", "a4573c"),
    "green_marble": _texture(marble, 5, "1d4a3a", "7fae93"),
    "polka_dots": _texture(dots, 8, "f1c6cf", "8f3d5a"),
    "cracked_earth": _texture(crackle, 7, "5b452f", "b79a72"),
    "purple_cloth": _texture(cloth, 36, "4b2f63", "7d5a99"),
    "chessboard": _texture(checker, 6, "202020", "d8d2c4"),
}
_OBJECT_TEXTURES = {  # near white where a part's own colour shall show
    "speckle": _texture(noise, 24, "d8d2c6", "ffffff"),
    "pores": _texture(granite, 28, "c9b58c", "ffffff"),
    "felt": _texture(felt, 24, "cfd3cf", "ffffff"),
    "grain": _texture(wood, 4, "dccfc4", "ffffff"),
    "brushed": _texture(brushed, 48, "d5dade", "ffffff"),
    "wicker": _texture(wicker, 10, "7d5128", "cf9d5e"),
    "pleats": _texture(pleats, 16, "b9772e", "e8b56a"),
    "soup_label": _texture(bands, 2, "f5f1e6", "c21f26"),
    "milk_label": _texture(bands, 2, "f7f9fb", "3f7fd0"),
    "juice_label": _texture(bands, 2, "f39a1f", "fff3d6"),
    "butter_label": _texture(bands, 2, "f7e08a", "2f67b0"),
    "tea_label": _texture(bands, 2, "2c7a4b", "f3e7c2"),
    "yogurt_label": _texture(bands, 2, "f8f8f6", "3d8bd9"),
}

SEEN_TABLES = tuple(_SEEN_TABLES)
UNSEEN_TABLES = tuple(_UNSEEN_TABLES)
TEXTURES: dict[str, Texture] = {**_SEEN_TABLES, **_UNSEEN_TABLES, **_OBJECT_TEXTURES}


@lru_cache(maxsize=64)
def draw_texture(name: str, *, size: int = 256, seed: int = 0) -> Picture:
    """The named texture as a read-only picture of size x size."""
    if name not in TEXTURES:
        raise SceneError(f"no texture named {name!r}; {nearest_name(name, TEXTURES)}")
    texture = TEXTURES[name]
    field = texture.pattern(size, texture.cells, np.random.default_rng(seed))[..., None]
    low, high = np.array(texture.low, dtype=float), np.array(texture.high, dtype=float)
    picture = np.rint(low + (high - low) * np.clip(field, 0, 1)).astype(np.uint8)
    picture.setflags(write=False)
    return picture


def mix_texture(
    picture: Picture,
    name: str,
    strength: float,
    *,
    frame: int,
    seed: int,
    mask: npt.NDArray[np.bool_] | None = None,
) -> Picture:
    """Blend a texture over a picture, cut out and stretched anew for every frame.

    This is RL4VLA's moving disturbance: over the whole picture it is "image noise", with a mask of arm,
    objects and receptacles it is "dynamic texture".
    """
    rng = np.random.default_rng([seed, frame])
    source = draw_texture(name, seed=seed)
    height, width = picture.shape[:2]
    side = len(source) * rng.uniform(0.3, 0.9)  # of the cut-out, in texture pixels
    top, left = rng.uniform(0, len(source), 2)
    rows = (top + np.arange(height) * (side / height)).astype(int) % len(source)
    columns = (left + np.arange(width) * (side / width)).astype(int) % len(source)
    overlay = source[np.ix_(rows, columns)]
    weight = round(256 * strength)
    mixed = ((picture.astype(np.uint16) * (256 - weight) + overlay.astype(np.uint16) * weight) >> 8).astype(
        np.uint8
    )
    return mixed if mask is None else np.where(mask[..., None], mixed, picture)
