"""Low-rank adapters: W x + (alpha / rank) B A x with A and B small, on the layers that the RL recipes adapt.

An adapter starts as no change. Merging adds it into the weight and keeps the old one aside, so that unmerging
gives back every bit; the adapters can be saved alone.

O outputs, I inputs, R rank.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from policy_server.model.policy import OftPolicy
from policy_server.model.vision import Tower
from policy_server.strict_json import dataclass_from_document, read_json_file
from robot_contract.errors import ContractError

Part = Literal["vision", "projector", "language", "lm_head"]
WEIGHTS_FILE = "adapter.safetensors"
CONFIG_FILE = "adapter.json"

_LAYERS: dict[Part, tuple[str, ...]] = {
    "vision": ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2"),
    "projector": ("projector.fc1", "projector.fc2", "projector.fc3"),
    "language": (
        *(f"self_attn.{name}_proj" for name in ("q", "k", "v", "o")),
        *(f"mlp.{name}_proj" for name in ("gate", "up", "down")),
    ),
    "lm_head": ("lm_head",),
}


@dataclass(frozen=True, kw_only=True)
class LoraConfig:
    rank: int = 32
    alpha: float = 32.0
    parts: tuple[Part, ...] = ("vision", "projector", "language", "lm_head")

    @property
    def scale(self) -> float:
        return self.alpha / self.rank


class LoraLinear(nn.Module):
    def __init__(self, base: nn.Linear, config: LoraConfig) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.scale = config.scale
        weight = base.weight
        self.lora_a = nn.Parameter(weight.new_empty(config.rank, base.in_features))
        self.lora_b = nn.Parameter(weight.new_zeros(base.out_features, config.rank))
        nn.init.normal_(self.lora_a, std=1.0 / config.rank)
        self.unmerged: Tensor | None = None  # the weight as it was; None while not merged

    def forward(self, x: Tensor) -> Tensor:
        if self.unmerged is not None:
            return self.base(x)
        return self.base(x) + F.linear(F.linear(x, self.lora_a), self.lora_b) * self.scale


def merged_weight(weight_OI: Tensor, a_RI: Tensor, b_OR: Tensor, scale: float) -> Tensor:
    """Return weight + scale * B A, summed in float32 and rounded once."""
    return (weight_OI.float() + scale * (b_OR.float() @ a_RI.float())).to(weight_OI.dtype)


def add_adapters(policy: OftPolicy, config: LoraConfig) -> list[str]:
    """Adapt the policy in place and freeze all but adapters and heads; return the adapted layers' names.

    Layers that no answer depends on are left alone.
    """
    if any(isinstance(module, LoraLinear) for module in policy.modules()):
        raise ContractError("this policy has adapters already; merge or drop them first")
    names = [name for name, module in policy.named_modules() if _is_target(policy, name, module, config)]
    for part in (policy.vision_backbone, policy.projector, policy.language_model):
        part.requires_grad_(False)
    for name in names:
        base = policy.get_submodule(name)
        assert isinstance(base, nn.Linear)
        policy.set_submodule(name, LoraLinear(base, config))
    return names


def _is_target(policy: OftPolicy, name: str, module: nn.Module, config: LoraConfig) -> bool:
    if not isinstance(module, nn.Linear) or "attn_pool" in name:
        return False
    part = _part_of(name)
    if part is None or part not in config.parts or not name.endswith(_LAYERS[part]):
        return False
    if part == "lm_head":
        return policy.config.head == "tokens"
    if part == "vision":
        tower = policy.vision_backbone.get_submodule(name.split(".")[1])
        assert isinstance(tower, Tower)
        return int(name.split(".blocks.")[1].split(".")[0]) < tower.config.live_blocks
    return True


def _part_of(name: str) -> Part | None:
    if name == "language_model.lm_head":
        return "lm_head"
    prefixes: dict[str, Part] = {
        "vision_backbone.": "vision",
        "projector.": "projector",
        "language_model.": "language",
    }
    return next((part for prefix, part in prefixes.items() if name.startswith(prefix)), None)


def adapted_layers(policy: OftPolicy) -> Iterator[tuple[str, LoraLinear]]:
    return ((name, module) for name, module in policy.named_modules() if isinstance(module, LoraLinear))


@torch.no_grad()
def merge(policy: OftPolicy) -> None:
    """Add every adapter into its weight; the old weight stays in memory beside it."""
    for _, layer in adapted_layers(policy):
        if layer.unmerged is None:
            layer.unmerged = layer.base.weight.detach().clone()
            layer.base.weight.copy_(merged_weight(layer.unmerged, layer.lora_a, layer.lora_b, layer.scale))


@torch.no_grad()
def unmerge(policy: OftPolicy) -> None:
    """Give back the weights of before, bit for bit."""
    for _, layer in adapted_layers(policy):
        if layer.unmerged is not None:
            layer.base.weight.copy_(layer.unmerged)
            layer.unmerged = None


@torch.no_grad()
def merged_state(policy: OftPolicy) -> dict[str, Tensor]:
    """Return the weights of the same policy without adapters, under the names it had before them."""
    layers = dict(adapted_layers(policy))
    state: dict[str, Tensor] = {}
    for key, tensor in policy.state_dict().items():
        owner = next((name for name in _owners(key) if name in layers), None)
        if owner is None:
            state[key] = tensor
            continue
        rest = key.removeprefix(owner + ".")
        layer = layers[owner]
        if rest == "base.weight" and layer.unmerged is None:
            tensor = merged_weight(tensor, layer.lora_a, layer.lora_b, layer.scale)
        if rest.startswith("base."):
            state[f"{owner}.{rest.removeprefix('base.')}"] = tensor
    return state


def _owners(key: str) -> Iterator[str]:
    parts = key.split(".")
    return (".".join(parts[:i]) for i in range(len(parts) - 1, 0, -1))


def adapter_state(policy: OftPolicy) -> dict[str, Tensor]:
    """Return the adapters' tensors alone."""
    return {
        f"{name}.{part}": getattr(layer, part).detach()
        for name, layer in adapted_layers(policy)
        for part in ("lora_a", "lora_b")
    }


def save_adapters(policy: OftPolicy, config: LoraConfig, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG_FILE).write_text(json.dumps(asdict(config), indent=2) + "\n", encoding="utf-8")
    save_file({k: v.contiguous().cpu() for k, v in adapter_state(policy).items()}, folder / WEIGHTS_FILE)


@torch.no_grad()
def load_adapters(policy: OftPolicy, folder: Path) -> LoraConfig:
    """Adapt a policy that has none yet with what `save_adapters` wrote."""
    file = folder / CONFIG_FILE
    config = dataclass_from_document(LoraConfig, read_json_file(file), file=str(file))
    tensors = load_file(folder / WEIGHTS_FILE)
    add_adapters(policy, config)
    ours = adapter_state(policy)
    for key in sorted(ours.keys() ^ tensors.keys()):
        side = "missing" if key in ours else "unknown"
        raise ContractError(f"{folder / WEIGHTS_FILE}: {side} key {key!r}")
    for key, tensor in ours.items():
        if tensors[key].shape != tensor.shape:
            raise ContractError(
                f"{folder / WEIGHTS_FILE}: {key}: expected shape {tuple(tensor.shape)}, "
                f"found {tuple(tensors[key].shape)}"
            )
        tensor.copy_(tensors[key])
    return config
