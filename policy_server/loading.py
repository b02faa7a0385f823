"""From a checkpoint folder to a model that serves: loaded, and checked against its golden chunk."""

from pathlib import Path

import torch

from policy_server.checkpoint import DTYPES, open_checkpoint
from policy_server.eager_policy import EagerPolicy
from robot_contract.errors import ContractError


def load_model(path: Path, *, device: str, dtype: str) -> EagerPolicy:
    """`dtype` is a name of `DTYPES`, or empty for the one that is stored."""
    checkpoint = open_checkpoint(path)
    model = checkpoint.load_eager(device=device, dtype=DTYPES[dtype] if dtype else None)
    parameter = next(model.policy.parameters())
    complaint = checkpoint.golden.complaint(
        model.predict(checkpoint.golden.observation),
        device=str(parameter.device),
        dtype=str(parameter.dtype).removeprefix("torch."),
    )
    if complaint is not None:
        raise ContractError(f"{path} answers differently here than where it was saved: {complaint}")
    return model


def gpu_memory() -> dict[str, int]:
    """Bytes on the accelerator by kind; empty without one."""
    if not torch.cuda.is_available():
        return {}
    free, total = torch.cuda.mem_get_info()
    return {"used": total - free, "total": total, "allocated": torch.cuda.memory_allocated()}
