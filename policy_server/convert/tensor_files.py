"""Tensors of published files, mapped into memory rather than read: a number costs memory when it is used."""

import pickle
import zipfile
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from policy_server.weights import Shape, read_header
from robot_contract.errors import ContractError


def tensor_shapes(file: Path) -> dict[str, Shape]:
    """Shapes by key, without reading the numbers."""
    if file.suffix == ".safetensors":
        return {key: stored.shape for key, stored in read_header(file).items()}
    return {key: tuple(tensor.shape) for key, tensor in map_tensors(file).items()}


def map_tensors(file: Path) -> dict[str, Tensor]:
    """Every tensor of a safetensors file or a torch pickle, the latter with `weights_only`.

    DistributedDataParallel's `module.` in front of every key is dropped.
    """
    if not file.exists():
        raise ContractError(f"{file}: this file is missing")
    if file.suffix == ".safetensors":
        read_header(file)
        with safe_open(file, framework="pt") as stored:
            return {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118  (not a mapping)
    try:
        loaded = torch.load(file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file))
    except pickle.UnpicklingError:
        raise ContractError(
            f"{file}: expected tensors only, found other objects; it was not opened"
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        reason = str(error).partition("\n")[0]
        raise ContractError(f"{file}: expected a whole torch file, found a damaged one ({reason})") from None
    if not isinstance(loaded, dict):
        raise ContractError(f"{file}: expected tensors by name, found {type(loaded).__name__}")
    for key, value in loaded.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise ContractError(f"{file}: {key}: expected a tensor, found {type(value).__name__}")
    wrapped = bool(loaded) and all(key.startswith("module.") for key in loaded)
    return {key.removeprefix("module.") if wrapped else key: value for key, value in loaded.items()}
