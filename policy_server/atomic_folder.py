"""Write a folder whole or not at all: it appears under its name only when everything in it is on the disk."""

import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from robot_contract.errors import ContractError


@contextmanager
def new_folder(path: Path) -> Generator[Path]:
    """Give a temporary sibling to write into: at the block's end it becomes `path`, on an error it vanishes.

    `path` must not exist: a checkpoint is never written over.
    """
    if path.exists():
        raise ContractError(f"{path}: expected a name that is free, found something there already")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{path.name}.partial-", dir=path.parent))
    try:
        yield partial
        partial.chmod(0o755)  # mkdtemp lets nobody else in
        for folder, _, files in os.walk(partial):
            for name in files:
                (Path(folder) / name).chmod(0o644)  # some writers begin private
                _flush(Path(folder) / name)
            _flush(Path(folder))
        partial.rename(path)  # fails on a non-empty folder that appeared meanwhile
        _flush(path.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
