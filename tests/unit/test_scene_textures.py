"""Textures are drawn, not loaded: repeatable, tileable, and mixed into pictures in the given share."""

import numpy as np
import pytest

from robot_bridge.scene.textures import SEEN_TABLES, TEXTURES, UNSEEN_TABLES, draw_texture, mix_texture
from robot_contract.errors import SceneError


@pytest.mark.parametrize("name", TEXTURES)
def test_a_texture_is_a_repeatable_picture_with_contrast(name: str) -> None:
    picture = draw_texture(name, size=96)
    assert picture.shape == (96, 96, 3)
    assert picture.dtype == np.uint8
    assert np.array_equal(picture, draw_texture.__wrapped__(name, size=96))
    assert picture.std(axis=(0, 1)).max() > 1.5
    with pytest.raises(ValueError, match="read-only"):
        picture[0, 0, 0] = 1


def test_tables_of_training_and_of_testing_differ() -> None:
    assert len(SEEN_TABLES) == 16
    assert not set(SEEN_TABLES) & set(UNSEEN_TABLES)


def test_a_table_texture_has_no_seam() -> None:
    for name in ("oak", "white_marble", "concrete", "linen"):
        picture = draw_texture(name).astype(float)
        seam = np.abs(picture[:, 0] - picture[:, -1]).mean()
        inside = np.abs(np.diff(picture, axis=1)).mean(axis=(0, 2)).max()
        assert seam <= 1.5 * inside


def test_mixing_keeps_the_share_and_moves_with_the_frame() -> None:
    picture = np.full((60, 80, 3), 100, dtype=np.uint8)
    mixed = mix_texture(picture, "red_checker", 0.3, frame=0, seed=1)
    values = np.unique(draw_texture("red_checker", seed=1)).astype(float)
    assert mixed.min() >= np.floor(0.7 * 100 + 0.3 * values.min()) - 2
    assert mixed.max() <= np.ceil(0.7 * 100 + 0.3 * values.max()) + 2
    assert np.array_equal(mixed, mix_texture(picture, "red_checker", 0.3, frame=0, seed=1))
    assert not np.array_equal(mixed, mix_texture(picture, "red_checker", 0.3, frame=1, seed=1))
    assert np.array_equal(mix_texture(picture, "red_checker", 0.0, frame=0, seed=1), picture)


def test_a_mask_limits_the_mixing() -> None:
    picture = np.full((20, 20, 3), 100, dtype=np.uint8)
    mask = np.zeros((20, 20), dtype=bool)
    mask[:10] = True
    mixed = mix_texture(picture, "blue_stripes", 0.5, frame=0, seed=0, mask=mask)
    assert (mixed[10:] == 100).all()
    assert (mixed[:10] != 100).any()


def test_an_unknown_texture_gets_the_nearest_name() -> None:
    with pytest.raises(SceneError, match="did you mean 'walnut'"):
        draw_texture("wallnut")
