"""From hidden states to actions, scales and values, with the parameter names of the published side files.

B batch, K chunk length, A action numbers, R = K * A rows read, D language width, V bins.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from policy_server.model.config import ModelConfig, TokenIds
from policy_server.model.rows import RowLinear


class ResidualBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.ffn = nn.Sequential(nn.LayerNorm(width), RowLinear(width, width), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return x + self.ffn(x)


class MlpResnet(nn.Module):
    """LayerNorm, Linear, ReLU, residual blocks, LayerNorm, Linear; nothing squashes the output."""

    def __init__(self, inputs: int, width: int, blocks: int, outputs: int) -> None:
        super().__init__()
        self.layer_norm1 = nn.LayerNorm(inputs)
        self.fc1 = RowLinear(inputs, width)
        self.mlp_resnet_blocks = nn.ModuleList(ResidualBlock(width) for _ in range(blocks))
        self.layer_norm2 = nn.LayerNorm(width)
        self.fc2 = RowLinear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.fc1(self.layer_norm1(x)))
        for block in self.mlp_resnet_blocks:
            x = block(x)
        return self.fc2(self.layer_norm2(x))


class ChunkHead(nn.Module):
    """One answer per time step, from the A hidden states of that step side by side."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.chunk_length = config.chunk_length
        inputs = config.action_size * config.language.hidden_size
        self.model = MlpResnet(inputs, config.head_width, config.head_blocks, config.action_size)

    def forward(self, rows_BRD: Tensor) -> Tensor:
        """Return (B, K, A)."""
        return self.model(rows_BRD.reshape(len(rows_BRD), self.chunk_length, -1))


class LaplaceScaleHead(ChunkHead):
    """The logarithm of the scale; it starts at -3 everywhere, about 0.05 in normalised action units."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.low, self.high = config.log_scale_range
        nn.init.zeros_(self.model.fc2.weight)
        nn.init.constant_(self.model.fc2.bias, -3.0)

    def forward(self, rows_BRD: Tensor) -> Tensor:
        return super().forward(rows_BRD).float().clamp(self.low, self.high)


class ValueHead(nn.Module):
    """What the return will be, one number per action of the chunk or one per chunk.

    It reads the hidden state before the first action, which has seen everything and stands for no action yet.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.detached = config.value_detached
        sizes = (config.language.hidden_size, *config.value_widths)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(sizes):
            layers += [RowLinear(inputs, outputs), nn.GELU()]
        last = RowLinear(sizes[-1], config.chunk_length if config.value == "action" else 1, bias=False)
        nn.init.normal_(last.weight, std=0.02)
        self.mlp = nn.Sequential(*layers, last)

    def forward(self, rows_BRD: Tensor) -> Tensor:
        """Return (B, K) or (B, 1), float32."""
        first_BD = rows_BRD[:, 0]
        return self.mlp(first_BD.detach() if self.detached else first_BD).float()


class AuxiliaryHeads(nn.Module):
    """Training only: where is the named thing? Maps over the patches, and numbers from the last token.

    Read at the projector's output, the maps make the vision towers look for what the instruction names, early
    enough for the language model to use it.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        D = config.language.hidden_size
        if config.heat_maps:
            self.heat_map = nn.Linear(D, config.heat_maps)
        if config.position_targets:
            self.position = RowLinear(D, config.position_targets)

    def heat_map_logits(self, patches_BND: Tensor) -> Tensor | None:
        """Return (B, maps, N): one softmax over all patches of all cameras for each map."""
        return self.heat_map(patches_BND).transpose(1, 2) if hasattr(self, "heat_map") else None

    def positions(self, last_BD: Tensor) -> Tensor | None:
        return self.position(last_BD) if hasattr(self, "position") else None


def bin_logits(rows_BRD: Tensor, lm_head: nn.Module, tokens: TokenIds) -> Tensor:
    """Return the logits of the action bins alone, (B, R, V)."""
    first = tokens.action_end - tokens.action_bins
    if isinstance(lm_head, nn.Linear):  # the other rows of the vocabulary need not be computed
        return F.linear(rows_BRD, lm_head.weight[first : tokens.action_end])
    return lm_head(rows_BRD)[..., first : tokens.action_end]
