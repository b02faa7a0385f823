"""Vision transformers with timm's parameter names, in the DINOv2-reg4 and SigLIP shapes and in a small one.

A tower is read after its last live block, without the final norm, and without its prefix tokens.
GELU is the exact one. Weights that published checkpoints carry and nothing reads exist but never run.

B images, P prefix tokens, N patches, T = P + N tokens, V tower width, D language width,
H heads, E head width.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from policy_server.model.config import TowerConfig
from policy_server.model.film import FilmedBlock
from policy_server.model.positions import sine_cosine_2d

NORM_EPS = 1e-6


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x_BTV: Tensor) -> Tensor:
        B, T, V = x_BTV.shape
        q_BHTE, k_BHTE, v_BHTE = (
            self.qkv(x_BTV).view(B, T, 3, self.heads, V // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        )
        out_BHTE = F.scaled_dot_product_attention(q_BHTE, k_BHTE, v_BHTE)
        return self.proj(out_BHTE.transpose(1, 2).reshape(B, T, V))


class Mlp(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x_BTV: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x_BTV)))  # exact: SigLIP in other libraries has the tanh form


class LayerScale(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale_factor = nn.Parameter(torch.full((width,), 1e-5))

    def forward(self, x_BTV: Tensor) -> Tensor:
        return x_BTV * self.scale_factor


class Block(nn.Module):
    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width, eps=NORM_EPS)
        self.attn = Attention(config.width, config.heads)
        self.ls1 = LayerScale(config.width) if config.layer_scale else nn.Identity()
        self.norm2 = nn.LayerNorm(config.width, eps=NORM_EPS)
        self.mlp = Mlp(config.width, config.mlp_width)
        self.ls2 = LayerScale(config.width) if config.layer_scale else nn.Identity()

    def attend(self, x_BTV: Tensor) -> Tensor:
        return x_BTV + self.ls1(self.attn(self.norm1(x_BTV)))

    def transform(self, x_BTV: Tensor) -> Tensor:
        return x_BTV + self.ls2(self.mlp(self.norm2(x_BTV)))

    def forward(self, x_BTV: Tensor) -> Tensor:
        return self.transform(self.attend(x_BTV))


class PatchEmbed(nn.Module):
    """One convolution over each patch, or a conv stem: 5x5/3, 3x3/2, 3x3/2."""

    def __init__(self, config: TowerConfig, patch_size: int) -> None:
        super().__init__()
        V = config.width
        if config.stem == "patch":
            self.proj = nn.Conv2d(3, V, patch_size, stride=patch_size)
        else:
            self.proj = nn.Sequential(
                nn.Conv2d(3, V // 4, 5, stride=3, padding=1),
                nn.GELU(),
                nn.Conv2d(V // 4, V // 2, 3, stride=2, padding=1),
                nn.GELU(),
                nn.Conv2d(V // 2, V, 3, stride=2, padding=1),
            )

    def forward(self, pixels_B3HW: Tensor) -> Tensor:
        if pixels_B3HW.is_cpu and not torch.is_grad_enabled():
            # On a CPU the algorithm of a convolution depends on the batch size, and with it the last bit;
            # image by image costs little there, and a robot's answer does not depend on its neighbours.
            # A pass that is differentiated answers no robot, and is a quarter faster whole.
            grid_BVhw = torch.cat([self.proj(one) for one in pixels_B3HW.split(1)])
        else:
            grid_BVhw = self.proj(pixels_B3HW)
        return grid_BVhw.flatten(2).transpose(1, 2)


class AttentionPool(nn.Module):
    """SigLIP's pooling head: its weights are in the checkpoints, its output in nothing."""

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        V = config.width
        self.latent = nn.Parameter(torch.zeros(1, 1, V))
        self.q = nn.Linear(V, V)
        self.kv = nn.Linear(V, 2 * V)
        self.proj = nn.Linear(V, V)
        self.norm = nn.LayerNorm(V, eps=NORM_EPS)
        self.mlp = Mlp(V, config.mlp_width)


class Tower(nn.Module):
    def __init__(
        self, config: TowerConfig, *, image_size: int, patch_size: int, film_from: int | None
    ) -> None:
        super().__init__()
        self.config = config
        side = image_size // patch_size
        V = config.width
        self.patch_embed = PatchEmbed(config, patch_size)
        if config.class_token:
            self.cls_token = nn.Parameter(torch.randn(1, 1, V) * 0.02)
        if config.registers:
            self.reg_token = nn.Parameter(torch.randn(1, config.registers, V) * 0.02)
        if config.positions == "sine_cosine":
            self.pos_embed = nn.Parameter(0.5 * sine_cosine_2d(side, V)[None])
        else:
            self.pos_embed = nn.Parameter(torch.randn(1, side * side, V) * 0.02)
        blocks = [Block(config) for _ in range(config.depth)]
        self.blocks = nn.ModuleList(
            blocks if film_from is None else [FilmedBlock(block, film_from, V) for block in blocks]
        )
        if config.final_norm:
            self.norm = nn.LayerNorm(V, eps=NORM_EPS)
        if config.attention_pool:
            self.attn_pool = AttentionPool(config)

    def forward(self, pixels_B3HW: Tensor, film_BD: Tensor | None = None) -> Tensor:
        """Return the patch features (B, N, V)."""
        x_BTV = self.patch_embed(pixels_B3HW) + self.pos_embed
        prefix = []
        if self.config.class_token:
            prefix.append(self.cls_token)
        if self.config.registers:
            prefix.append(self.reg_token)
        if prefix:
            x_BTV = torch.cat([*(token.expand(len(x_BTV), -1, -1) for token in prefix), x_BTV], dim=1)
        for block in self.blocks[: self.config.live_blocks]:
            x_BTV = block(x_BTV) if film_BD is None else block(x_BTV, film_BD)
        return x_BTV[:, self.config.prefix_tokens :]


class VisionBackbone(nn.Module):
    """All cameras through one or two towers, patches side by side, tower features joined per patch."""

    def __init__(
        self, towers: tuple[TowerConfig, ...], *, image_size: int, patch_size: int, film_from: int | None
    ) -> None:
        super().__init__()
        built = [
            Tower(tower, image_size=image_size, patch_size=patch_size, film_from=film_from)
            for tower in towers
        ]
        self.featurizer = built[0]
        if len(built) == 2:
            self.fused_featurizer = built[1]

    def towers(self) -> list[Tower]:
        return [self.featurizer, *([self.fused_featurizer] if hasattr(self, "fused_featurizer") else [])]

    def forward(self, pixels_BCIHW: Tensor, film_BD: Tensor | None = None) -> Tensor:
        """Return (B, cameras * N, sum of tower widths); `film_BD` is the mean text embedding."""
        B, C = pixels_BCIHW.shape[:2]
        images = pixels_BCIHW.flatten(0, 1)
        film = None if film_BD is None else film_BD.repeat_interleave(C, dim=0)
        features = [tower(images[:, 3 * i : 3 * i + 3], film) for i, tower in enumerate(self.towers())]
        return torch.cat(features, dim=-1).view(B, -1, sum(f.shape[-1] for f in features))
