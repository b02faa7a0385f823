"""Writes a LeRobotDataset v3.0 folder without importing lerobot: Parquet tables, MP4 films, JSON.

Layout and names follow `lerobot.datasets` of huggingface/lerobot. All episodes share one data file, a row
group each, and one film per camera.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import simplejpeg

from robot_bridge.recording import feature_statistics
from robot_bridge.recording.episodes import ACTION_NAMES, STATE_NAMES, Episode
from robot_bridge.recording.feature_statistics import Statistic
from robot_bridge.recording.video import VideoFile

_FILE = "chunk-000/file-000"
_VECTORS = {
    "observation.state": ("state", STATE_NAMES),
    "observation.joint_position": ("joint_position", tuple(f"joint_{i}" for i in range(1, 8))),
    "action": ("action", ACTION_NAMES),
    "action.executed": ("executed", ACTION_NAMES),
}
_SCALARS = {
    "verdict": "int64",
    "next.done": "bool",
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
}


class LeRobotWriter:
    def __init__(self, folder: Path, *, rate_hz: float, with_success: bool) -> None:
        self._folder = folder
        self._rate_hz = rate_hz
        self._scalars = dict(_SCALARS) | ({"next.success": "bool"} if with_success else {})
        self._tasks: dict[str, int] = {}
        self._rows: list[dict[str, Any]] = []  # of meta/episodes
        self._statistics: list[dict[str, Statistic]] = []
        self._frames = 0
        self._films: dict[str, VideoFile] = {}
        self._sizes: dict[str, tuple[int, int]] = {}  # height, width [px] by camera
        self._data = pq.ParquetWriter(self._made(f"data/{_FILE}.parquet"), self._schema())

    def add(self, episode: Episode) -> None:
        count, index = len(episode.frames), len(self._rows)
        task = self._tasks.setdefault(episode.instruction, len(self._tasks))
        numbers = np.arange(count)
        columns: dict[str, npt.NDArray[Any]] = {
            key: np.stack([getattr(frame, name) for frame in episode.frames]).astype(np.float32)
            for key, (name, _) in _VECTORS.items()
        }
        columns |= {
            "verdict": np.array([frame.verdict for frame in episode.frames]),
            "next.done": numbers == count - 1,
            "next.success": (numbers == count - 1) & bool(episode.success),
            "timestamp": (numbers / self._rate_hz).astype(np.float32),
            "frame_index": numbers,
            "episode_index": np.full(count, index),
            "index": self._frames + numbers,
            "task_index": np.full(count, task),
        }
        columns = {key: columns[key] for key in (*_VECTORS, *self._scalars)}
        self._data.write_table(
            pa.table([_array(values) for values in columns.values()], schema=self._schema())
        )
        statistics = {key: feature_statistics.of_values(values) for key, values in columns.items()}
        row: dict[str, Any] = {
            "episode_index": index,
            "tasks": [episode.instruction],
            "length": count,
            "data/chunk_index": 0,
            "data/file_index": 0,
            "dataset_from_index": self._frames,
            "dataset_to_index": self._frames + count,
            "meta/episodes/chunk_index": 0,
            "meta/episodes/file_index": 0,
            "trial_id": episode.trial_id,
            "success": episode.success,
            "recording": episode.path.name,
        }
        for camera in episode.frames[0].jpegs:
            begins_at = self._film(camera, episode, statistics)
            row |= {
                f"videos/{_key(camera)}/chunk_index": 0,
                f"videos/{_key(camera)}/file_index": 0,
                f"videos/{_key(camera)}/from_timestamp": begins_at,
                f"videos/{_key(camera)}/to_timestamp": begins_at + count / self._rate_hz,
            }
        for key, statistic in statistics.items():
            row |= {f"stats/{key}/{name}": value.tolist() for name, value in statistic.items()}
        self._rows.append(row)
        self._statistics.append(statistics)
        self._frames += count

    def _film(self, camera: str, episode: Episode, statistics: dict[str, Statistic]) -> float:
        """Add the episode's pictures to the camera's film; when they begin there [s]."""
        wanted, kept = set(feature_statistics.sampled(len(episode.frames))), []
        begins_at = 0.0
        for number, frame in enumerate(episode.frames):
            picture = simplejpeg.decode_jpeg(frame.jpegs[camera])
            if camera not in self._films:
                height, width = picture.shape[:2]
                self._sizes[camera] = (height, width)
                path = self._made(f"videos/{_key(camera)}/{_FILE}.mp4")
                self._films[camera] = VideoFile(path, rate_hz=self._rate_hz, width=width, height=height)
            if number == 0:
                begins_at = self._films[camera].count / self._rate_hz
            self._films[camera].add(picture)
            if number in wanted:
                kept.append(picture)
        statistics[_key(camera)] = feature_statistics.of_pictures(kept)
        return begins_at

    def close(self) -> None:
        """Write what describes the whole; only then is it a data set."""
        self._data.close()
        for film in self._films.values():
            film.close()
        pq.write_table(pa.Table.from_pylist(self._rows), self._made(f"meta/episodes/{_FILE}.parquet"))
        pq.write_table(tasks_table(self._tasks), self._made("meta/tasks.parquet"))
        keys = self._statistics[0].keys()
        statistics = {
            key: feature_statistics.of_all([each[key] for each in self._statistics]) for key in keys
        }
        self._write_json(
            "meta/stats.json",
            {
                key: {name: value.tolist() for name, value in statistic.items()}
                for key, statistic in statistics.items()
            },
        )
        self._write_json("meta/info.json", self._info())

    def _info(self) -> dict[str, Any]:
        rate = self._rate_hz
        return {
            "codebase_version": "v3.0",
            "robot_type": "franka",
            "total_episodes": len(self._rows),
            "total_frames": self._frames,
            "total_tasks": len(self._tasks),
            "chunks_size": 1000,
            "data_files_size_in_mb": 100,
            "video_files_size_in_mb": 500,
            "fps": int(rate) if rate == int(rate) else rate,
            "splits": {"train": f"0:{len(self._rows)}"},
            "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
            "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
            "features": self._features(),
        }

    def _features(self) -> dict[str, Any]:
        features: dict[str, Any] = {
            key: {"dtype": "float32", "shape": [len(names)], "names": list(names)}
            for key, (_, names) in _VECTORS.items()
        }
        for camera, (height, width) in self._sizes.items():
            features[_key(camera)] = {
                "dtype": "video",
                "shape": [height, width, 3],
                "names": ["height", "width", "channels"],
                "info": {
                    "video.height": height,
                    "video.width": width,
                    "video.codec": "h264",
                    "video.pix_fmt": "yuv420p",
                    "video.is_depth_map": False,
                    "video.fps": self._rate_hz,
                    "video.channels": 3,
                    "has_audio": False,
                },
            }
        for key, dtype in self._scalars.items():
            features[key] = {"dtype": dtype, "shape": [1], "names": None}
        return features

    def _schema(self) -> pa.Schema:
        kinds = {"bool": pa.bool_(), "int64": pa.int64(), "float32": pa.float32()}
        vectors = [(key, pa.list_(pa.float32(), len(names))) for key, (_, names) in _VECTORS.items()]
        return pa.schema(vectors + [(key, kinds[dtype]) for key, dtype in self._scalars.items()])

    def _made(self, name: str) -> Path:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _write_json(self, name: str, document: dict[str, Any]) -> None:
        self._made(name).write_text(json.dumps(document, indent=4), encoding="utf-8")


def _key(camera: str) -> str:
    return f"observation.images.{camera}"


def _array(values: npt.NDArray[Any]) -> pa.Array:
    if values.ndim == 1:
        return pa.array(values)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])


def tasks_table(tasks: dict[str, int]) -> pa.Table:
    """As pandas writes a frame whose index is the task's text."""
    table = pa.table({"task_index": list(tasks.values()), "task": list(tasks)})
    described = [
        {"name": "task_index", "field_name": "task_index", "pandas_type": "int64", "numpy_type": "int64"},
        {"name": "task", "field_name": "task", "pandas_type": "unicode", "numpy_type": "object"},
    ]
    pandas = {
        "index_columns": ["task"],
        "column_indexes": [],
        "columns": [{**column, "metadata": None} for column in described],
    }
    return table.replace_schema_metadata({"pandas": json.dumps(pandas)})
