"""A linear layer for inputs of one row per observation, whose result does not depend on the batch around it.

A matrix product picks another kernel, with another order of summation, when it has a single row; asked alone
and asked in a batch, a robot would get answers that differ in the last bit. Here each row is its own product.

B batch, I in, O out.
"""

import torch
from torch import Tensor, nn


class RowLinear(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - nn.Linear's name for it
        weight_BIO = self.weight.t().expand(len(input), -1, -1)
        if self.bias is None:
            return torch.bmm(input[:, None], weight_BIO)[:, 0]
        return torch.baddbmm(self.bias.view(1, 1, -1), input[:, None], weight_BIO)[:, 0]
