"""Llama from transformers, reading embeddings, attending in both directions for OFT and causally for OpenVLA.

B batch, S sequence, D width.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from transformers.cache_utils import Cache
from transformers.models.llama.configuration_llama import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaModel

from policy_server.model.config import LanguageConfig, TokenIds


def llama_config(config: LanguageConfig, tokens: TokenIds, *, causal: bool) -> LlamaConfig:
    made = LlamaConfig(
        vocab_size=config.vocabulary_size,
        hidden_size=config.hidden_size,
        intermediate_size=config.mlp_width,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        num_key_value_heads=config.heads,
        max_position_embeddings=config.max_positions,
        rms_norm_eps=config.rms_norm_eps,
        rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
        bos_token_id=tokens.bos,
        eos_token_id=tokens.stop,
        pad_token_id=tokens.pad,
        attention_bias=False,
        attention_dropout=0.0,
        hidden_act="silu",
        tie_word_embeddings=False,
        use_cache=False,
    )
    made.is_causal = causal
    made._attn_implementation = "sdpa"  # pyright: ignore[reportPrivateUsage]
    return made


class LanguageModel(nn.Module):
    def __init__(self, config: LanguageConfig, tokens: TokenIds, *, causal: bool) -> None:
        super().__init__()
        self.model = LlamaModel(llama_config(config, tokens, causal=causal))
        if config.lm_head:
            self.lm_head = nn.Linear(config.hidden_size, config.vocabulary_size, bias=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> LanguageModel:
        """Every `.to(...)` comes through here: a change of precision must not reach the frequencies."""
        super()._apply(fn, recurse)
        self.restore_frequencies()
        return self

    def restore_frequencies(self) -> None:
        """Recompute the rotary frequencies in float32: no checkpoint holds them.

        Rounded to bfloat16 they would put a token at position 600 whole turns away.
        """
        rotary = self.model.rotary_emb
        device = self.model.embed_tokens.weight.device
        inv_freq, rotary.attention_scaling = rotary.compute_default_rope_parameters(rotary.config)
        rotary.register_buffer("inv_freq", inv_freq.to(device), persistent=False)
        rotary.register_buffer("original_inv_freq", inv_freq.clone().to(device), persistent=False)

    def embed(self, tokens: Tensor) -> Tensor:
        return self.model.embed_tokens(tokens)

    def forward(
        self,
        embeddings_BSD: Tensor,
        mask: Tensor,
        *,
        positions_BS: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        """Return the normed last hidden states; `mask` is 4-D bool and final, see sequence.attention_mask."""
        if positions_BS is None:
            positions_BS = torch.arange(embeddings_BSD.shape[1], device=embeddings_BSD.device)[None]
        return self.model(
            inputs_embeds=embeddings_BSD,
            attention_mask=mask,
            position_ids=positions_BS,
            past_key_values=cache,
            use_cache=cache is not None,
        ).last_hidden_state
