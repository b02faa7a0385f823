"""`sim-train sft RECIPE`: train a policy on demonstrations."""

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from sim_train.sft.recipe import OPENVLA_OFT_LIBERO, TINY_PUT_ON, Recipe


@dataclass(frozen=True, kw_only=True)
class Run:
    """Train a policy on demonstrations; the same command again goes on where it stopped."""

    data: tuple[Path, ...]
    """LeRobotDataset v3.0 folders, as `sim-train demos` writes them; several are joined."""
    out: Path
    """Folder of the run; `sim-train export` makes a checkpoint of it."""
    recipe: Annotated[Recipe, tyro.conf.arg(name="")]
    device: str = "cpu"
    """cpu, cuda or cuda:N. Started by torchrun, each process takes its own."""
    threads: int = 1
    """CPU threads for the mathematics."""
    stop_after: int | None = None
    """Stop at this step instead of the recipe's last, to go on later."""
    cache: Path | None = None
    """Where decoded pictures are kept; inside each data folder when left out."""


def _of(recipe: Recipe) -> Run:
    return Run(data=tyro.MISSING, out=tyro.MISSING, recipe=recipe)


_Run = (
    Annotated[
        Run,
        tyro.conf.subcommand(
            TINY_PUT_ON.name,
            default=_of(TINY_PUT_ON),
            prefix_name=False,
            description="A policy of 1.65 M weights from random ones, on one CPU core.",
        ),
    ]
    | Annotated[
        Run,
        tyro.conf.subcommand(
            OPENVLA_OFT_LIBERO.name,
            default=_of(OPENVLA_OFT_LIBERO),
            prefix_name=False,
            description="OpenVLA-OFT's published recipe for LIBERO: LoRA on 7.5 B weights, on GPUs.",
        ),
    ]
)


def sft(*, run: Annotated[_Run, tyro.conf.arg(name="")]) -> None:
    """Train a policy on demonstrations; the same command again goes on where it stopped.

    Args:
        run: What is trained and how; every number of the recipe is an option.
    """
    # Here, so that no other command waits for torch.
    import torch

    from sim_train.sft.processes import joined_processes
    from sim_train.sft.training import train
    from sim_train.suites import suite_named

    torch.set_num_threads(run.threads)
    with joined_processes(run.device) as processes:
        train(
            run.recipe,
            suite_named(run.recipe.suite),
            run.data,
            run.out,
            processes=processes,
            command=shlex.join(["sim-train", *sys.argv[1:]]),
            stop_after=run.stop_after,
            cache=run.cache,
        )
