"""From a checkpoint folder to a model that serves, and what it occupies. Everything that needs torch."""

from pathlib import Path

import torch

from policy_server.checkpoint import DTYPES, open_checkpoint
from policy_server.device import usable_device
from policy_server.engine_policy import EnginePolicy


def load_model(path: Path, *, device: str, dtype: str) -> EnginePolicy:
    """`dtype` is a name of `DTYPES`, or empty for the one that is stored."""
    device = usable_device(device)
    return EnginePolicy(open_checkpoint(path), device=device, dtype=DTYPES[dtype] if dtype else None)


def gpu_memory() -> dict[str, int]:
    """Bytes on the accelerator by kind; empty without one."""
    if not torch.cuda.is_available():
        return {}
    free, total = torch.cuda.mem_get_info()
    return {"used": total - free, "total": total, "allocated": torch.cuda.memory_allocated()}
