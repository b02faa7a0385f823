"""The losses of supervised fine-tuning, each a mean over what is known in the whole batch.

`Counts` are those of the whole batch, also where a process or a micro-batch holds a part of it: the parts'
losses then add up to the loss of the whole. B rows at hand, K chunk length, A action numbers, M marks.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from policy_server.model.config import ModelConfig
from policy_server.model.decision import PolicyOutput
from policy_server.model.distributions import action_bins
from sim_train.sft.recipe import LossWeights


@dataclass(frozen=True, kw_only=True, eq=False)
class Targets:
    actions: Tensor  # (B, K, A) normalised
    heat_maps: Tensor | None  # (B, M, patches) distributions
    seen: Tensor | None  # (B, M) bool
    positions: Tensor | None  # (B, 5) scaled to -1..1, NaN where unknown
    approaching: Tensor  # (B,) bool


@dataclass(frozen=True, kw_only=True)
class Counts:
    rows: int
    seen: int  # marks that are in a picture
    positions: int  # known numbers
    approaching: int  # rows


def choices_for(actions_BKA: Tensor, config: ModelConfig) -> Tensor | None:
    """What the policy is asked the likelihood of: bins, the actions themselves, or nothing."""
    match config.head:
        case "tokens":
            return action_bins(actions_BKA, config.tokens.action_bins)
        case "laplace":
            return actions_BKA
        case "l1":
            return None


def action_loss(out: PolicyOutput, targets: Targets, counts: Counts) -> Tensor:
    """L1; or the negative log-likelihood per number, which is cross-entropy for bins."""
    if out.log_probs is None:
        error_BKA = (out.actions - targets.actions).abs()
    else:
        error_BKA = -out.log_probs
    return error_BKA.mean(dim=(1, 2)).sum() / counts.rows


def heat_map_loss(logits_BMN: Tensor, targets: Targets, counts: Counts) -> Tensor:
    """Cross-entropy with the soft targets; ln(patches) while nothing is known."""
    assert targets.heat_maps is not None
    assert targets.seen is not None
    entropy_BM = -(targets.heat_maps * logits_BMN.float().log_softmax(dim=-1)).sum(dim=-1)
    return (entropy_BM * targets.seen).sum() / max(counts.seen, 1)


def position_loss(positions_B5: Tensor, targets: Targets, counts: Counts) -> Tensor:
    assert targets.positions is not None
    known = targets.positions.isfinite()
    error = (positions_B5.float() - targets.positions.nan_to_num()).abs()
    return torch.where(known, error, 0.0).sum() / max(counts.positions, 1)


def total_loss(
    out: PolicyOutput, targets: Targets, counts: Counts, weights: LossWeights
) -> tuple[Tensor, dict[str, Tensor]]:
    """The weighted sum, and the parts by name, without gradients."""
    parts = {"action": action_loss(out, targets, counts)}
    total = weights.action * parts["action"]
    if out.heat_maps is not None and targets.heat_maps is not None:
        parts["heat_maps"] = heat_map_loss(out.heat_maps, targets, counts)
        total = total + weights.heat_maps * parts["heat_maps"]
    if out.positions is not None and targets.positions is not None:
        parts["positions"] = position_loss(out.positions, targets, counts)
        total = total + weights.positions * parts["positions"]
    parts["total"] = total
    return total, {name: value.detach() for name, value in parts.items()}


@torch.no_grad()
def approach_errors(
    out: PolicyOutput, targets: Targets, counts: Counts, half_range_5: Tensor
) -> dict[str, Tensor]:
    """On approach frames alone, where a blind policy cannot hide: L1 of x and y of the actions [normalised],
    and how far off the named object is believed to be in x and y [m]."""
    rows = max(counts.approaching, 1)
    xy_B = (out.actions[..., :2] - targets.actions[..., :2]).abs().mean(dim=(1, 2))
    errors = {"approach_xy": (xy_B * targets.approaching).sum() / rows}
    if out.positions is not None and targets.positions is not None:
        off_B2 = (out.positions[:, :2].float() - targets.positions[:, :2]) * half_range_5[:2]
        distance_B = off_B2.nan_to_num().norm(dim=-1)
        errors["approach_object"] = (distance_B * targets.approaching).sum() / rows
    all_L1 = (out.actions - targets.actions).abs()
    errors["gripper"] = all_L1[..., 6].mean(dim=1).sum() / counts.rows
    return errors
