"""FiLM: the mean embedding of the instruction scales and shifts a vision block's features.

B images, T tokens, V tower width, D language width.
"""

from typing import Protocol

import torch
from torch import Tensor, nn

from policy_server.model.rows import RowLinear


class AttendThenTransform(Protocol):
    def attend(self, x_BTV: Tensor) -> Tensor: ...
    def transform(self, x_BTV: Tensor) -> Tensor: ...


class FilmedBlock(nn.Module):
    """Parameter names of OpenVLA-OFT+: `block.*`, `scale`, `shift`."""

    def __init__(self, block: nn.Module, language_width: int, vision_width: int) -> None:
        super().__init__()
        self.block = block
        self.scale = RowLinear(language_width, vision_width)
        self.shift = RowLinear(language_width, vision_width)

    def forward(self, x_BTV: Tensor, film_BD: Tensor) -> Tensor:
        block: AttendThenTransform = self.block  # pyright: ignore[reportAssignmentType]
        x_BTV = block.attend(x_BTV)
        x_BTV = x_BTV * (1 + self.scale(film_BD)[:, None]) + self.shift(film_BD)[:, None]
        return block.transform(x_BTV)


def mean_text_embedding(embeddings_BUD: Tensor, counted_BU: Tensor) -> Tensor:
    """Return the mean over the counted tokens only: pads and action slots have no part in it."""
    weights_BU1 = counted_BU.unsqueeze(-1).to(embeddings_BUD.dtype)
    # where, not multiplication alone: an uncounted slot may hold anything
    kept_BUD = torch.where(counted_BU.unsqueeze(-1), embeddings_BUD, embeddings_BUD.new_zeros(()))
    return kept_BUD.sum(dim=1) / weights_BU1.sum(dim=1)
