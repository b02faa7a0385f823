"""A few steps of the tiny policy on the stand-in suite."""

import dataclasses
from pathlib import Path
from typing import Any

import torch

from sim_train.sft.processes import Processes
from sim_train.sft.recipe import TINY_PUT_ON, Recipe
from sim_train.sft.run_folder import RunFolder
from sim_train.sft.training import train
from sim_train.stand_in import STAND_IN

ALONE = Processes(rank=0, count=1, device=torch.device("cpu"), mesh=None)
SHORT = dataclasses.replace(
    TINY_PUT_ON,
    suite="stand-in",
    steps=4,
    batch=4,
    warm_up=2,
    validation_share=0.25,
    validation_every=2,
    log_every=2,
    save_every=2,
)


def run(data: Path, out: Path, *, stop_after: int | None = None, **changes: Any) -> RunFolder:
    recipe: Recipe = dataclasses.replace(SHORT, **changes)
    train(
        recipe,
        STAND_IN,
        [data],
        out,
        processes=ALONE,
        command="sim-train sft tiny-put-on",
        stop_after=stop_after,
        say=lambda line: None,
    )
    return RunFolder(path=out)


def last_state(folder: RunFolder) -> dict[str, torch.Tensor]:
    return folder.load_state(folder.steps()[-1])
