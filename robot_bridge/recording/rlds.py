"""Writes episodes as RLDS, for `tensorflow_datasets.builder_from_directory`; needs no TensorFlow.

One TFRecord file per split, one `tf.train.Example` per episode, the steps' features flattened; pictures are
the recorded JPEG bytes.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg

from robot_bridge.recording.episodes import ACTION_NAMES, STATE_NAMES, Episode
from robot_bridge.recording.tfrecord import Feature, example, write_record

NAME, VERSION = "touchdown", "1.0.0"
UNKNOWN = -1  # of `success`: nobody judged the trial
_CLASS = "tensorflow_datasets.core.features."


class RldsWriter:
    def __init__(self, folder: Path, *, rate_hz: float) -> None:
        self._folder = folder / NAME / VERSION
        self._folder.mkdir(parents=True)
        self._rate_hz = rate_hz
        self._path = self._folder / f"{NAME}-train.tfrecord-00000-of-00001"
        self._file = self._path.open("xb")
        self._count = 0
        self._sizes: dict[str, tuple[int, int]] = {}  # height, width [px] by camera

    def add(self, episode: Episode) -> None:
        for camera, jpeg in episode.frames[0].jpegs.items():
            height, width, _, _ = simplejpeg.decode_jpeg_header(jpeg)
            self._sizes.setdefault(camera, (int(height), int(width)))
        write_record(self._file, example(_flattened(episode)))
        self._count += 1

    def close(self) -> None:
        self._file.close()
        split = {
            "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
            "name": "train",
            "numBytes": str(self._path.stat().st_size),
            "shardLengths": [str(self._count)],
        }
        info = {
            "description": f"Recorded trials; {self._rate_hz:g} steps a second; failures are kept.",
            "fileFormat": "tfrecord",
            "moduleName": f"{NAME}.{NAME}",
            "name": NAME,
            "releaseNotes": {VERSION: "As recorded."},
            "splits": [split],
            "version": VERSION,
        }
        (self._folder / "dataset_info.json").write_text(json.dumps(info, indent=2), encoding="utf-8")
        (self._folder / "features.json").write_text(
            json.dumps(_features(self._sizes), indent=2), encoding="utf-8"
        )


def _flattened(episode: Episode) -> dict[str, Feature]:
    frames, count = episode.frames, len(episode.frames)
    last = (np.arange(count) == count - 1).astype(np.int64)

    def floats(name: str) -> Feature:
        return np.concatenate([getattr(frame, name) for frame in frames]).astype(np.float32)

    flat: dict[str, Feature] = {
        "steps/action": floats("action"),
        "steps/action_executed": floats("executed"),
        "steps/observation/state": floats("state"),
        "steps/observation/joint_position": floats("joint_position"),
        "steps/verdict": np.array([frame.verdict for frame in frames], dtype=np.int64),
        "steps/language_instruction": [episode.instruction.encode()] * count,
        "steps/is_first": (np.arange(count) == 0).astype(np.int64),
        "steps/is_last": last,
        "steps/is_terminal": last if episode.is_whole else np.zeros(count, dtype=np.int64),
        "steps/discount": np.ones(count, dtype=np.float32),
        "steps/reward": (last * (episode.success is True)).astype(np.float32),
        "episode_metadata/trial_id": [episode.trial_id.encode()],
        "episode_metadata/recording": [episode.path.name.encode()],
        "episode_metadata/success": np.array(
            [UNKNOWN if episode.success is None else episode.success], dtype=np.int64
        ),
    }
    for camera in frames[0].jpegs:
        flat[f"steps/observation/{camera}"] = [frame.jpegs[camera] for frame in frames]
    return flat


def _features(sizes: dict[str, tuple[int, int]]) -> dict[str, Any]:
    """`features.json`: what stands in an episode, in the words of tensorflow_datasets."""
    observation = {
        "state": _tensor("float32", len(STATE_NAMES), f"Measured: {', '.join(STATE_NAMES)}; m, m."),
        "joint_position": _tensor("float32", 7, "Measured, rad."),
    }
    for camera, (height, width) in sizes.items():
        observation[camera] = _picture(height, width, f"Camera {camera}, the newest picture at that time.")
    names = ", ".join(ACTION_NAMES)
    steps = {
        "action": _tensor("float32", len(ACTION_NAMES), f"As the policy gave it: {names}; m, rad, 0..1."),
        "action_executed": _tensor("float32", len(ACTION_NAMES), "As it was sent after the safety filter."),
        "observation": _dictionary(observation),
        "verdict": _scalar("int64", "The gravest of the step: 0 PASS, 1 CLAMP, 2 HOLD, 3 STOP."),
        "language_instruction": {
            "pythonClassName": _CLASS + "text_feature.Text",
            "text": {},
            "description": "The trial's instruction.",
        },
        "is_first": _scalar("bool", "First step."),
        "is_last": _scalar("bool", "Last step."),
        "is_terminal": _scalar("bool", "Last step of a trial that was recorded to its end."),
        "discount": _scalar("float32", "1 throughout."),
        "reward": _scalar("float32", "1 at the last step of a success."),
    }
    metadata = {
        "trial_id": _text("The trial."),
        "recording": _text("The file that it was recorded in."),
        "success": _scalar("int64", f"1, 0, or {UNKNOWN} where nobody judged it."),
    }
    sequence = {"sequence": {"feature": _dictionary(steps), "length": "-1"}}
    return _dictionary(
        {
            "steps": {"pythonClassName": _CLASS + "dataset_feature.Dataset", **sequence},
            "episode_metadata": _dictionary(metadata),
        }
    )


def _dictionary(features: dict[str, Any]) -> dict[str, Any]:
    return {
        "pythonClassName": _CLASS + "features_dict.FeaturesDict",
        "featuresDict": {"features": features},
    }


def _tensor(dtype: str, width: int, description: str) -> dict[str, Any]:
    return {
        "pythonClassName": _CLASS + "tensor_feature.Tensor",
        "tensor": {"shape": {"dimensions": [str(width)]}, "dtype": dtype, "encoding": "none"},
        "description": description,
    }


def _scalar(dtype: str, description: str) -> dict[str, Any]:
    return {
        "pythonClassName": _CLASS + "scalar.Scalar",
        "tensor": {"shape": {}, "dtype": dtype, "encoding": "none"},
        "description": description,
    }


def _text(description: str) -> dict[str, Any]:
    return {"pythonClassName": _CLASS + "text_feature.Text", "text": {}, "description": description}


def _picture(height: int, width: int, description: str) -> dict[str, Any]:
    return {
        "pythonClassName": _CLASS + "image_feature.Image",
        "image": {
            "shape": {"dimensions": [str(height), str(width), "3"]},
            "dtype": "uint8",
            "encodingFormat": "jpeg",
        },
        "description": description,
    }
