"""Colour, brightness, contrast and, where the policy crops, a random crop: on pictures as they are served.

Everything is drawn from the run's seed and the step, for the whole batch at once, so that a resumed run and
a run on several GPUs see the same pictures. There is no shift without a crop: a shift with unchanged labels
is an error in metres. B pictures.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sim_train.sft.recipe import Augmentation

_GREY = (0.299, 0.587, 0.114)
_YIQ = ((0.299, 0.587, 0.114), (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))


@dataclass(frozen=True, kw_only=True, eq=False)
class Draw:
    """How each picture of a batch is changed."""

    colours: Tensor  # (B, 3, 3) from the old red, green, blue to the new
    contrast: Tensor  # (B,)
    brightness: Tensor  # (B,)
    corner: Tensor  # (B, 2) x and y of the crop's corner, as a fraction of the room that the crop leaves

    def __getitem__(self, rows: slice) -> "Draw":
        return Draw(
            colours=self.colours[rows],
            contrast=self.contrast[rows],
            brightness=self.brightness[rows],
            corner=self.corner[rows],
        )


def draw(augmentation: Augmentation, count: int, *, seed: int, step: int, camera: int) -> Draw:
    rng = np.random.default_rng([seed, 0xA06, step, camera])
    unit = torch.from_numpy(rng.uniform(-1.0, 1.0, (count, 7)))
    gains = 1.0 + augmentation.tint * unit[:, :3]
    saturation = 1.0 + augmentation.saturation * unit[:, 3]
    turn = 2.0 * math.pi * augmentation.hue * unit[:, 4]
    yiq = torch.tensor(_YIQ, dtype=torch.float64)
    chroma = torch.zeros(count, 3, 3, dtype=torch.float64)
    chroma[:, 0, 0] = 1.0
    chroma[:, 1, 1] = chroma[:, 2, 2] = saturation * turn.cos()
    chroma[:, 2, 1] = saturation * turn.sin()
    chroma[:, 1, 2] = -chroma[:, 2, 1]
    return Draw(
        colours=(gains[:, :, None] * (torch.linalg.inv(yiq) @ chroma @ yiq)).float(),
        contrast=(1.0 + augmentation.contrast * unit[:, 5]).float(),
        brightness=(augmentation.brightness * unit[:, 6]).float(),
        corner=torch.from_numpy(rng.uniform(0.0, 1.0, (count, 2)).astype(np.float32)),
    )


def centred(count: int) -> Draw:
    """No change, and the crop that serving takes."""
    return Draw(
        colours=torch.eye(3).expand(count, 3, 3),
        contrast=torch.ones(count),
        brightness=torch.zeros(count),
        corner=torch.full((count, 2), 0.5),
    )


def recoloured(pictures_BHWC: Tensor, drawn: Draw) -> Tensor:
    """uint8 in, uint8 out."""
    device = pictures_BHWC.device
    x_BPC = pictures_BHWC.flatten(1, 2).to(torch.float32)
    grey = torch.tensor(_GREY, device=device)
    mean_B11 = (x_BPC.mean(dim=1) @ grey)[:, None, None]
    contrast_B11, brightness_B11 = (x.to(device)[:, None, None] for x in (drawn.contrast, drawn.brightness))
    shift = mean_B11 * (1.0 - contrast_B11) + 255.0 * brightness_B11
    matrix = (drawn.colours.to(device) * contrast_B11).transpose(1, 2)
    changed = torch.baddbmm(shift.expand(-1, 1, 3), x_BPC, matrix)
    return changed.round_().clamp_(0, 255).to(torch.uint8).view_as(pictures_BHWC)


def cropped(pictures_BHWC: Tensor, drawn: Draw, area: float) -> Tensor:
    """A square of `area` of each picture, enlarged to the old size, bilinear, corners on corners."""
    if area == 1.0:
        return pictures_BHWC
    size, side = pictures_BHWC.shape[1], area**0.5
    device = pictures_BHWC.device
    steps = torch.linspace(0.0, 1.0, size, device=device)
    corner = drawn.corner.to(device) * (1.0 - side)
    x, y = (2.0 * (corner[:, i, None] + side * steps) - 1.0 for i in (0, 1))
    grid = torch.stack([x[:, None, :].expand(-1, size, -1), y[:, :, None].expand(-1, -1, size)], dim=-1)
    moved = F.grid_sample(
        pictures_BHWC.permute(0, 3, 1, 2).to(torch.float32), grid, mode="bilinear", align_corners=True
    )
    return moved.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def cropped_points(points_B22: Tensor, drawn: Draw, area: float) -> Tensor:
    """Where points (fractions 0..1, NaN where unknown) of a picture are after `cropped`."""
    if area == 1.0:
        return points_B22
    side = area**0.5
    return (points_B22 - drawn.corner[:, None, :] * (1.0 - side)) / side
