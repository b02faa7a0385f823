"""`sim-train export RUN`: a trained policy as a checkpoint folder."""

import sys
from pathlib import Path
from typing import Literal


def export(
    run: Path,
    /,
    *,
    out: Path,
    name: str | None = None,
    step: int | None = None,
    dtype: Literal["fp32", "fp16", "bf16"] = "fp32",
    fp16: bool = False,
) -> None:
    """Write a checkpoint folder from a training run.

    Args:
        run: Folder of the run.
        out: The checkpoint folder, which must not exist.
        name: What clients ask for; the recipe's name when left out.
        step: The saved step that is exported; the last when left out.
        dtype: How the weights are stored.
        fp16: Short for --dtype fp16: half the size, answers within a thousandth of a step.
    """
    # Here, so that no other command waits for torch.
    from policy_server.checkpoint import DTYPES
    from sim_train.export import export_run

    checkpoint = export_run(run, out, name=name, step=step, dtype=DTYPES["fp16" if fp16 else dtype])
    size = sum(file.stat().st_size for file in checkpoint.path.rglob("*") if file.is_file())
    sys.stdout.write(f"{checkpoint.path}: policy {checkpoint.contract.name!r}, {size / 1e6:.1f} MB\n")
