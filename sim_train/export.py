"""A trained policy as a checkpoint folder, which `policy-server` serves.

The contract says what the weights were trained with; `report.json` says on what, by which command, with which
libraries, and how the errors stood. Success rates are not known here: `sim-train evaluate` adds them.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from policy_server.checkpoint import Checkpoint, save_checkpoint
from policy_server.model.lora import merged_state
from policy_server.model.policy import OftPolicy
from robot_contract.errors import ContractError
from sim_train.sft.preparation import start_model
from sim_train.sft.run_folder import RunFolder, RunRecord
from sim_train.sft.state import restore_weights


def export_run(
    run: Path,
    out: Path,
    *,
    name: str | None = None,
    step: int | None = None,
    dtype: torch.dtype = torch.float32,
) -> Checkpoint:
    folder = RunFolder(path=run)
    record = folder.record()
    step = _step(folder, step)
    policy = trained_policy(folder, step)
    contract = replace(
        folder.contract(),
        name=name or record.recipe.name,
        provenance=(
            ("trained", f"supervised fine-tuning, {step} steps of {record.recipe.batch} samples"),
            ("recipe", record.recipe.name),
            ("command", record.commands[0]),
            *((f"data {folder_name}", digest) for folder_name, digest in record.data),
        ),
    )
    state = merged_state(policy) if record.recipe.lora_rank else policy.state_dict()
    return save_checkpoint(
        out,
        contract=contract,
        config=policy.config,
        tensors=state.items(),
        tokenizer=folder.tokenizer(),
        report=_report(folder, record, step),
        dtype=dtype,
        source=str(folder.state_file(step)),
    )


def trained_policy(folder: RunFolder, step: int) -> OftPolicy:
    """The policy of a run as training left it after `step`, training-only heads and adapters included."""
    record, contract, config = folder.record(), folder.contract(), folder.config()
    if record.recipe.initial is None and not record.recipe.lora_rank:
        policy = OftPolicy.on_meta(config)
        policy.to_empty(device="cpu")
        policy.language_model.restore_frequencies()
    else:
        policy = start_model(record.recipe, contract, ()).policy
    restore_weights(folder.load_state(step), policy)
    return policy


def _step(folder: RunFolder, step: int | None) -> int:
    steps = folder.steps()
    if not steps:
        raise ContractError(f"{folder.path}: expected at least one saved state, found none yet")
    if step is not None and step not in steps:
        raise ContractError(f"{folder.path}: step: expected one of {steps}, found {step}")
    return steps[-1] if step is None else step


def _report(folder: RunFolder, record: RunRecord, step: int) -> dict[str, Any]:
    recipe = record.recipe
    metrics: Mapping[str, float] = next(
        (row for row in reversed(folder.metrics()) if row["step"] <= step), {}
    )
    return {
        "trained": {
            "by": "supervised fine-tuning",
            "steps": step,
            "of_steps": recipe.steps,
            "samples": step * recipe.batch,
            "recipe": asdict(recipe),
            "commands": list(record.commands),
            "versions": dict(record.versions),
        },
        "data": {
            "suite": recipe.suite,
            "episodes": record.episodes,
            "frames": record.frames,
            "validation_frames": record.validation_frames,
            "sha256": dict(record.data),
        },
        "errors": dict(metrics),
        "evaluations": {},
    }
