"""Where the admin socket of a server lies: in a folder that only its owner can enter."""

import os
import stat
import tempfile
from pathlib import Path


def socket_path(port: int) -> Path:
    """The default socket of the server on this port, for this user."""
    return Path(tempfile.gettempdir()) / f"touchdown-{os.getuid()}" / f"policy-server-{port}.sock"


def make_private_folder(folder: Path) -> None:
    """Create the folder, or refuse one that somebody else could have put there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise PermissionError(
            f"{folder} must be a folder that only this user can enter (mode 0700);"
            " remove it or pass --admin-socket"
        )
