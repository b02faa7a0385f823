"""Into the language model's space: patches through three layers, proprioception through two.

B batch, N patches, V vision width, R proprio numbers, D language width.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from policy_server.model.config import ModelConfig
from policy_server.model.positions import sine_cosine_2d
from policy_server.model.rows import RowLinear


class Projector(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        D = config.language.hidden_size
        self.fc1 = nn.Linear(config.vision_width, config.projector_width)
        self.fc2 = nn.Linear(config.projector_width, D)
        self.fc3 = nn.Linear(D, D)
        if config.positions_after_projector:
            # rotary positions and empty action slots carry no place in the picture; this does
            side = config.image_size // config.patch_size
            self.pos_embed = nn.Parameter(0.5 * sine_cosine_2d(side, D)[None])

    def forward(self, features_BNV: Tensor) -> Tensor:
        x_BND = self.fc3(F.gelu(self.fc2(F.gelu(self.fc1(features_BNV)))))
        if hasattr(self, "pos_embed"):
            cameras = x_BND.shape[1] // self.pos_embed.shape[1]
            x_BND = x_BND + torch.cat([self.pos_embed] * cameras, dim=1)
        return x_BND


class ProprioProjector(nn.Module):
    def __init__(self, proprio_size: int, hidden_size: int) -> None:
        super().__init__()
        self.fc1 = RowLinear(proprio_size, hidden_size)
        self.fc2 = RowLinear(hidden_size, hidden_size)

    def forward(self, proprio_BR: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(proprio_BR)))
