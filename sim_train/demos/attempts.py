"""What has been tried so far, a file each: so a kill costs the episode under way and no other.

Attempts are numbered from 0, and a data set of N episodes takes the first N that succeeded by number: it is
the same whatever was interrupted, and however many workers there were.
"""

import fcntl
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from robot_contract.errors import RecordingError
from sim_train.demos.recording import Column, Demonstration

_DESCRIPTION = b"demonstration"  # key of a file's metadata


class Attempts:
    def __init__(self, folder: Path, *, already: Collection[int]) -> None:
        """`already` are the numbers that the data set holds; their files are not needed any more."""
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = (folder / ".lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise RecordingError(f"{folder.parent}: another program is recording into it") from None
        self.remove(already)
        self.good = set(already) | self._numbers(".parquet")
        self.failed = self._numbers(".failed")

    def chosen(self, episodes: int) -> list[int]:
        """The first so many that succeeded."""
        return sorted(self.good)[:episodes]

    def is_complete(self, episodes: int) -> bool:
        """So many succeeded, and nothing before the last of them is still to be tried."""
        chosen = self.chosen(episodes)
        return len(chosen) == episodes and self.next_number(()) > chosen[-1]

    def next_number(self, under_way: Collection[int]) -> int:
        number = 0
        while number in self.good or number in self.failed or number in under_way:
            number += 1
        return number

    def add(self, number: int, made: Demonstration, **described: Any) -> None:
        description = described | {
            "attempt": number,
            "instruction": made.instruction,
            "steps": made.steps,
            "sizes": dict(made.sizes),
            "shapes": {name: list(values.shape[1:]) for name, values in made.columns.items()},
            "statistics": {
                name: {key: value.tolist() for key, value in statistic.items()}
                for name, statistic in made.statistics.items()
            },
        }
        columns = {name: _array(values) for name, values in made.columns.items()}
        for camera, jpegs in made.pictures.items():
            columns[f"observation.images.{camera}"] = pa.StructArray.from_arrays(
                [pa.array(jpegs, pa.binary()), pa.nulls(len(jpegs), pa.string())], names=["bytes", "path"]
            )
        table = pa.table(columns).replace_schema_metadata({_DESCRIPTION: json.dumps(description)})
        unfinished = self._path(number, ".new")
        pq.write_table(table, unfinished)
        unfinished.rename(self._path(number, ".parquet"))
        self.good.add(number)

    def add_failed(self, number: int) -> None:
        self._path(number, ".failed").touch()
        self.failed.add(number)

    def read(self, number: int) -> tuple[pa.Table, dict[str, Any]]:
        table = pq.ParquetFile(self._path(number, ".parquet")).read(use_threads=False)
        return table, json.loads(table.schema.metadata[_DESCRIPTION])

    def remove(self, numbers: Collection[int]) -> None:
        for number in numbers:
            self._path(number, ".parquet").unlink(missing_ok=True)

    def close(self) -> None:
        self._lock.close()

    def _numbers(self, suffix: str) -> set[int]:
        return {int(path.stem) for path in self._folder.glob(f"*{suffix}")}

    def _path(self, number: int, suffix: str) -> Path:
        return self._folder / f"{number:08d}{suffix}"


def _array(values: Column) -> pa.Array:
    """Vectors as lists of fixed length; matrices as lists of lists, which is how `datasets` keeps them."""
    match values.ndim:
        case 1:
            return pa.array(values)
        case 2:
            return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])
        case _:
            return pa.array(values.tolist(), pa.list_(pa.list_(pa.float32())))
