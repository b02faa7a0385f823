"""A published checkpoint folder, looked at but not yet read: what it says, and where each tensor is."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from policy_server.convert.tensor_files import tensor_shapes
from policy_server.strict_json import read_json_file
from policy_server.weights import Shape
from robot_contract.errors import ContractError

SIDE_FILES = ("action_head", "proprio_projector", "vision_backbone", "noisy_action_projector")

_INDEXED = (
    ("model.safetensors.index.json", "model.safetensors"),
    ("pytorch_model.bin.index.json", "pytorch_model.bin"),
)
_NEVER_USED = "rotary_emb.inv_freq"  # a constant that old versions of transformers saved


@dataclass(frozen=True, kw_only=True, eq=False)
class PublishedFolder:
    path: Path
    config: Mapping[str, Any]  # config.json
    preprocessor: Mapping[str, Any]  # preprocessor_config.json
    norm_stats: Mapping[str, Any]  # dataset_statistics.json over config.json's norm_stats
    has_own_statistics: bool  # dataset_statistics.json is there: somebody fine-tuned
    modelling_code: str | None  # the text of modeling_prismatic.py, read as evidence and never run
    files: Mapping[Path, Mapping[str, Shape]]  # of the model itself
    side_files: Mapping[str, Path]  # by the name before "--"
    adapter: Path | None  # folder of a LoRA adapter inside

    @property
    def shapes(self) -> dict[str, Shape]:
        return {key: shape for tensors in self.files.values() for key, shape in tensors.items()}

    def shape(self, key: str) -> Shape:
        shapes = self.shapes
        if key not in shapes:
            raise ContractError(f"{self.path}: {key}: expected in the weights, found no such key")
        return shapes[key]


def look_at(path: Path, *, base: Path | None = None) -> PublishedFolder:
    """Look at a published folder; `base` holds the weights when the folder has only an adapter."""
    if not path.is_dir():
        raise ContractError(f"{path}: expected a folder, found {'a file' if path.exists() else 'nothing'}")
    described = base or path
    config = _object(described / "config.json")
    if config.get("model_type") != "openvla":
        raise ContractError(
            f"{described / 'config.json'}: model_type: expected openvla, found {config.get('model_type')!r}"
        )
    own_statistics = path / "dataset_statistics.json"
    statistics = _object(own_statistics) if own_statistics.exists() else {}
    code = described / "modeling_prismatic.py"
    return PublishedFolder(
        path=path,
        config=config,
        preprocessor=_object(described / "preprocessor_config.json"),
        norm_stats={**config.get("norm_stats", {}), **statistics},
        has_own_statistics=bool(statistics),
        modelling_code=code.read_text(encoding="utf-8", errors="replace") if code.exists() else None,
        files={file: _without_constants(tensor_shapes(file)) for file in _model_files(described)},
        side_files=_side_files(path),
        adapter=_adapter(path),
    )


def _object(file: Path) -> dict[str, Any]:
    document = read_json_file(file)
    if not isinstance(document, dict):
        raise ContractError(f"{file}: expected an object, found {type(document).__name__}")
    return cast(dict[str, Any], document)


def _without_constants(shapes: dict[str, Shape]) -> dict[str, Shape]:
    return {key: shape for key, shape in shapes.items() if not key.endswith(_NEVER_USED)}


def _model_files(path: Path) -> list[Path]:
    for index, single in _INDEXED:
        if (path / index).exists():
            names = _object(path / index).get("weight_map")
            if not isinstance(names, dict):
                raise ContractError(f"{path / index}: expected an object with weight_map")
            return [path / Path(str(name)).name for name in sorted(set(cast(dict[str, Any], names).values()))]
        if (path / single).exists():
            return [path / single]
    if _adapter(path) is not None:
        raise ContractError(
            f"{path}: holds a LoRA adapter alone; give the folder of its base model with --base"
        )
    wanted = ", ".join(name for pair in _INDEXED for name in pair)
    raise ContractError(f"{path}: expected one of {wanted}, found none of them")


def _side_files(path: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for name in SIDE_FILES:
        files = sorted(path.glob(f"{name}--*.pt"))
        if len(files) > 1:
            names = ", ".join(file.name for file in files)
            raise ContractError(f"{path}: expected one step of {name}, found {names}; keep the one you mean")
        if files:
            found[name] = files[0]
    return found


def _adapter(path: Path) -> Path | None:
    for folder in (path, path / "lora_adapter"):
        if (folder / "adapter_config.json").exists():
            return folder
    return None
