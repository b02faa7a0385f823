"""A linear layer for inputs of few rows per observation, whose result does not depend on the batch around it.

A matrix product of one to three rows uses another kernel, with another order of summation, than a taller one;
asked alone and asked in a batch, a robot would get answers that differ in the last bit. Here the rows of each
observation are a product of their own.

B batch, R rows of one observation, I in, O out.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FEW = 4  # rows: from here on the kernel is the same for any number


class RowLinear(nn.Linear):
    """Takes (B, I) or (B, R, I)."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - nn.Linear's name for it
        x_BRI = input[:, None] if input.ndim == 2 else input
        if x_BRI.shape[1] >= FEW:
            return F.linear(input, self.weight, self.bias)
        weight_BIO = self.weight.t().expand(len(x_BRI), -1, -1)
        if self.bias is None:
            out_BRO = torch.bmm(x_BRI, weight_BIO)
        else:
            out_BRO = torch.baddbmm(self.bias.view(1, 1, -1), x_BRI, weight_BIO)
        return out_BRO[:, 0] if input.ndim == 2 else out_BRO
