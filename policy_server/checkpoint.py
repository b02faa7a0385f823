"""A policy as a folder: everything that decides what it does, and nothing that could run code.

    contract.json        what the robot must match, statistics, digest of the rest
    model.json           the shape of the model
    weights.safetensors  or shards with an index
    tokenizer/           tokenizer.json
    golden.npz           one observation and the chunk it must give
    report.json          what was trained on what, evaluated how

Saving is whole or not at all; opening checks all of it, and says in one sentence what is wrong.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from policy_server.atomic_folder import new_folder
from policy_server.contract_json import CONTRACT_FILE, contract_to_json, read_contract
from policy_server.eager_policy import EagerPolicy
from policy_server.golden import Golden, read_golden, save_golden
from policy_server.golden_making import make_golden
from policy_server.model.config import ModelConfig
from policy_server.model.policy import OftPolicy
from policy_server.model.tokenizer import PromptTokenizer
from policy_server.strict_json import read_json_file
from policy_server.weights import (
    SHARD_BYTES,
    check_tensors,
    fitting,
    read_tensors,
    stored_tensors,
    weight_files,
    write_weights,
)
from robot_contract.canonical_json import digest
from robot_contract.errors import ContractError
from robot_contract.policy_contract import ACTION_WIDTH, PolicyContract

MODEL_FILE = "model.json"
TOKENIZER_FOLDER = "tokenizer"
REPORT_FILE = "report.json"
UNSAVED_DIGEST = "0" * 64  # weights_digest of a contract whose weights are not on disk yet

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class SavesTokenizer(Protocol):
    def encode(self, prompt: str) -> list[int]: ...
    def save(self, folder: Path) -> None: ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint:
    """An opened folder: everything but the weights is in memory and checked."""

    path: Path
    contract: PolicyContract
    config: ModelConfig
    golden: Golden
    report: Mapping[str, Any]

    def tokenizer(self) -> PromptTokenizer:
        return PromptTokenizer.load(self.path / TOKENIZER_FOLDER, self.config.tokens)

    def load_policy(
        self,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype | None = None,
        for_training: bool = False,
    ) -> OftPolicy:
        """The model with its weights, in `dtype` (None: as stored); training-only heads only for training."""
        tensors = dict(read_tensors(self.path, device=device, dtype=dtype))
        policy = OftPolicy.on_meta(self.config)
        policy.adopt(tensors)
        return policy if for_training else policy.without_auxiliary().eval()

    def load_eager(
        self, *, device: torch.device | str = "cpu", dtype: torch.dtype | None = None
    ) -> EagerPolicy:
        return EagerPolicy(self.contract, self.load_policy(device=device, dtype=dtype), self.tokenizer())


def save_checkpoint(
    path: Path,
    *,
    contract: PolicyContract,
    config: ModelConfig,
    tensors: Iterable[tuple[str, Tensor]],
    tokenizer: SavesTokenizer,
    report: Mapping[str, Any],
    dtype: torch.dtype = torch.float32,
    shard_bytes: int = SHARD_BYTES,
    source: str = "the weights",
    device: str = "cpu",
) -> Checkpoint:
    """Write a new checkpoint folder and open it; on any error there is no folder.

    `tensors` is asked for one tensor at a time; `source` names where they come from in errors. The contract's
    `weights_digest` is set here, and the golden chunk is made here, on `device`, from what was written.
    """
    check_widths(contract, config)
    with new_folder(path) as partial:
        fit = fitting(tensors, expected_shapes(config), source)
        write_weights(partial, ((key, tensor.to(dtype)) for key, tensor in fit), shard_bytes=shard_bytes)
        config.save(partial / MODEL_FILE)
        tokenizer.save(partial / TOKENIZER_FOLDER)
        _write_json(partial / REPORT_FILE, report)
        contract = dataclasses.replace(contract, weights_digest=weights_digest(partial))
        (partial / CONTRACT_FILE).write_text(contract_to_json(contract), encoding="utf-8")
        save_golden(make_golden(partial, contract, config, tokenizer, device=device), partial)
    return open_checkpoint(path, verify_digest=False)  # it was taken from these files a moment ago


def open_checkpoint(path: Path, *, verify_digest: bool = True) -> Checkpoint:
    """Read and check a checkpoint folder; `verify_digest=False` skips only the reading of all weights."""
    if not path.is_dir():
        raise ContractError(
            f"{path}: expected a checkpoint folder, found {'a file' if path.exists() else 'nothing'}"
        )
    contract = read_contract(path)
    config = ModelConfig.load(path / MODEL_FILE)
    check_widths(contract, config, file=str(path / CONTRACT_FILE))
    check_tensors(stored_tensors(path), expected_shapes(config), path)
    PromptTokenizer.load(path / TOKENIZER_FOLDER, config.tokens)
    golden = read_golden(path, contract)
    report = read_json_file(path / REPORT_FILE)
    if not isinstance(report, dict):
        raise ContractError(f"{path / REPORT_FILE}: expected an object, found {type(report).__name__}")
    if verify_digest:
        found = weights_digest(path)
        if found != contract.weights_digest:
            raise ContractError(
                f"{path}: weights_digest in {CONTRACT_FILE} is {contract.weights_digest}, but weights, "
                f"{MODEL_FILE} and {TOKENIZER_FOLDER} give {found}: they are not the files that were saved"
            )
    return Checkpoint(
        path=path, contract=contract, config=config, golden=golden, report=cast(dict[str, Any], report)
    )


def weights_digest(path: Path) -> str:
    """sha256 over the names and sha256 of all that makes the answers: weights, model.json, tokenizer."""
    tokenizer = sorted(file for file in (path / TOKENIZER_FOLDER).rglob("*") if file.is_file())
    files = [*weight_files(path), path / MODEL_FILE, *tokenizer]
    return digest({file.relative_to(path).as_posix(): _sha256(file) for file in files})


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def expected_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Every key of the weights with its shape."""
    return {key: tuple(tensor.shape) for key, tensor in OftPolicy.on_meta(config).state_dict().items()}


def check_widths(contract: PolicyContract, config: ModelConfig, *, file: str = CONTRACT_FILE) -> None:
    """Raise unless contract and model agree on everything that both of them say."""
    pairs = {
        "chunk_length": (contract.chunk_length, config.chunk_length),
        "cameras": (len(contract.cameras), config.cameras),
        "width of proprioception": (contract.proprioception_width, config.proprio_size),
        "width of an action": (ACTION_WIDTH, config.action_size),
    }
    for name, (promised, built) in pairs.items():
        if promised != built:
            raise ContractError(f"{file}: {name}: expected {built} by {MODEL_FILE}, found {promised}")


def _write_json(file: Path, document: Mapping[str, Any]) -> None:
    text = json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False)
    file.write_text(text + "\n", encoding="utf-8")
