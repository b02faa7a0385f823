"""What people said of trials: a CSV file with the columns `trial_id` and `success`."""

import csv
from pathlib import Path

from robot_contract.errors import RecordingError

_YES, _NO = ("1", "true", "yes", "success"), ("0", "false", "no", "failure")


def read_outcomes(path: Path) -> dict[str, bool]:
    """Success by trial; an empty cell says nothing of its trial."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read: {error.strerror}") from error
    found: dict[str, bool] = {}
    for line, row in enumerate(rows, start=2):
        trial_id, success = row.get("trial_id"), row.get("success")
        if trial_id is None or success is None:
            raise RecordingError(
                f"{path}:{line}: expected the columns trial_id and success, found {list(row)}"
            )
        word = success.strip().lower()
        if word not in ("", *_YES, *_NO):
            accepted = ", ".join((*_YES, *_NO))
            raise RecordingError(f"{path}:{line}: success is {success!r}; accepted are {accepted} or nothing")
        if word:
            found[trial_id] = word in _YES
    return found
