"""Is there all that PhysX on a GPU needs? Asked before SAPIEN would fetch it from the network itself."""

import ctypes
from pathlib import Path

import sapien
import torch

from robot_contract.errors import SimulationUnavailable

_DRIVER = "libcuda.so"
_LIBRARY = "libPhysXGpu_64.so"


def physx_library() -> Path:
    """Where SAPIEN looks for PhysX's GPU part, which its wheel does not hold."""
    return Path.home() / ".sapien" / "physx" / sapien.physx.version() / _LIBRARY


def require_gpu_physics() -> None:
    """Raise with everything that is missing."""
    missing: list[str] = []
    if not torch.cuda.is_available():
        missing.append(f"no CUDA device that torch {torch.__version__} can use")
    elif not _opens(_DRIVER):
        missing.append(f"the driver's {_DRIVER} is not where programs find libraries")
    if not physx_library().is_file():
        missing.append(
            f"no {physx_library()}: it is not in SAPIEN's wheel and has to be put there by hand, from the"
            f" release {sapien.physx.version()} of sapien-sim/physx-precompiled; nothing is fetched here"
        )
    if missing:
        raise SimulationUnavailable(f"physics on a GPU is not possible on this machine: {'; '.join(missing)}")


def _opens(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
