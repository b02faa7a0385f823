"""An operator's wish for an export: which of the bridge's recordings, and where to.

The data set is written beside the recordings, in `exports`: a client names a folder there and no other place.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from robot_contract.errors import RecordingError
from robot_contract.messages import ExportRequest, Progress

FOLDER = "exports"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def recorded_trials_export(recordings: Path, request: ExportRequest) -> Iterator[Progress]:
    """Every finished trial, or those that are named."""
    if not _NAME.fullmatch(request.destination):
        raise RecordingError(
            f"destination {request.destination!r}: expected the name of a new folder under"
            f" {recordings / FOLDER}: letters, digits, dots, dashes and underscores"
        )
    chosen = sorted(recordings.glob("*.mcap"))
    if request.trial_ids:
        by_name = {path.stem: path for path in chosen}
        missing = [name for name in request.trial_ids if name not in by_name]
        if missing:
            raise RecordingError(f"not recorded here: {', '.join(missing)}")
        chosen = [by_name[name] for name in request.trial_ids]
    if not chosen:
        raise RecordingError(f"{recordings}: holds no finished recording")
    # Films and tables need libraries that a bridge which only records does not load.
    from robot_bridge.recording.export import export

    destination = recordings / FOLDER / request.destination
    destination.parent.mkdir(parents=True, exist_ok=True)
    yield from export(chosen, destination, request.format)
