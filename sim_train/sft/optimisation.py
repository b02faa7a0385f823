"""Which weight is learned by which optimiser, and how fast at which step."""

import math
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import nn

from sim_train.sft.muon import Muon
from sim_train.sft.recipe import Recipe

_LEAST_SIDE = 16  # a thinner matrix reads or says a few numbers: it is no hidden one
_NOT_HIDDEN = ("embed_tokens", "lm_head")


def is_hidden_matrix(name: str, parameter: torch.Tensor) -> bool:
    return (
        parameter.ndim == 2
        and min(parameter.shape) >= _LEAST_SIDE
        and not any(part in name for part in _NOT_HIDDEN)
    )


def make_optimisers(named: Iterable[tuple[str, nn.Parameter]], recipe: Recipe) -> list[torch.optim.Optimizer]:
    """One or two, each with its full rate as `initial_lr`; frozen weights are in neither."""
    hidden, rest = list[nn.Parameter](), list[nn.Parameter]()
    for name, parameter in named:
        if parameter.requires_grad:
            is_for_muon = recipe.optimiser == "muon" and is_hidden_matrix(name, parameter)
            (hidden if is_for_muon else rest).append(parameter)
    optimisers: list[torch.optim.Optimizer] = []
    if hidden:
        optimisers.append(Muon(hidden, lr=recipe.muon_rate, weight_decay=recipe.weight_decay))
    if rest:
        optimisers.append(
            torch.optim.AdamW(
                rest, lr=recipe.adamw_rate, betas=recipe.betas, weight_decay=recipe.weight_decay
            )
        )
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["initial_lr"] = group["lr"]
    return optimisers


def rate_factor(step: int, recipe: Recipe) -> float:
    """What the rates are multiplied by in this step, counted from 0."""
    warm = (step + 1) / recipe.warm_up if step < recipe.warm_up else 1.0
    if recipe.schedule == "step":
        return warm * (0.1 if step >= recipe.decay_at else 1.0)
    progress = (step - recipe.warm_up) / max(recipe.steps - recipe.warm_up, 1)
    return warm * 0.5 * (1.0 + math.cos(math.pi * min(max(progress, 0.0), 1.0)))


def set_rates(optimisers: Sequence[torch.optim.Optimizer], factor: float) -> None:
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = group["initial_lr"] * factor


def named_states(
    optimisers: Sequence[torch.optim.Optimizer], named: Iterable[tuple[str, nn.Parameter]]
) -> Iterator[tuple[str, torch.optim.Optimizer, nn.Parameter]]:
    """Each trained weight with its name and the optimiser that has it."""
    owner = {
        id(parameter): optimiser
        for optimiser in optimisers
        for group in optimiser.param_groups
        for parameter in group["params"]
    }
    for name, parameter in named:
        if id(parameter) in owner:
            yield name, owner[id(parameter)], parameter
