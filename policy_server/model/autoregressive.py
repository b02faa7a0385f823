"""OpenVLA as published: one action token after the other, causal attention, a key-value cache.

Prompts of unequal length stay padded on the right while tokens are appended: the pads lie between, hidden by
the mask, and every token has the position that it would have had alone.

B batch, S prompt sequence, K tokens read so far, D width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache

from policy_server.model.decision import Decision
from policy_server.model.distributions import BinDistribution, bin_actions
from policy_server.model.heads import bin_logits
from policy_server.model.sequence import attention_mask, read_rows

if TYPE_CHECKING:
    from policy_server.model.model_input import ModelInput
    from policy_server.model.policy import OftPolicy


def generate(
    policy: OftPolicy,
    x: ModelInput,
    *,
    sample: bool,
    temperature: float,
    generator: torch.Generator | None,
) -> Decision:
    config = policy.config
    B = len(x)
    first_id = config.tokens.action_end - config.tokens.action_bins
    p = policy.prompted(x, slot_tokens_BK=x.tokens[:, :0])
    cache = DynamicCache(config=policy.language_model.model.config)
    mask = attention_mask(p.layout.live, causal=True)
    hidden_BSD = policy.language_model(p.embeddings, mask, cache=cache)
    row_B1D = read_rows(hidden_BSD, p.layout.rows)
    seen_BS = p.layout.live
    position_B1 = p.layout.last[:, None]

    rows, choices, log_probs = [row_B1D], [], []
    for slot in range(config.action_slots):
        step = _step_distribution(policy, rows[-1], temperature)
        choice_B = (step.sample(generator) if sample else step.mode()).view(B)
        choices.append(choice_B)
        log_probs.append(step.log_prob(choice_B.view(B, 1, 1)).view(B))
        if slot + 1 == config.action_slots:
            break
        position_B1 = position_B1 + 1
        seen_BS = torch.cat([seen_BS, seen_BS.new_ones(B, 1)], dim=1)
        embedding_B1D = policy.language_model.embed((choice_B + first_id)[:, None])
        rows.append(
            policy.language_model(
                embedding_B1D,
                attention_mask(seen_BS, causal=False),  # one query, after everything
                positions_BS=position_B1,
                cache=cache,
            )
        )
    shape = (B, config.chunk_length, config.action_size)
    chosen = torch.stack(choices, dim=1).view(shape)
    return Decision(
        actions=bin_actions(chosen, config.tokens.action_bins),
        choices=chosen,
        log_probs=torch.stack(log_probs, dim=1).view(shape),
        values=policy.values(torch.cat(rows, dim=1)),
    )


def _step_distribution(policy: OftPolicy, row_B1D: Tensor, temperature: float) -> BinDistribution:
    logits_B1V = bin_logits(row_B1D, policy.language_model.lm_head, policy.config.tokens)
    return BinDistribution.from_logits(logits_B1V.unsqueeze(1), temperature)
