"""Reads the tables of a LeRobotDataset v3.0 folder: one row per frame, in the order of writing.

Only columns that were asked for leave the disk; pictures are given row by row, for they do not fit in memory.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from policy_server.strict_json import read_json_file
from robot_contract.errors import ContractError

PICTURES = "observation.images."


@dataclass(frozen=True, kw_only=True)
class DatasetFolder:
    path: Path
    fps: float  # [Hz] of its frames
    features: frozenset[str]
    instructions: tuple[str, ...]  # by task_index
    files: tuple[Path, ...]

    @property
    def cameras(self) -> tuple[str, ...]:
        return tuple(
            sorted(name.removeprefix(PICTURES) for name in self.features if name.startswith(PICTURES))
        )

    def digest(self) -> str:
        """sha256 over the tables, pictures included."""
        found = hashlib.sha256()
        for file in (*self.files, self.path / "meta/tasks.parquet"):
            found.update(file.relative_to(self.path).as_posix().encode())
            with file.open("rb") as stream:
                found.update(hashlib.file_digest(stream, "sha256").digest())
        return found.hexdigest()

    def column(self, name: str, width: Sequence[int] = ()) -> npt.NDArray[Any]:
        """(rows, *width), all files one after the other."""
        if name not in self.features:
            raise ContractError(
                f"{self.path}: expected a column {name!r}, found {', '.join(sorted(self.features))}"
            )
        parts = [_array(pq.read_table(file, columns=[name]).column(name)) for file in self.files]
        values = np.concatenate(parts)
        try:
            return values.reshape(-1, *width) if width else values
        except ValueError:
            raise ContractError(
                f"{self.path}: column {name!r}: expected {tuple(width)} numbers a row, found {values.shape}"
            ) from None

    def jpegs(self, camera: str) -> Iterator[bytes]:
        name = PICTURES + camera
        for file in self.files:
            with pq.ParquetFile(file) as table:
                for batch in table.iter_batches(batch_size=256, columns=[name]):
                    for picture in cast(list[dict[str, Any]], batch.column(0).to_pylist()):
                        yield picture["bytes"]


def open_dataset(path: Path) -> DatasetFolder:
    info_file = path / "meta/info.json"
    if not info_file.exists():
        raise ContractError(
            f"{path}: expected a finished LeRobotDataset v3.0, found no meta/info.json"
            " (`sim-train demos` writes it last)"
        )
    info = cast(dict[str, Any], read_json_file(info_file))
    version = info.get("codebase_version")
    if version != "v3.0":
        raise ContractError(f"{info_file}: codebase_version: expected v3.0, found {version!r}")
    files = tuple(sorted((path / "data").glob("chunk-*/file-*.parquet")))
    if not files:
        raise ContractError(f"{path}: expected tables data/chunk-*/file-*.parquet, found none")
    features = cast(dict[str, dict[str, Any]], info["features"])
    films = [name for name, feature in features.items() if feature.get("dtype") == "video"]
    if films:
        raise ContractError(f"{path}: expected pictures (dtype image), found films: {', '.join(films)}")
    return DatasetFolder(
        path=path,
        fps=float(info["fps"]),
        features=frozenset(features),
        instructions=_instructions(path / "meta/tasks.parquet"),
        files=files,
    )


def _instructions(file: Path) -> tuple[str, ...]:
    table = pq.read_table(file)
    texts = next(name for name in table.column_names if name != "task_index")  # a pandas index, by any name
    said = dict(zip(table["task_index"].to_pylist(), table[texts].to_pylist()))
    return tuple(str(said[number]) for number in sorted(said))


def _array(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """Nested lists are flattened; the caller knows the shape."""
    if len(column) == 0:
        return np.zeros(0)
    flat = column.combine_chunks()
    if isinstance(flat, pa.ChunkedArray):
        flat = pa.concat_arrays(flat.chunks)
    while pa.types.is_list(flat.type) or pa.types.is_fixed_size_list(flat.type):
        flat = flat.flatten()
    return flat.to_numpy(zero_copy_only=False)
