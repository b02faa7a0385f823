"""The same Llama with fewer and larger matrix products, and with nothing computed that no head reads.

Query, key and value are one product, gate and up another; the last layer computes queries, output and MLP for
the rows that are read alone. The parameters become views of the joined weights: no second copy, and weights
loaded into the policy later are seen here.

B batch, S sequence, R rows read, D width, H heads, E head width, M MLP width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.models.llama.modeling_llama import LlamaDecoderLayer

from policy_server.model.float8 import Float8Linear
from policy_server.model.language import LanguageModel
from policy_server.model.sequence import read_rows


class Product(Protocol):
    def __call__(self, x: Tensor) -> Tensor: ...
    def rows(self, start: int, end: int) -> Product: ...


class ExactLinear:
    """x -> x @ weight.T, and the same for some of the outputs."""

    def __init__(self, weight_OI: Tensor) -> None:
        self._weight_OI = weight_OI

    def rows(self, start: int, end: int) -> ExactLinear:
        return ExactLinear(self._weight_OI[start:end])

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self._weight_OI)


@dataclass(frozen=True, kw_only=True, eq=False)
class FusedLayer:
    attention_norm: Tensor  # (D,)
    query_key_value: Product
    output: Product
    mlp_norm: Tensor  # (D,)
    gate_up: Product
    down: Product


class FusedLlama:
    def __init__(self, language: LanguageModel, *, float8: bool = False) -> None:
        llama = language.model
        self.heads = llama.config.num_attention_heads
        self.eps = llama.config.rms_norm_eps
        self.rotary = llama.rotary_emb
        self.final_norm = llama.norm.weight
        self.layers = [_fuse_layer(cast(LlamaDecoderLayer, layer), float8=float8) for layer in llama.layers]
        D, last = llama.config.hidden_size, self.layers[-1]
        self.last_query = last.query_key_value.rows(0, D)
        self.last_key_value = last.query_key_value.rows(D, 3 * D)

    @torch.no_grad()
    def __call__(self, embeddings_BSD: Tensor, mask: Tensor, rows_BR: Tensor) -> Tensor:
        """Return the normed hidden states of the rows read (B, R, D); `mask` is (B, 1, 1, S)."""
        x_BSD = embeddings_BSD
        positions_1S = torch.arange(x_BSD.shape[1], device=x_BSD.device)[None]
        turn_1S = self.rotary(x_BSD, positions_1S)
        for layer in self.layers[:-1]:
            x_BSD = self._layer(layer, x_BSD, mask, turn_1S)
        x_BRD = self._last_layer(self.layers[-1], x_BSD, mask, turn_1S, rows_BR)
        return rms_norm(x_BRD, self.final_norm, self.eps)

    def _layer(
        self, layer: FusedLayer, x_BSD: Tensor, mask: Tensor, turn_1S: tuple[Tensor, Tensor]
    ) -> Tensor:
        normed = rms_norm(x_BSD, layer.attention_norm, self.eps)
        q, k, v = layer.query_key_value(normed).chunk(3, dim=-1)
        attended = self._attend(self._turn(q, turn_1S), self._turn(k, turn_1S), self._split(v), mask)
        return self._finish(layer, x_BSD, attended)

    def _last_layer(
        self,
        layer: FusedLayer,
        x_BSD: Tensor,
        mask: Tensor,
        turn_1S: tuple[Tensor, Tensor],
        rows_BR: Tensor,
    ) -> Tensor:
        normed = rms_norm(x_BSD, layer.attention_norm, self.eps)
        k, v = self.last_key_value(normed).chunk(2, dim=-1)
        q = self.last_query(read_rows(normed, rows_BR))
        turn_BR = (turn_1S[0][0][rows_BR], turn_1S[1][0][rows_BR])
        attended = self._attend(self._turn(q, turn_BR), self._turn(k, turn_1S), self._split(v), mask)
        return self._finish(layer, read_rows(x_BSD, rows_BR), attended)

    def _finish(self, layer: FusedLayer, x: Tensor, attended: Tensor) -> Tensor:
        x = x + layer.output(attended)
        gate, up = layer.gate_up(rms_norm(x, layer.mlp_norm, self.eps)).chunk(2, dim=-1)
        return x + layer.down(F.silu(gate) * up)

    def _attend(self, q_BHSE: Tensor, k_BHSE: Tensor, v_BHSE: Tensor, mask: Tensor) -> Tensor:
        out_BHSE = F.scaled_dot_product_attention(q_BHSE, k_BHSE, v_BHSE, attn_mask=mask)
        return out_BHSE.transpose(1, 2).flatten(2)

    def _split(self, x_BSD: Tensor) -> Tensor:
        """Return (B, H, S, E)."""
        return x_BSD.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def _turn(self, x_BSD: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        """Return the heads (B, H, S, E) with rotary positions applied."""
        x_BHSE = self._split(x_BSD)
        cos, sin = turn[0][:, None], turn[1][:, None]
        first, second = x_BHSE.chunk(2, dim=-1)
        return x_BHSE * cos + torch.cat([-second, first], dim=-1) * sin


def rms_norm(x: Tensor, weight_D: Tensor, eps: float) -> Tensor:
    """As transformers computes it: the mean square in float32, rounded before the weight."""
    wide = x.float()
    return weight_D * (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps)).to(x.dtype)


def _fuse_layer(layer: LlamaDecoderLayer, *, float8: bool) -> FusedLayer:
    attention, mlp = layer.self_attn, layer.mlp
    qkv = join_weights([attention.q_proj, attention.k_proj, attention.v_proj])
    gate_up = join_weights([mlp.gate_proj, mlp.up_proj])
    product = Float8Linear.of if float8 else ExactLinear
    return FusedLayer(
        attention_norm=layer.input_layernorm.weight,
        query_key_value=product(qkv),
        output=product(attention.o_proj.weight),
        mlp_norm=layer.post_attention_layernorm.weight,
        gate_up=product(gate_up),
        down=product(mlp.down_proj.weight),
    )


@torch.no_grad()
def join_weights(linears: list[nn.Linear]) -> Tensor:
    """Return the weights stacked by output, each layer's own parameter now a view of its part."""
    joined_OI = torch.cat([linear.weight for linear in linears])
    start = 0
    for linear in linears:
        end = start + linear.out_features
        linear.weight.data = joined_OI[start:end]
        start = end
    return joined_OI
