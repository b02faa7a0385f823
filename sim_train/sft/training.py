"""Supervised fine-tuning from data sets to trained weights, read from top to bottom.

A step is a function of the recipe's seed and its number: stopped and gone on with, a run on a CPU ends with
the same bits. The errors that tell whether the policy looks at the scene are those on approach frames; they
are logged apart, since the average hides them.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from policy_server.checkpoint import open_checkpoint
from policy_server.model.config import ModelConfig
from policy_server.model.policy import OftPolicy
from policy_server.model.presets import preset
from robot_contract.errors import ContractError
from robot_contract.policy_contract import PolicyContract
from sim_train.sft.epoch import Epochs, held_out, repeated
from sim_train.sft.frames import Indices, read_frames
from sim_train.sft.losses import Counts, Targets, approach_errors, choices_for, total_loss
from sim_train.sft.optimisation import make_optimisers, rate_factor, set_rates
from sim_train.sft.preparation import Start, fitted_contract, start_model
from sim_train.sft.processes import Processes
from sim_train.sft.recipe import Recipe
from sim_train.sft.run_folder import RunFolder, RunRecord
from sim_train.sft.samples import Sample, Samples
from sim_train.sft.state import gather_state, restore_state
from sim_train.sft.targets import position_bounds
from sim_train.suite_contract import contract_of_suite
from sim_train.suites import Suite

_VALIDATION_FRAMES = 256
_LIBRARIES = ("torch", "transformers", "numpy", "pyarrow", "simplejpeg")


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """Everything that stays as it is while the steps go by."""

    recipe: Recipe
    contract: PolicyContract
    config: ModelConfig
    samples: Samples
    epochs: Epochs
    validation: Indices  # the same frames every time; none where there is no validation
    half_range: Tensor  # (5,) [m] of the position numbers


@dataclass(kw_only=True)
class Progress:
    """What was measured since the last line of the log."""

    sums: dict[str, Tensor] = field(default_factory=dict)
    approach_steps: int = 0
    steps: int = 0
    since: float = field(default_factory=time.monotonic)


def train(
    recipe: Recipe,
    suite: Suite,
    data: Sequence[Path],
    out: Path,
    *,
    processes: Processes,
    command: str,
    stop_after: int | None = None,
    cache: Path | None = None,
    say: Callable[[str], None] = print,
) -> None:
    """Train to the recipe's last step (or to `stop_after`), going on from the newest state in `out`."""
    folder = RunFolder(path=out)
    contract = contract_of_suite(suite, name=recipe.name, cameras=recipe.cameras)
    frames = read_frames(data, contract, size=_image_size(recipe), cache=cache)
    is_validation = held_out(frames.episode, share=recipe.validation_share, seed=recipe.seed)
    training = np.flatnonzero(~is_validation)
    contract = fitted_contract(contract, frames, training, recipe)
    start = start_model(recipe, contract, frames.instructions)
    low, high = position_bounds(frames.marks[training])
    record = RunRecord(
        recipe=recipe,
        commands=(command,),
        versions=tuple((name, version(name)) for name in _LIBRARIES),
        data=frames.digests,
        frames=len(training),
        validation_frames=int(is_validation.sum()),
        episodes=len(np.unique(frames.episode)),
        position_low=tuple(low),
        position_high=tuple(high),
    )
    if processes.is_first:
        _begin_or_go_on(folder, record, contract, start)
    task = Task(
        recipe=recipe,
        contract=contract,
        config=start.config,
        samples=Samples(
            frames, contract, start.config, start.tokenizer, position_low=low, position_high=high
        ),
        epochs=Epochs(
            repeated(training, frames.approaching[training], recipe.approach_weight), seed=recipe.seed
        ),
        validation=_validation_frames(np.flatnonzero(is_validation), recipe.seed),
        half_range=0.5 * (torch.tensor(high) - torch.tensor(low)).to(processes.device, torch.float32),
    )
    if processes.is_first:
        approach = frames.approaching[training].mean()
        weights = sum(parameter.numel() for parameter in start.policy.parameters())
        say(
            f"{recipe.name}: {len(training)} frames of {record.episodes} episodes, {approach:.0%} approach; "
            f"{weights / 1e6:.2f} M weights, "
            f"{recipe.steps} steps of {recipe.batch} on {processes.count} x {processes.device}"
        )
    _run(task, start.policy.to(processes.device), folder, processes, stop_after or recipe.steps, say)


def _image_size(recipe: Recipe) -> int:
    if recipe.initial is None:
        return preset(recipe.model).image_size
    return open_checkpoint(Path(recipe.initial), verify_digest=False).config.image_size


def _begin_or_go_on(folder: RunFolder, record: RunRecord, contract: PolicyContract, start: Start) -> None:
    if not folder.exists():
        folder.begin(record, contract, start.config, start.tokenizer)
        return
    old = folder.record()
    for name in ("recipe", "data"):
        if getattr(old, name) != getattr(record, name):
            raise ContractError(
                f"{folder.path}: this run has another {name}; go on with the command that began it "
                f"({old.commands[0]}), or choose another --out"
            )
    folder.write_record(replace(record, commands=(*old.commands, *record.commands)))


def _validation_frames(frames: Indices, seed: int) -> Indices:
    return np.random.default_rng([seed, 0x7A1]).permutation(frames)[:_VALIDATION_FRAMES]


def _run(
    task: Task,
    policy: OftPolicy,
    folder: RunFolder,
    processes: Processes,
    last: int,
    say: Callable[[str], None],
) -> None:
    recipe = task.recipe
    processes.shard(policy)
    optimisers = make_optimisers(policy.named_parameters(), recipe)
    begun = (folder.steps() or [0])[-1]
    if begun:
        restore_state(folder.load_state(begun), policy, optimisers)
        if processes.is_first:
            say(f"goes on after step {begun}")
    board = None
    if processes.is_first:
        folder.forget_metrics_after(begun)
        board = SummaryWriter(str(folder.path), purge_step=begun + 1)
    progress = Progress()
    for step in range(begun, last):
        _step(task, policy, optimisers, processes, step, progress)
        done = step + 1
        if done % recipe.log_every == 0 or done == last:
            row = _row(progress, processes, recipe, done)
            if done % recipe.validation_every == 0 or done == last:
                row |= _validate(task, policy, processes)
            if board is not None:
                folder.append_metrics(row)
                for name, value in row.items():
                    board.add_scalar(name, value, done)
                say(_line(row, recipe))
            progress = Progress()
        if done % recipe.save_every == 0 or done == last:
            tensors = gather_state(policy, optimisers)
            if processes.is_first:
                folder.save_state(done, tensors, keep=recipe.keep)
    if board is not None:
        board.close()


def _step(
    task: Task,
    policy: OftPolicy,
    optimisers: Sequence[torch.optim.Optimizer],
    processes: Processes,
    step: int,
    progress: Progress,
) -> None:
    recipe = task.recipe
    indices = task.epochs.batch(step, recipe.batch)
    counts = task.samples.counts(indices)
    for micro in range(recipe.accumulate):
        part = processes.part(recipe.batch, micro, recipe.accumulate)
        sample = task.samples.training(indices, part, recipe.augmentation, seed=recipe.seed, step=step)
        # FSDP averages gradients over the processes; each of them has its part of one sum
        loss = processes.count * _forward(task, policy, sample, counts, processes, progress.sums)
        loss.backward()
    if recipe.largest_gradient:
        torch.nn.utils.clip_grad_norm_(policy.parameters(), recipe.largest_gradient)
    set_rates(optimisers, rate_factor(step, recipe))
    for optimiser in optimisers:
        optimiser.step()
        optimiser.zero_grad()
    progress.steps += 1
    progress.approach_steps += int(counts.approaching > 0)


def _forward(
    task: Task,
    policy: OftPolicy,
    sample: Sample,
    counts: Counts,
    processes: Processes,
    sums: dict[str, Tensor],
) -> Tensor:
    """The loss of these rows, its parts and the errors added to `sums`."""
    device, targets = processes.device, _on(sample.targets, processes.device)
    is_bf16 = task.recipe.precision == "bf16"
    with torch.autocast(device.type, torch.bfloat16) if is_bf16 else nullcontext():
        out = policy(sample.x.to(device), choices_for(targets.actions, task.config))
    loss, parts = total_loss(out, targets, counts, task.recipe.loss)
    for name, value in (parts | approach_errors(out, targets, counts, task.half_range)).items():
        sums[name] = sums.get(name, 0.0) + value
    return loss


def _on(targets: Targets, device: torch.device) -> Targets:
    def moved(value: Tensor | None) -> Tensor | None:
        return None if value is None else value.to(device)

    return Targets(
        actions=targets.actions.to(device),
        heat_maps=moved(targets.heat_maps),
        seen=moved(targets.seen),
        positions=moved(targets.positions),
        approaching=targets.approaching.to(device),
    )


def _row(progress: Progress, processes: Processes, recipe: Recipe, done: int) -> dict[str, float]:
    """Means over the steps since the last line."""
    names = sorted(progress.sums)
    values = processes.summed(torch.stack([progress.sums[name].float() for name in names])).tolist()
    row: dict[str, float] = {"step": done, "samples": done * recipe.batch}
    for name, value in zip(names, values):
        steps = progress.approach_steps if name.startswith("approach_") else progress.steps
        row[name] = value / max(steps, 1)
    seconds = time.monotonic() - progress.since
    row["samples_per_second"] = progress.steps * recipe.batch / seconds
    row["rate_factor"] = rate_factor(done - 1, recipe)
    return row


@torch.no_grad()
def _validate(task: Task, policy: OftPolicy, processes: Processes) -> dict[str, float]:
    """The errors on frames of episodes that are not trained on, as a server would see them."""
    if not len(task.validation):
        return {}
    counts = task.samples.counts(task.validation)
    sums: dict[str, Tensor] = {}
    size = min(task.recipe.batch // task.recipe.accumulate, 64)
    for first in range(0, len(task.validation), size):
        # every process computes all of it: sharded weights need all processes in every pass
        sample = task.samples.served(task.validation[first : first + size])
        _forward(task, policy, sample, counts, processes, sums)
    return {f"validation/{name}": float(value) for name, value in sums.items()}


def _line(row: dict[str, float], recipe: Recipe) -> str:
    left = (recipe.steps - row["step"]) * recipe.batch / row["samples_per_second"]
    said = [
        f"step {row['step']:.0f}/{recipe.steps}",
        f"loss {row['total']:.3f}",
        f"action {row['action']:.3f}",
        f"gripper {row['gripper']:.3f}",
    ]
    if "heat_maps" in row:
        said.append(f"heat map {row['heat_maps']:.2f}")
    said.append(f"approach: xy {row['approach_xy']:.3f}")
    if "approach_object" in row:
        said.append(f"object {100 * row['approach_object']:.1f} cm")
    if "validation/approach_xy" in row:
        said.append(f"unseen: xy {row['validation/approach_xy']:.3f}")
    if "validation/approach_object" in row:
        said.append(f"object {100 * row['validation/approach_object']:.1f} cm")
    said.append(f"{row['samples_per_second']:.0f} samples/s, {left / 60:.0f} min left")
    return " · ".join(said)
