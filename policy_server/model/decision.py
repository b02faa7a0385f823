"""What a policy answers: a decision, its evaluation, or everything that one training pass computes.

B batch, K chunk length, A action numbers, N patches.
"""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Decision:
    actions: Tensor  # (B, K, A) float32, normalised
    choices: Tensor  # (B, K, A) what `evaluate` is asked about: bin numbers, or the actions themselves
    log_probs: Tensor | None  # (B, K, A) float32; None for the plain L1 head, which has no likelihood
    values: Tensor | None  # (B, K) or (B, 1) float32; None without a value head


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    log_probs: Tensor  # (B, K, A) float32
    entropy: Tensor  # (B, K, A) float32
    values: Tensor | None  # (B, K) or (B, 1) float32


@dataclass(frozen=True, kw_only=True, eq=False)
class PolicyOutput:
    """Everything one pass computes, with gradients."""

    actions: Tensor  # (B, K, A) float32: the mean, or the action of the likeliest bin (no gradient)
    log_probs: Tensor | None  # of the choices that were passed in
    entropy: Tensor | None
    values: Tensor | None
    heat_maps: Tensor | None  # (B, maps, cameras * N) logits
    positions: Tensor | None  # (B, position_targets)
