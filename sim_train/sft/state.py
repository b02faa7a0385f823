"""Weights and optimiser states as named tensors, whole however many processes hold them, and back.

Nothing else is needed to go on: order, augmentation and rates are functions of seed and step.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from robot_contract.errors import ContractError
from sim_train.sft.optimisation import named_states
from sim_train.sft.processes import reshard, stored_as, whole

WEIGHTS = "weights/"


def gather_state(policy: nn.Module, optimisers: Sequence[torch.optim.Optimizer]) -> dict[str, Tensor]:
    """What is trained, and what its optimiser remembers of it: `weights/NAME`, `exp_avg/NAME`, ..."""
    reshard(policy)
    trained = [(name, p) for name, p in policy.named_parameters() if p.requires_grad]
    tensors = {WEIGHTS + name: whole(parameter).clone() for name, parameter in trained}
    for name, optimiser, parameter in named_states(optimisers, trained):
        for kind, value in optimiser.state[parameter].items():
            tensors[f"{kind}/{name}"] = whole(value).clone()
    return tensors


@torch.no_grad()
def restore_state(
    tensors: Mapping[str, Tensor], policy: nn.Module, optimisers: Sequence[torch.optim.Optimizer]
) -> None:
    restore_weights(tensors, policy)
    remembered: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        kind, _, name = key.partition("/")
        if kind + "/" != WEIGHTS:
            remembered.setdefault(name, {})[kind] = tensor
    trained = [(name, p) for name, p in policy.named_parameters() if p.requires_grad]
    for name, optimiser, parameter in named_states(optimisers, trained):
        for kind, value in remembered.get(name, {}).items():
            is_per_weight = value.shape == parameter.shape
            optimiser.state[parameter][kind] = (
                stored_as(value, parameter).clone() if is_per_weight else value.clone()
            )


@torch.no_grad()
def restore_weights(tensors: Mapping[str, Tensor], policy: nn.Module) -> None:
    for name, parameter in policy.named_parameters():
        if not parameter.requires_grad:
            continue
        value = tensors.get(WEIGHTS + name)
        if value is None or value.shape != parameter.shape:
            found = "no such tensor" if value is None else f"shape {tuple(value.shape)}"
            raise ContractError(f"saved state: {name}: expected {tuple(parameter.shape)}, found {found}")
        parameter.copy_(stored_as(value.to(parameter.dtype), parameter))
