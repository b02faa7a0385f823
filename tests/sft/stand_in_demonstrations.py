"""A small data set of the stand-in suite, in the layout that `sim-train demos` writes."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from robot_bridge.observation import encode_for_policy
from sim_train.simulation import Episode
from sim_train.stand_in import STAND_IN, StandIn

K = STAND_IN.chunk_length


def write_demonstrations(folder: Path, *, episodes: int, task: str = "two", first_seed: int = 0) -> Path:
    """Every second frame of the expert's episodes, one file for each half of them."""
    simulation = StandIn()
    rows, tasks = [], {}
    for number in range(episodes):
        simulation.reset(Episode(suite="stand-in", task=task, seed=first_seed + number))
        tasks.setdefault(simulation.instruction, len(tasks))
        frame, is_over = 0, False
        while not is_over:
            chunk = simulation.expert(K)
            rows.append(_row(simulation, chunk, number, frame, len(rows), tasks[simulation.instruction]))
            is_over = simulation.step(chunk[:2]).is_over
            frame += 1
    (folder / "data/chunk-000").mkdir(parents=True)
    (folder / "meta").mkdir()
    half = len(rows) // 2
    for number, part in enumerate((rows[:half], rows[half:])):
        pq.write_table(
            pa.Table.from_pylist(part, schema=_SCHEMA), folder / f"data/chunk-000/file-{number:03d}.parquet"
        )
    pq.write_table(
        pa.table({"task_index": list(tasks.values()), "task": list(tasks)}), folder / "meta/tasks.parquet"
    )
    info = {
        "codebase_version": "v3.0",
        "fps": 5,
        "total_frames": len(rows),
        "features": {name: {"dtype": _dtype(name)} for name in _SCHEMA.names},
    }
    (folder / "meta/info.json").write_text(json.dumps(info), encoding="utf-8")
    return folder


_SCHEMA = pa.schema(
    [
        ("observation.state", pa.list_(pa.float32(), 9)),
        ("observation.joint_position", pa.list_(pa.float32(), 7)),
        ("observation.images.external", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        ("action", pa.list_(pa.float32(), 7)),
        ("action.expert_chunk", pa.list_(pa.list_(pa.float32(), 7), K)),
        ("is_demonstration", pa.bool_()),
        ("observation.marks", pa.list_(pa.list_(pa.float32(), 3), 2)),
        ("observation.mark_pixels.external", pa.list_(pa.list_(pa.float32(), 2), 2)),
        ("episode_index", pa.int64()),
        ("frame_index", pa.int64()),
        ("index", pa.int64()),
        ("task_index", pa.int64()),
    ]
)


def _dtype(name: str) -> str:
    return "image" if "images" in name else "float32"


def _row(simulation: StandIn, chunk: np.ndarray, episode: int, frame: int, index: int, task: int) -> dict:
    reading = simulation.read()
    pose = reading.tcp_pose
    return {
        "observation.state": [
            *pose.position,
            *pose.quaternion,
            reading.gripper_width,
            reading.gripper_command,
        ],
        "observation.joint_position": reading.joint_position.tolist(),
        "observation.images.external": {
            "bytes": encode_for_policy(simulation.look()["external"]),
            "path": f"{index}.jpg",
        },
        "action": chunk[0].tolist(),
        "action.expert_chunk": chunk.tolist(),
        "is_demonstration": index % 10 != 9,
        "observation.marks": simulation.marks().tolist(),
        "observation.mark_pixels.external": simulation.mark_pixels()["external"].tolist(),
        "episode_index": episode,
        "frame_index": frame,
        "index": index,
        "task_index": task,
    }
