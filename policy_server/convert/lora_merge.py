"""LoRA adapters into the weights they adapt: W + scale B A, summed in float32 and rounded once."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from torch import Tensor

from policy_server.convert.tensor_files import map_tensors
from policy_server.model.lora import merged_weight
from policy_server.strict_json import read_json_file
from robot_contract.errors import ContractError

_WRAPPER = "base_model.model."


def merge_adapter(tensors: Iterable[tuple[str, Tensor]], folder: Path) -> Iterator[tuple[str, Tensor]]:
    """Pass tensors on, those that the PEFT adapter in `folder` adapts with it merged in."""
    pairs, scale = read_adapter(folder)
    unused = set(pairs)
    for key, tensor in tensors:
        name = key.removesuffix(".weight")
        if name in pairs:
            unused.discard(name)
            tensor = _merged(folder, key, tensor, *pairs[name], scale)
        yield key, tensor
    if unused:
        raise ContractError(f"{folder}: adapts {min(unused)}, which the model does not have")


def read_adapter(folder: Path) -> tuple[dict[str, tuple[Tensor, Tensor]], float]:
    """The A and B of each adapted layer, and their common scale."""
    config = read_json_file(folder / "adapter_config.json")
    if not isinstance(config, dict):
        raise ContractError(f"{folder / 'adapter_config.json'}: expected an object")
    scale = _scale(folder, cast(dict[str, Any], config))
    files = [folder / name for name in ("adapter_model.safetensors", "adapter_model.bin")]
    file = next((file for file in files if file.exists()), files[0])
    halves: dict[str, dict[str, Tensor]] = {}
    for key, tensor in map_tensors(file).items():
        layer, _, half = key.removeprefix(_WRAPPER).removesuffix(".weight").rpartition(".")
        if half not in ("lora_A", "lora_B"):
            raise ContractError(f"{file}: {key}: expected lora_A and lora_B only")
        halves.setdefault(layer, {})[half] = tensor
    return {layer: _pair(file, layer, half) for layer, half in halves.items()}, scale


def _scale(folder: Path, config: Mapping[str, Any]) -> float:
    for name in ("use_dora", "fan_in_fan_out", "modules_to_save"):
        if config.get(name):
            raise ContractError(f"{folder / 'adapter_config.json'}: {name}: expected plain LoRA")
    for name in ("rank_pattern", "alpha_pattern"):
        if config.get(name):
            raise ContractError(f"{folder / 'adapter_config.json'}: {name}: expected one rank and one alpha")
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if not isinstance(rank, int) or not isinstance(alpha, int | float) or not rank > 0:
        raise ContractError(
            f"{folder / 'adapter_config.json'}: r, lora_alpha: expected numbers, found {rank!r}, {alpha!r}"
        )
    return alpha / rank**0.5 if config.get("use_rslora") else alpha / rank


def _pair(file: Path, layer: str, half: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    if set(half) != {"lora_A", "lora_B"}:
        raise ContractError(f"{file}: {layer}: expected lora_A and lora_B, found {', '.join(half)} alone")
    return half["lora_A"], half["lora_B"]


def _merged(file: Path, key: str, weight: Tensor, a: Tensor, b: Tensor, scale: float) -> Tensor:
    if weight.ndim != 2 or tuple(weight.shape) != (b.shape[0], a.shape[1]) or a.shape[0] != b.shape[1]:
        raise ContractError(
            f"{file}: {key}: expected adapters for shape {tuple(weight.shape)}, "
            f"found A {tuple(a.shape)} and B {tuple(b.shape)}"
        )
    return merged_weight(weight, a, b, scale)


def merge_inline(tensors: Mapping[str, Tensor], file: Path) -> Iterator[tuple[str, Tensor]]:
    """Tensors of a file that was saved with its LoRA layers unmerged, as OpenVLA-OFT saves FiLM towers."""
    for key, tensor in tensors.items():
        if ".lora_A." in key or ".lora_B." in key:
            continue
        if ".base_layer." not in key:
            yield key, tensor
            continue
        layer, _, kind = key.partition(".base_layer.")
        if kind == "weight":
            a, b = (tensors.get(f"{layer}.lora_{half}.default.weight") for half in "AB")
            if a is None or b is None:
                raise ContractError(f"{file}: {layer}: expected lora_A and lora_B beside base_layer")
            alpha = min(a.shape[0], 16)  # how OpenVLA-OFT sets it, in training and in evaluation
            tensor = _merged(file, key, tensor, a, b, alpha / a.shape[0])
        yield f"{layer}.{kind}", tensor
