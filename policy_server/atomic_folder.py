"""Write a folder whole or not at all: it appears under its name only when everything in it is on the disk.

A writer that was killed leaves a hidden folder that no other program takes for anything; the next writer of
the same name removes it.
"""

import fcntl
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
    prefix = f".{path.name}.partial-"
    _remove_abandoned(path.parent, prefix)
    partial = Path(tempfile.mkdtemp(prefix=prefix, dir=path.parent))
    lock = os.open(partial, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the system lets go of it when this process ends, however
        folder_mode = _mode_of_a_new_folder(partial)
        yield partial
        partial.chmod(folder_mode)
        for folder, _, files in os.walk(partial):
            for name in files:
                (Path(folder) / name).chmod(folder_mode & 0o666)  # some writers begin private
                _flush(Path(folder) / name)
            _flush(Path(folder))
        partial.rename(path)  # fails on a non-empty folder that appeared meanwhile
        _flush(path.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    finally:
        os.close(lock)


def _mode_of_a_new_folder(inside: Path) -> int:
    """What the umask leaves, which cannot be read without setting it; mkdtemp lets nobody else in."""
    probe = inside / "probe"
    probe.mkdir()
    mode = probe.stat().st_mode & 0o777
    probe.rmdir()
    return mode


def _remove_abandoned(parent: Path, prefix: str) -> None:
    for partial in parent.glob(f"{prefix}*"):
        lock = os.open(partial, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(partial)
        except BlockingIOError:
            continue  # somebody is writing it now
        finally:
            os.close(lock)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
