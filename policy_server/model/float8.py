"""Linear layers in 8-bit floats (e4m3): one scale per output row of the weight, one per row of the input.

The error is of the order of the format's 3 mantissa bits, so this is an option to be accepted by a success
rate measured in simulation, not by a bound on the outputs.

M rows, I inputs, O outputs.
"""

from __future__ import annotations

import torch
from torch import Tensor

FORMAT = torch.float8_e4m3fn
LARGEST = torch.finfo(FORMAT).max
SMALLEST_SCALE = 1e-12  # an all-zero row has no scale of its own


def quantise_rows(x_MI: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rows in 8 bits and the scale (M, 1) that gives them back."""
    wide = x_MI.float()
    scale_M1 = (wide.abs().amax(dim=-1, keepdim=True) / LARGEST).clamp_min(SMALLEST_SCALE)
    return (wide / scale_M1).clamp(-LARGEST, LARGEST).to(FORMAT), scale_M1


class Float8Linear:
    """x -> x @ weight.T with both factors in 8 bits, accumulated wide, answered in x's type."""

    def __init__(self, weight8_OI: Tensor, scale_O1: Tensor) -> None:
        self._weight8_OI = weight8_OI
        self._scale_O1 = scale_O1

    @staticmethod
    def of(weight_OI: Tensor) -> Float8Linear:
        return Float8Linear(*quantise_rows(weight_OI.detach()))

    def rows(self, start: int, end: int) -> Float8Linear:
        """The same layer with these outputs alone."""
        return Float8Linear(self._weight8_OI[start:end], self._scale_O1[start:end])

    def __call__(self, x: Tensor) -> Tensor:
        x8_MI, x_scale_M1 = quantise_rows(x.flatten(0, -2))
        out_MO = torch._scaled_mm(  # pyright: ignore[reportPrivateUsage] - it has no public name yet
            x8_MI,
            self._weight8_OI.t(),
            scale_a=x_scale_M1,
            scale_b=self._scale_O1.t(),
            out_dtype=torch.bfloat16,
        )
        return out_MO.to(x.dtype).view(*x.shape[:-1], -1)
