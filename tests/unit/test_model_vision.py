"""The vision towers equal timm's, and each known way to get them wrong is seen by the same comparison."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from policy_server.model import vision
from policy_server.model.config import TowerConfig
from policy_server.model.positions import sine_cosine_2d
from policy_server.model.presets import DINO_MEAN, DINO_STD, DINOV2_REG4, SIGLIP_SO400M
from policy_server.model.vision import Tower

GOLDEN = np.load(Path(__file__).parent / "golden" / "vision_towers.npz")
SMALL: dict[str, TowerConfig] = {
    "dino": replace(DINOV2_REG4, width=16, depth=3, live_blocks=2, heads=2, mlp_width=32),
    "siglip": replace(SIGLIP_SO400M, width=24, depth=3, live_blocks=2, heads=2, mlp_width=48),
}


def difference_from_timm(name: str, config: TowerConfig | None = None) -> float:
    tower = Tower(config or SMALL[name], image_size=12, patch_size=4, film_from=None)
    prefix = f"{name}/weights/"
    state = {
        key.removeprefix(prefix).replace(".gamma", ".scale_factor"): torch.from_numpy(GOLDEN[key])
        for key in GOLDEN
        if key.startswith(prefix)
    }
    tower.load_state_dict(state, strict=config is None)
    with torch.no_grad():
        features = tower(torch.from_numpy(GOLDEN["pixels"]))
    return float((features - torch.from_numpy(GOLDEN[f"{name}/features"])).abs().max())


@pytest.mark.parametrize("name", SMALL)
def test_a_tower_equals_timm(name: str):
    assert difference_from_timm(name) < 2e-5


@pytest.mark.parametrize("name", SMALL)
def test_the_last_block_must_not_run(name: str):
    assert difference_from_timm(name, replace(SMALL[name], live_blocks=3)) > 1e-2


@pytest.mark.parametrize("name", SMALL)
def test_gelu_must_be_exact(name: str, monkeypatch):
    def tanh_mlp(mlp, x):
        return mlp.fc2(F.gelu(mlp.fc1(x), approximate="tanh"))

    monkeypatch.setattr(vision.Mlp, "forward", tanh_mlp)
    assert difference_from_timm(name) > 1e-4


@pytest.mark.parametrize("name", SMALL)
def test_the_final_norm_must_not_run(name: str, monkeypatch):
    plain = Tower.forward
    monkeypatch.setattr(Tower, "forward", lambda tower, x, film=None: tower.norm(plain(tower, x, film)))
    assert difference_from_timm(name) > 1e-2


@pytest.mark.parametrize("name", SMALL)
def test_norm_epsilon_is_1e_minus_6(name: str):
    assert {
        module.eps
        for module in Tower(SMALL[name], image_size=12, patch_size=4, film_from=None).modules()
        if isinstance(module, torch.nn.LayerNorm)
    } == {1e-6}


def test_prefix_tokens_are_dropped():
    assert SMALL["dino"].prefix_tokens == 5
    assert GOLDEN["dino/features"].shape == (2, 9, 16)


def test_exact_gelu_is_pinned_by_value():
    mlp = vision.Mlp(1, 1)
    for linear in (mlp.fc1, mlp.fc2):
        torch.nn.init.ones_(linear.weight)
        torch.nn.init.zeros_(linear.bias)
    at_two = mlp(torch.full((1, 1, 1), 2.0)).item()
    assert at_two == pytest.approx(1.954499736, abs=1e-6)  # 2 * Phi(2); the tanh form gives 1.954597
    assert abs(float(F.gelu(torch.tensor(2.0), approximate="tanh")) - 1.954499736) > 5e-5


def test_pixel_statistics_are_those_rounded_through_bfloat16():
    def rounded(values: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(torch.tensor(values).bfloat16().double().tolist())

    imagenet_mean, imagenet_std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    assert rounded(imagenet_mean) == DINO_MEAN != imagenet_mean
    assert rounded(imagenet_std) == DINO_STD != imagenet_std
    assert (DINOV2_REG4.pixel_mean, DINOV2_REG4.pixel_std) == (DINO_MEAN, DINO_STD)
    assert SIGLIP_SO400M.pixel_mean == SIGLIP_SO400M.pixel_std == (0.5, 0.5, 0.5)


def test_sine_cosine_positions_tell_every_patch_apart():
    table = sine_cosine_2d(8, 96)
    assert table.shape == (64, 96)
    assert float(table.abs().max()) <= 1.0
    distances = torch.cdist(table, table) + 10 * torch.eye(64)
    nearest = distances.argmin(dim=1)
    rows, columns = torch.arange(64) // 8, torch.arange(64) % 8
    steps = (rows - rows[nearest]).abs() + (columns - columns[nearest]).abs()
    assert (steps == 1).all()  # the most alike patch is a neighbour
