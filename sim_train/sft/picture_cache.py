"""Every picture of a data set decoded once, into a file that is mapped: memory holds what is used of it.

The pictures are decoded and resized by the functions that serve a policy; only the crop, which training draws
at random, comes later.
"""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from policy_server.image_resampling import resize_lanczos3
from policy_server.preprocessing import decode_picture
from robot_contract.errors import ContractError
from robot_contract.messages import CameraImage
from robot_contract.policy_contract import CameraContract
from sim_train.sft.dataset_folder import DatasetFolder

Pictures = npt.NDArray[np.uint8]  # (rows, size, size, 3), RGB, on the disk

_AT_ONCE = 256


def cached_pictures(
    folder: DatasetFolder, camera: CameraContract, *, rows: int, size: int, digest: str, cache: Path
) -> Pictures:
    """The pictures of one camera, decoded on the first call and mapped on every other."""
    file = cache / f"{camera.name}-{size}px-{digest[:24]}.rgb"
    shape = (rows, size, size, 3)
    if not file.exists():
        _decode(folder, camera, file, shape)
    if file.stat().st_size != int(np.prod(shape)):
        raise ContractError(
            f"{file}: expected {int(np.prod(shape))} bytes, found {file.stat().st_size}; remove it"
        )
    return np.memmap(file, dtype=np.uint8, mode="r", shape=shape)


def _decode(folder: DatasetFolder, camera: CameraContract, file: Path, shape: tuple[int, ...]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    needed, free = int(np.prod(shape)), shutil.disk_usage(file.parent).free
    if not needed < 0.9 * free:
        raise ContractError(
            f"{file.parent}: {needed / 1e9:.1f} GB of pictures do not fit {free / 1e9:.1f} GB"
        )
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.", delete=False) as partial:
        partial_file = Path(partial.name)
        try:
            written, held = 0, list[npt.NDArray[np.uint8]]()
            for jpeg in folder.jpegs(camera.name):
                image = CameraImage(jpeg=jpeg, width=camera.width, height=camera.height, exposed_at=0.0)
                held.append(decode_picture(image, camera))
                if len(held) == _AT_ONCE:
                    written += len(held)
                    partial.write(_resized(held, shape[1]))
                    held = []
            written += len(held)
            partial.write(_resized(held, shape[1]) if held else b"")
            if written != shape[0]:
                raise ContractError(
                    f"{folder.path}: camera {camera.name}: expected {shape[0]} pictures, found {written}"
                )
        except BaseException:
            partial_file.unlink()
            raise
    partial_file.rename(file)


def _resized(pictures: list[npt.NDArray[np.uint8]], size: int) -> bytes:
    return resize_lanczos3(torch.from_numpy(np.stack(pictures)), size).numpy().tobytes()
