"""Weights on disk: one safetensors file, or shards with an index. Never a pickle.

Reading looks at the headers first, so that a wrong, truncated or foreign file is refused with its name, the
key and both shapes before a single number is loaded.
"""

import json
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from policy_server.strict_json import parse_json, read_json_file
from robot_contract.errors import ContractError

WEIGHTS_FILE = "weights.safetensors"
INDEX_FILE = "weights.safetensors.index.json"
SHARD_BYTES = 2_000_000_000  # [byte] so that writing never holds much more than one shard

Shape = tuple[int, ...]

_BYTES = {"F32": 4, "F16": 2, "BF16": 2}


@dataclass(frozen=True, kw_only=True)
class StoredTensor:
    file: Path
    dtype: str  # "F32", "F16" or "BF16"
    shape: Shape


def write_weights(
    folder: Path, tensors: Iterable[tuple[str, Tensor]], *, shard_bytes: int = SHARD_BYTES
) -> None:
    """Write tensors as they come, holding one shard at a time."""
    shards: list[dict[str, int]] = []
    held: dict[str, Tensor] = {}
    for key, tensor in tensors:
        if held and sum(t.nbytes for t in held.values()) + tensor.nbytes > shard_bytes:
            shards.append(_write_shard(folder, len(shards), held))
            held = {}
        held[key] = tensor.detach().to("cpu").contiguous()
    shards.append(_write_shard(folder, len(shards), held))
    if len(shards) == 1:
        _partial(folder, 0).rename(folder / WEIGHTS_FILE)
        return
    names = [f"weights-{i + 1:05d}-of-{len(shards):05d}.safetensors" for i in range(len(shards))]
    for i, name in enumerate(names):
        _partial(folder, i).rename(folder / name)
    index = {
        "metadata": {"total_size": sum(size for shard in shards for size in shard.values())},
        "weight_map": {key: name for name, shard in zip(names, shards) for key in shard},
    }
    (folder / INDEX_FILE).write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")


def _partial(folder: Path, number: int) -> Path:
    return folder / f"shard-{number}.partial"


def _write_shard(folder: Path, number: int, tensors: dict[str, Tensor]) -> dict[str, int]:
    save_file(tensors, _partial(folder, number))
    return {key: tensor.nbytes for key, tensor in tensors.items()}


def weight_files(folder: Path) -> list[Path]:
    """The files that hold the weights, the index included."""
    if (folder / INDEX_FILE).exists():
        return [folder / INDEX_FILE, *(folder / name for name in sorted(set(_read_index(folder).values())))]
    return [folder / WEIGHTS_FILE]


def stored_tensors(folder: Path) -> dict[str, StoredTensor]:
    """What the headers promise, by key; every file is as long as its header says."""
    if not (folder / INDEX_FILE).exists():
        return read_header(folder / WEIGHTS_FILE)
    index = _read_index(folder)
    found: dict[str, StoredTensor] = {}
    for name in sorted(set(index.values())):
        found |= read_header(folder / name)
    for key, name in index.items():
        if key not in found or found[key].file.name != name:
            raise ContractError(f"{folder / INDEX_FILE}: {key}: expected in {name}, which does not hold it")
    for key in found.keys() - index.keys():
        raise ContractError(f"{found[key].file}: {key}: is in the file but not in {INDEX_FILE}")
    return found


def read_header(file: Path) -> dict[str, StoredTensor]:
    """The tensors of one safetensors file."""
    if not file.exists():
        raise ContractError(f"{file}: this file is missing")
    size = file.stat().st_size
    with file.open("rb") as stream:
        start = stream.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(size - 8, 100_000_000):
            raise ContractError(f"{file}: expected a safetensors file, found {size} bytes that are none")
        text = stream.read(length)
    try:
        document = parse_json(text.decode("utf-8"), file=f"{file} (header)")
    except UnicodeDecodeError:
        raise ContractError(f"{file}: expected a safetensors file, found another header") from None
    if not isinstance(document, dict):
        raise ContractError(f"{file}: expected a safetensors file, found another header")
    entries = cast(dict[str, Any], document)
    entries.pop("__metadata__", None)
    tensors = {key: _stored_tensor(file, key, entry) for key, entry in entries.items()}
    expected = 8 + length + sum(_size(tensor) for tensor in tensors.values())
    if size != expected:
        raise ContractError(f"{file}: expected {expected} bytes by its header, found {size}: it is truncated")
    return tensors


def _stored_tensor(file: Path, key: str, entry: Any) -> StoredTensor:
    match entry:
        case {"dtype": str(dtype), "shape": [*sizes], "data_offsets": [int(begin), int(end)]} if all(
            isinstance(size, int) and size >= 0 for size in sizes
        ):
            tensor = StoredTensor(file=file, dtype=dtype, shape=tuple(sizes))
        case _:
            raise ContractError(f"{file}: {key}: expected dtype, shape and data_offsets, found {entry}")
    if dtype not in _BYTES:
        raise ContractError(f"{file}: {key}: expected dtype {', '.join(_BYTES)}, found {dtype}")
    if end - begin != _size(tensor):
        raise ContractError(
            f"{file}: {key}: shape {tensor.shape} of {dtype} needs {_size(tensor)} bytes, found {end - begin}"
        )
    return tensor


def _size(tensor: StoredTensor) -> int:
    count = _BYTES[tensor.dtype]
    for side in tensor.shape:
        count *= side
    return count


def _read_index(folder: Path) -> dict[str, str]:
    file = folder / INDEX_FILE
    document = read_json_file(file)
    entries: Any = cast(dict[str, Any], document).get("weight_map") if isinstance(document, dict) else None
    if not isinstance(entries, dict):
        raise ContractError(f"{file}: expected an object with weight_map")
    for key, name in cast(dict[str, Any], entries).items():
        if not isinstance(name, str) or Path(name).name != name or not name.endswith(".safetensors"):
            raise ContractError(f"{file}: {key}: expected the name of a shard beside it, found {name!r}")
    return cast(dict[str, str], entries)


def fitting(
    tensors: Iterable[tuple[str, Tensor]], expected: Mapping[str, Shape], source: str
) -> Iterator[tuple[str, Tensor]]:
    """Pass tensors on; refuse the first that is not as expected, and at the end what did not come."""
    missing = dict(expected)
    for key, tensor in tensors:
        shape = tuple(tensor.shape)
        if key not in missing:
            raise ContractError(f"{source}: {key}: expected no such key (or only once), found shape {shape}")
        if shape != missing[key]:
            raise ContractError(f"{source}: {key}: expected shape {missing[key]}, found {shape}")
        del missing[key]
        yield key, tensor
    for key, shape in missing.items():
        raise ContractError(f"{source}: {key}: expected shape {shape}, found no such key")


def check_tensors(found: Mapping[str, StoredTensor], expected: Mapping[str, Shape], folder: Path) -> None:
    """Raise unless keys and shapes are exactly those expected, naming the first that is not."""
    for key, shape in expected.items():
        if key not in found:
            raise ContractError(f"{folder}: {key}: expected shape {shape} in the weights, found no such key")
        if found[key].shape != shape:
            raise ContractError(f"{found[key].file}: {key}: expected shape {shape}, found {found[key].shape}")
    for key in found.keys() - expected.keys():
        raise ContractError(
            f"{found[key].file}: {key}: expected no such key by model.json, found shape {found[key].shape}"
        )


def read_tensors(
    folder: Path,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    mapped: bool = False,
) -> Iterator[tuple[str, Tensor]]:
    """Every tensor, one at a time, on `device` and in `dtype` (None: as stored).

    `mapped` leaves what it can in the file: less memory, but whoever changes the file changes the tensors.
    """
    for file in weight_files(folder):
        if file.suffix != ".safetensors":
            continue
        with safe_open(file, framework="pt", device=str(device)) as stored:
            for key in stored.keys():  # noqa: SIM118  (not a mapping)
                tensor: Tensor = stored.get_tensor(key)
                wanted = tensor.to(dtype or tensor.dtype)
                is_view = wanted is tensor and tensor.device.type == "cpu"
                yield key, wanted.clone() if is_view and not mapped else wanted
