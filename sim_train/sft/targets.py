"""What the training-only heads are to say: where the named object and its receptacle are.

B batch, C cameras, N patches of one camera, M marks (2).
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

POSITIONS = 5  # the named object's x, y, z and the receptacle's x, y


def heat_map_targets(pixels_BCM2: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """(B, M, C * N) distributions over the patches, and (B, M) whether the mark is in any picture.

    A mark's weight is shared by the four patches whose centres are around it, and equally by the cameras that
    see it.
    """
    B, C, M, _ = pixels_BCM2.shape
    seen_BCM = ((pixels_BCM2 >= 0.0) & (pixels_BCM2 <= 1.0)).all(dim=-1)  # NaN is not
    at = torch.where(seen_BCM[..., None], pixels_BCM2, 0.0) * side - 0.5
    low = at.floor()
    fraction = at - low
    target = at.new_zeros(B, C, M, side * side)
    for right in (0, 1):
        for below in (0, 1):
            column = (low[..., 0].long() + right).clamp(0, side - 1)
            row = (low[..., 1].long() + below).clamp(0, side - 1)
            x = fraction[..., 0] if right else 1.0 - fraction[..., 0]
            y = fraction[..., 1] if below else 1.0 - fraction[..., 1]
            target.scatter_add_(3, (row * side + column)[..., None], (x * y * seen_BCM)[..., None])
    count = seen_BCM.sum(dim=1)
    shared = target / count.clamp(min=1)[:, None, :, None]
    return shared.permute(0, 2, 1, 3).reshape(B, M, C * side * side), count > 0


def position_numbers(marks_N23: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """(N, 5) [m] in the base frame: where things are, not how far from the hand, for a picture shows that."""
    return np.concatenate([marks_N23[:, 0], marks_N23[:, 1, :2]], axis=1).astype(np.float64)


def position_bounds(marks_N23: npt.NDArray[np.floating]) -> tuple[list[float], list[float]]:
    """Between which the five numbers lie, at least 2 cm apart; 0..1 where nothing is known."""
    numbers = position_numbers(marks_N23)
    known = np.isfinite(numbers)
    low = np.where(known, numbers, np.inf).min(axis=0)
    high = np.where(known, numbers, -np.inf).max(axis=0)
    empty = ~known.any(axis=0)
    low, high = np.where(empty, 0.0, low), np.where(empty, 1.0, high)
    return low.tolist(), np.maximum(high, low + 0.02).tolist()
