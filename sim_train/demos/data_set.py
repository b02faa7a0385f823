"""A LeRobotDataset v3.0 folder that attempts are moved into, and that can be made longer later.

Pictures are JPEG bytes inside the Parquet files. `meta/episodes` says what the folder holds; it is replaced
in one go when the data is in place, and all that is derived from it is written after it.
"""

import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from robot_bridge.recording import feature_statistics
from robot_bridge.recording.episodes import ACTION_NAMES
from robot_bridge.recording.lerobot import tasks_table
from robot_contract.errors import RecordingError
from sim_train.demos.attempts import Attempts

STATE_NAMES = ("x", "y", "z", "qx", "qy", "qz", "qw", "gripper_width", "gripper_command")
SETTINGS = "meta/demonstrations.json"
EPISODES = "meta/episodes/chunk-000/file-000.parquet"
_NAMES = {"observation.state": STATE_NAMES, "action": ACTION_NAMES}
_CHUNK_FILES = 1000
_FILE_BYTES = 100_000_000
_FEATURES = b"features"  # key of the episodes' metadata

Row = dict[str, Any]  # of meta/episodes


def open_folder(folder: Path, settings: Mapping[str, Any]) -> None:
    """Begin a data set, or go on with one of equal settings."""
    known = folder / SETTINGS
    if not known.exists():
        if folder.exists() and any(folder.iterdir()):
            raise RecordingError(f"{folder}: is not empty, and no demonstrations were recorded into it")
        _replace(known, lambda place: _write_json(place, settings))
    before = json.loads(known.read_text(encoding="utf-8"))
    different = [
        f"{name} {before.get(name)!r} and not {settings.get(name)!r}"
        for name in sorted(before.keys() | settings.keys())
        if before.get(name) != settings.get(name)
    ]
    if different:
        raise RecordingError(
            f"{folder}: was recorded with {', '.join(different)}; take these settings or another folder"
        )


def read_rows(folder: Path) -> list[Row]:
    """Of the episodes that the data set holds."""
    path = folder / EPISODES
    return pq.read_table(path).to_pylist() if path.exists() else []


def assemble(folder: Path, attempts: Attempts, numbers: Collection[int], *, fps: float) -> None:
    """Move these attempts behind the episodes that are there."""
    rows = read_rows(folder)
    held = {row["attempt"] for row in rows}
    new = [number for number in sorted(numbers) if number not in held]
    features = _known_features(folder)
    data = _DataFiles(folder, rows)
    for number in new:
        table, description = attempts.read(number)
        features = features or _features(table, description, fps)
        data.add(table, description, fps)
    data.close()
    table = _rows_table(rows).replace_schema_metadata({_FEATURES: json.dumps(features)})
    _replace(folder / EPISODES, lambda place: pq.write_table(table, place))
    _write_derived(folder, rows, features, fps)
    attempts.remove(new)


class _DataFiles:
    """Appends to `rows` what it writes; the files get their names when it is closed."""

    def __init__(self, folder: Path, rows: list[Row]) -> None:
        self._folder, self._rows = folder, rows
        self._file = 0
        if rows:
            last = rows[-1]
            self._file = last["data/chunk_index"] * _CHUNK_FILES + last["data/file_index"] + 1
        self._tasks = tasks_of(rows)
        self._writer: pq.ParquetWriter | None = None
        self._unfinished: list[tuple[Path, Path]] = []
        self._bytes = 0

    def add(self, table: pa.Table, description: dict[str, Any], fps: float) -> None:
        begin = self._rows[-1]["dataset_to_index"] if self._rows else 0
        count, index = len(table), len(self._rows)
        task = self._tasks.setdefault(description["instruction"], len(self._tasks))
        frame_index = table["frame_index"].to_numpy()
        for name, values in (
            ("timestamp", (frame_index / fps).astype(np.float32)),
            ("episode_index", np.full(count, index)),
            ("index", begin + np.arange(count)),
            ("task_index", np.full(count, task)),
        ):
            table = table.append_column(name, pa.array(values))
        table = table.replace_schema_metadata(None)
        if self._writer is None or self._bytes > _FILE_BYTES:
            self._next_file(table.schema)
        assert self._writer is not None
        self._writer.write_table(table, row_group_size=max(1, count))
        self._bytes += table.nbytes
        chunk, file = divmod(self._file, _CHUNK_FILES)
        row: Row = {
            "episode_index": index,
            "tasks": [description["instruction"]],
            "length": count,
            "data/chunk_index": chunk,
            "data/file_index": file,
            "dataset_from_index": begin,
            "dataset_to_index": begin + count,
            "meta/episodes/chunk_index": 0,
            "meta/episodes/file_index": 0,
        }
        row |= {key: description[key] for key in ("attempt", "task", "seed", "steps")}
        for name, statistic in description["statistics"].items():
            row |= {f"stats/{name}/{key}": value for key, value in statistic.items()}
        self._rows.append(row)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        for unfinished, place in self._unfinished:
            unfinished.rename(place)

    def _next_file(self, schema: pa.Schema) -> None:
        if self._writer is not None:
            self._writer.close()
            self._file += 1
        chunk, file = divmod(self._file, _CHUNK_FILES)
        place = self._folder / f"data/chunk-{chunk:03d}/file-{file:03d}.parquet"
        place.parent.mkdir(parents=True, exist_ok=True)
        unfinished = place.with_suffix(".new")
        self._unfinished.append((unfinished, place))
        self._writer, self._bytes = pq.ParquetWriter(unfinished, schema), 0


def tasks_of(rows: list[Row]) -> dict[str, int]:
    """Index by instruction."""
    tasks: dict[str, int] = {}
    for row in rows:
        tasks.setdefault(row["tasks"][0], len(tasks))
    return tasks


def _write_derived(folder: Path, rows: list[Row], features: Mapping[str, Any], fps: float) -> None:
    tasks = tasks_table(tasks_of(rows))
    _replace(folder / "meta/tasks.parquet", lambda place: pq.write_table(tasks, place))
    _replace(folder / "meta/stats.json", lambda place: _write_json(place, _statistics(rows)))
    info = {
        "codebase_version": "v3.0",
        "robot_type": "franka",
        "total_episodes": len(rows),
        "total_frames": rows[-1]["dataset_to_index"],
        "total_tasks": len(tasks),
        "chunks_size": _CHUNK_FILES,
        "data_files_size_in_mb": _FILE_BYTES // 1_000_000,
        "video_files_size_in_mb": 500,
        "fps": int(fps) if fps == int(fps) else fps,
        "splits": {"train": f"0:{len(rows)}"},
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": None,
        "features": features,
    }
    _replace(folder / "meta/info.json", lambda place: _write_json(place, info))


def _statistics(rows: list[Row]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    names = {key.split("/")[1] for row in rows for key in row if key.startswith("stats/")}
    for name in sorted(names):
        episodes = [
            {key: np.array(row[f"stats/{name}/{key}"]) for key in ("min", "max", "mean", "std", "count")}
            for row in rows
            if row.get(f"stats/{name}/count") is not None
        ]
        merged = feature_statistics.of_all(episodes)
        found[name] = {key: value.tolist() for key, value in merged.items()}
    return found


def _known_features(folder: Path) -> dict[str, Any]:
    path = folder / EPISODES
    return json.loads(pq.read_schema(path).metadata[_FEATURES]) if path.exists() else {}


def _features(table: pa.Table, description: Mapping[str, Any], fps: float) -> dict[str, Any]:
    features: dict[str, Any] = {}
    for name, shape in description["shapes"].items():
        kind = table.schema.field(name).type
        while pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
            kind = kind.value_type
        dtype = {"float": "float32"}.get(str(kind), str(kind))
        names = list(_NAMES[name]) if name in _NAMES else None
        features[name] = {"dtype": dtype, "shape": shape or [1], "names": names}
    for camera, (height, width) in description["sizes"].items():
        features[f"observation.images.{camera}"] = {
            "dtype": "image",
            "shape": [height, width, 3],
            "names": ["height", "width", "channels"],
        }
    features["timestamp"] = {"dtype": "float32", "shape": [1], "names": None}
    for name in ("episode_index", "index", "task_index"):
        features[name] = {"dtype": "int64", "shape": [1], "names": None}
    return features


def _rows_table(rows: list[Row]) -> pa.Table:
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table({name: [row.get(name) for row in rows] for name in names})


def _replace(place: Path, write: Callable[[Path], object]) -> None:
    """The file is the old one or the new one, never a part of one."""
    place.parent.mkdir(parents=True, exist_ok=True)
    unfinished = place.with_name(place.name + ".new")
    write(unfinished)
    unfinished.rename(place)


def _write_json(place: Path, document: Mapping[str, Any]) -> None:
    place.write_text(json.dumps(document, indent=4), encoding="utf-8")
