"""The one sequence that the language model reads, and the rows of it that the heads read.

    [BOS] [patches] [proprio] [prompt tokens 1..P-1, last the action prefix] [action slots] [</s>] [pads]

Pads stand after everything, so a padded row equals the same row alone. The rows read are shifted by one:
they start at the action prefix, row i is the position *before* slot i; the last slot and </s> are not read.

B batch, T padded prompt length, U text positions after the prefix, S whole sequence, K rows read, D width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from policy_server.model.config import ModelConfig


@dataclass(frozen=True, kw_only=True, eq=False)
class Layout:
    """Where everything stands; computed on the device from the prompt mask alone."""

    text: Tensor  # (B, U) token ids, pads included
    slots: Tensor  # (B, U) the action slots
    slots_empty: bool  # whether their embeddings are zero
    live: Tensor  # (B, S) not a pad
    rows: Tensor  # (B, K) positions that the heads read
    last: Tensor  # (B,) the last position that is not a pad


def lay_out(
    tokens_BT: Tensor, mask_BT: Tensor, config: ModelConfig, *, slot_tokens_BK: Tensor | None = None
) -> Layout:
    """Lay out one batch: empty slots (`slot_tokens_BK` None), or slots that hold these tokens."""
    B, T = tokens_BT.shape
    slots = config.action_slots if slot_tokens_BK is None else slot_tokens_BK.shape[1]
    stop = int(config.has_stop)
    prompt_B1 = mask_BT.sum(dim=1, keepdim=True) - 1  # without BOS
    offset_1U = torch.arange(T - 1 + slots + stop, device=tokens_BT.device)[None]
    end_B1 = prompt_B1 + slots
    in_slot_BU = (offset_1U >= prompt_B1) & (offset_1U < end_B1)

    text_BU = tokens_BT.gather(1, (offset_1U + 1).clamp(max=T - 1).expand(B, -1))
    text_BU = torch.where(offset_1U < prompt_B1, text_BU, config.tokens.pad)
    if slot_tokens_BK is not None and slots:
        taken_BU = slot_tokens_BK.gather(1, (offset_1U - prompt_B1).clamp(0, slots - 1))
        text_BU = torch.where(in_slot_BU, taken_BU, text_BU)
    if stop:
        text_BU = torch.where(offset_1U == end_B1, config.tokens.stop, text_BU)

    prefix = config.prefix_length
    live_BU = offset_1U < end_B1 + stop
    first_read_B1 = prefix + prompt_B1 - 1
    read = slots if slot_tokens_BK is None else slots + 1
    return Layout(
        text=text_BU,
        slots=in_slot_BU,
        slots_empty=slot_tokens_BK is None,
        live=torch.cat([live_BU.new_ones(B, prefix), live_BU], dim=1),
        rows=first_read_B1 + torch.arange(read, device=tokens_BT.device)[None],
        last=(prefix + end_B1 + stop - 1)[:, 0],
    )


def spoken(layout: Layout, config: ModelConfig) -> Tensor:
    """Return (B, 1 + U) bool: the text that FiLM averages, BOS and </s> included, slots and pads not."""
    B = len(layout.text)
    live_BU = layout.live[:, config.prefix_length :] & ~layout.slots
    return torch.cat([live_BU.new_ones(B, 1), live_BU], dim=1)


def assemble(
    bos_B1D: Tensor, patches_BND: Tensor, proprio_BD: Tensor | None, text_BUD: Tensor, layout: Layout
) -> Tensor:
    """Return the embeddings (B, S, D)."""
    if layout.slots_empty:
        text_BUD = text_BUD * (~layout.slots).unsqueeze(-1).to(text_BUD.dtype)
    parts = [bos_B1D, patches_BND, *([] if proprio_BD is None else [proprio_BD[:, None]]), text_BUD]
    return torch.cat(parts, dim=1)


def attention_mask(live_BS: Tensor, *, causal: bool) -> Tensor:
    """Return who may look at whom, (B, 1, S, S) bool or (B, 1, 1, S): everybody at everything but pads.

    The mask is always explicit, also where nothing is padded, so that one attention kernel serves both cases.
    """
    seen_B11S = live_BS[:, None, None, :]
    if not causal:
        return seen_B11S
    S = live_BS.shape[1]
    earlier_SS = torch.ones(S, S, dtype=torch.bool, device=live_BS.device).tril()
    return seen_B11S & earlier_SS


def read_rows(hidden_BSD: Tensor, rows_BK: Tensor) -> Tensor:
    """Return (B, K, D)."""
    return hidden_BSD.gather(1, rows_BK.unsqueeze(-1).expand(-1, -1, hidden_BSD.shape[-1]))
