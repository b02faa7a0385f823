"""A training run on the disk: what it is, how far it came, and from where it can go on.

run.json               recipe, command, versions, data with digests
contract.json          of the policy, with the data's statistics
model.json, tokenizer/ as in a checkpoint folder
metrics.jsonl          one line per logged step; TensorBoard's files lie beside it
states/step-*.safetensors   weights and optimiser states, each written whole or not at all
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from policy_server.checkpoint import MODEL_FILE, TOKENIZER_FOLDER
from policy_server.contract_json import CONTRACT_FILE, contract_to_json, read_contract
from policy_server.model.config import ModelConfig
from policy_server.model.tokenizer import PromptTokenizer
from policy_server.strict_json import dataclass_from_document, read_json_file
from robot_contract.errors import ContractError
from robot_contract.policy_contract import PolicyContract
from sim_train.sft.recipe import Recipe

RUN_FILE = "run.json"
METRICS_FILE = "metrics.jsonl"
STATES = "states"


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunRecord:
    recipe: Recipe
    commands: tuple[str, ...]  # as typed, one per start of the run
    versions: tuple[tuple[str, str], ...]
    data: tuple[tuple[str, str], ...]  # folder name, sha256 of its tables
    frames: int  # demonstrations that are trained on
    validation_frames: int
    episodes: int
    position_low: tuple[float, ...]  # [m] of the five numbers
    position_high: tuple[float, ...]  # [m]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class RunFolder:
    path: Path

    def exists(self) -> bool:
        return (self.path / RUN_FILE).exists()

    def begin(
        self, record: RunRecord, contract: PolicyContract, config: ModelConfig, tokenizer: PromptTokenizer
    ) -> None:
        """The record comes last: a folder that has one has everything."""
        self.path.mkdir(parents=True, exist_ok=True)
        strangers = [each.name for each in self.path.iterdir() if each.name != TOKENIZER_FOLDER]
        if strangers and not self.exists() and CONTRACT_FILE not in strangers:
            raise ContractError(f"{self.path}: expected a new folder or a run's, found {min(strangers)}")
        (self.path / CONTRACT_FILE).write_text(contract_to_json(contract), encoding="utf-8")
        config.save(self.path / MODEL_FILE)
        tokenizer.save(self.path / TOKENIZER_FOLDER)
        (self.path / STATES).mkdir(exist_ok=True)
        self.write_record(record)

    def write_record(self, record: RunRecord) -> None:
        text = json.dumps(dataclasses.asdict(record), indent=2) + "\n"
        _replace(self.path / RUN_FILE, text)

    def record(self) -> RunRecord:
        file = self.path / RUN_FILE
        if not file.exists():
            raise ContractError(f"{self.path}: expected the folder of a training run, found no {RUN_FILE}")
        return dataclass_from_document(RunRecord, read_json_file(file), file=str(file))

    def contract(self) -> PolicyContract:
        return read_contract(self.path)

    def config(self) -> ModelConfig:
        return ModelConfig.load(self.path / MODEL_FILE)

    def tokenizer(self) -> PromptTokenizer:
        return PromptTokenizer.load(self.path / TOKENIZER_FOLDER, self.config().tokens)

    def steps(self) -> list[int]:
        """Of the states that can be gone on from, in order."""
        files = (self.path / STATES).glob("step-*.safetensors")
        return sorted(int(file.stem.removeprefix("step-")) for file in files)

    def state_file(self, step: int) -> Path:
        return self.path / STATES / f"step-{step:08d}.safetensors"

    def save_state(self, step: int, tensors: Mapping[str, Tensor], *, keep: int) -> None:
        """Write it whole, then remove the oldest (`keep` 0: none)."""
        file = self.state_file(step)
        partial = file.with_suffix(".partial")
        save_file(dict(tensors), partial)
        partial.rename(file)
        for old in self.steps()[:-keep] if keep else []:
            self.state_file(old).unlink()

    def load_state(self, step: int) -> dict[str, Tensor]:
        file = self.state_file(step)
        if not file.exists():
            raise ContractError(f"{self.path}: no state of step {step}; there are {self.steps() or 'none'}")
        with safe_open(file, framework="pt") as stored:
            return {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118  (no mapping)

    def append_metrics(self, row: Mapping[str, float]) -> None:
        with (self.path / METRICS_FILE).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({key: round(value, 6) for key, value in row.items()}) + "\n")

    def metrics(self) -> list[dict[str, float]]:
        file = self.path / METRICS_FILE
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        return [cast(dict[str, Any], json.loads(line)) for line in lines]

    def forget_metrics_after(self, step: int) -> None:
        """A run that goes on from an earlier state logs the steps since then again."""
        kept = [row for row in self.metrics() if row["step"] <= step]
        _replace(self.path / METRICS_FILE, "".join(json.dumps(row) + "\n" for row in kept))


def _replace(file: Path, text: str) -> None:
    partial = file.with_name(f".{file.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(file)
