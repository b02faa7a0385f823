"""Two-dimensional sine-cosine positions: where a patch is in the picture, half the width for each axis."""

import torch
from torch import Tensor


def sine_cosine_2d(side: int, width: int) -> Tensor:
    """Return (side * side, width) in -1..1, row by row; `width` is a multiple of 4."""
    frequencies = 1.0 / 10000.0 ** (torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    angles = torch.arange(side, dtype=torch.float64)[:, None] * frequencies
    axis = torch.cat([angles.sin(), angles.cos()], dim=1)
    rows = axis[:, None, :].expand(side, side, -1)
    columns = axis[None, :, :].expand(side, side, -1)
    return torch.cat([columns, rows], dim=-1).reshape(side * side, width).float()
