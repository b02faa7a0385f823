"""What is learned from: every frame that is a demonstration, as plain arrays; pictures stay on the disk.

N frames, C cameras, K chunk length.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from policy_server.proprioception import build_proprioception
from robot_contract.errors import ContractError
from robot_contract.policy_contract import ACTION_WIDTH, PolicyContract
from robot_contract.pose import Pose
from sim_train.sft.dataset_folder import DatasetFolder, open_dataset
from sim_train.sft.picture_cache import Pictures, cached_pictures

Numbers = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

NEAR = 0.03  # [m] in x and y: nearer than this the hand is at the object, or holds it


@dataclass(frozen=True, kw_only=True, eq=False)
class Frames:
    instructions: tuple[str, ...]
    instruction: Indices  # (N,) which of them
    episode: Indices  # (N,) counted over all folders
    state: npt.NDArray[np.float64]  # (N, 9) position, quaternion, gripper width, last commanded opening
    joints: npt.NDArray[np.float64]  # (N, 7) [rad]
    chunks: Numbers  # (N, K, 7) physical: metres, radians, opening 0..1
    marks: Numbers  # (N, 2, 3) [m, base frame] the named object and where it is to go; NaN where unknown
    mark_pixels: Numbers  # (N, C, 2, 2) the same in the pictures, fractions 0..1; NaN where out of sight
    approaching: npt.NDArray[np.bool_]  # (N,) the hand is not yet at the named object
    folder: Indices  # (N,) which folder's pictures
    row: Indices  # (N,) which row of that folder
    pictures: tuple[tuple[Pictures, ...], ...]  # by folder and camera
    digests: tuple[tuple[str, str], ...]  # each folder's name and the sha256 of its tables

    def __len__(self) -> int:
        return len(self.row)

    def pictures_of(self, indices: Indices, camera: int) -> npt.NDArray[np.uint8]:
        """(n, size, size, 3)"""
        first = self.pictures[0][camera]
        out = np.empty((len(indices), *first.shape[1:]), np.uint8)
        for at, index in enumerate(indices):
            out[at] = self.pictures[self.folder[index]][camera][self.row[index]]
        return out


def read_frames(
    paths: Sequence[Path], contract: PolicyContract, *, size: int, cache: Path | None = None
) -> Frames:
    """Join the demonstrations of several folders; `cache` takes the pictures (None: `.pictures` in each)."""
    if not paths:
        raise ContractError("data: expected at least one data set folder, found none")
    parts = [_read_folder(open_dataset(path), contract, size, cache or path / ".pictures") for path in paths]
    instructions = sorted({text for part in parts for text in part.instructions})
    number_of = {text: number for number, text in enumerate(instructions)}
    episodes_before = np.cumsum([0, *(part.episode.max() + 1 for part in parts)])
    return Frames(
        instructions=tuple(instructions),
        instruction=np.concatenate(
            [np.array([number_of[t] for t in part.instructions])[part.instruction] for part in parts]
        ),
        episode=np.concatenate([part.episode + before for part, before in zip(parts, episodes_before)]),
        state=np.concatenate([part.state for part in parts]),
        joints=np.concatenate([part.joints for part in parts]),
        chunks=np.concatenate([part.chunks for part in parts]),
        marks=np.concatenate([part.marks for part in parts]),
        mark_pixels=np.concatenate([part.mark_pixels for part in parts]),
        approaching=np.concatenate([part.approaching for part in parts]),
        folder=np.concatenate([np.full(len(part), number) for number, part in enumerate(parts)]),
        row=np.concatenate([part.row for part in parts]),
        pictures=tuple(part.pictures[0] for part in parts),
        digests=tuple(named for part in parts for named in part.digests),
    )


def _read_folder(folder: DatasetFolder, contract: PolicyContract, size: int, cache: Path) -> Frames:
    missing = [camera.name for camera in contract.cameras if camera.name not in folder.cameras]
    if missing:
        raise ContractError(f"{folder.path}: expected cameras {missing}, found {list(folder.cameras)}")
    episode = folder.column("episode_index").astype(np.int64)
    action = folder.column("action", (ACTION_WIDTH,)).astype(np.float32)
    rows = len(action)
    chunks, usable = _chunks(folder, contract, action, episode)
    if "is_demonstration" in folder.features:
        usable &= folder.column("is_demonstration").astype(bool)
    usable &= np.isfinite(chunks).all(axis=(1, 2))
    kept = np.flatnonzero(usable)
    if not len(kept):
        raise ContractError(f"{folder.path}: expected demonstrations, found none among {rows} frames")
    state = _state(folder, action, episode)
    joints = folder.column("observation.joint_position", (7,)).astype(np.float64)
    marks = _or_nan(folder, "observation.marks", (2, 3), rows)
    pixels = [
        _or_nan(folder, f"observation.mark_pixels.{camera.name}", (2, 2), rows) for camera in contract.cameras
    ]
    digest = folder.digest()
    return Frames(
        instructions=folder.instructions,
        instruction=folder.column("task_index").astype(np.int64)[kept],
        episode=episode[kept],
        state=state[kept],
        joints=joints[kept],
        chunks=chunks[kept],
        marks=marks[kept],
        mark_pixels=np.stack(pixels, axis=1)[kept],
        approaching=is_approaching(state[kept, :2], marks[kept]),
        folder=np.zeros(len(kept), np.int64),
        row=kept,
        pictures=(
            tuple(
                cached_pictures(folder, camera, rows=rows, size=size, digest=digest, cache=cache)
                for camera in contract.cameras
            ),
        ),
        digests=((folder.path.name, digest),),
    )


def proprioception_of_frames(
    frames: Frames, contract: PolicyContract, rows: Indices | None = None
) -> npt.NDArray[np.float64]:
    """(N, P) physical, as a served policy's contract lays it out."""
    return np.stack(
        [
            build_proprioception(
                contract,
                tcp_pose=Pose(position=state[:3], quaternion=state[3:7] / np.linalg.norm(state[3:7])),
                joint_position=joints,
                gripper_width=float(state[7]),
                gripper_command=float(state[8]),
            )
            for state, joints in zip(
                *(
                    (frames.state, frames.joints)
                    if rows is None
                    else (frames.state[rows], frames.joints[rows])
                )
            )
        ]
    )


def is_approaching(position_N2: npt.NDArray[np.floating], marks_N23: Numbers) -> npt.NDArray[np.bool_]:
    """Whether the named object is farther from the hand than `NEAR`: then it is not held, for what is held is
    where the hand is. An unknown object is never approached."""
    with np.errstate(invalid="ignore"):
        return np.linalg.norm(marks_N23[:, 0, :2] - position_N2, axis=1) > NEAR


def _chunks(
    folder: DatasetFolder, contract: PolicyContract, action: Numbers, episode: Indices
) -> tuple[Numbers, npt.NDArray[np.bool_]]:
    """The expert's clean chunk where it is stored, else the actions that followed; and which rows have it."""
    K = contract.chunk_length
    if "action.expert_chunk" in folder.features:
        chunks = folder.column("action.expert_chunk", (K, ACTION_WIDTH)).astype(np.float32)
        if len(chunks) != len(action):
            raise ContractError(
                f"{folder.path}: action.expert_chunk: expected chunks of {K}, found another length"
            )
        return chunks, np.ones(len(action), bool)
    rate_hz = 1.0 / contract.step_period
    if not abs(folder.fps - rate_hz) < 1e-3 * rate_hz:
        raise ContractError(
            f"{folder.path}: without action.expert_chunk, expected {rate_hz:g} frames a second, "
            f"one per action of the policy, found {folder.fps:g}"
        )
    follower = np.arange(len(action))[:, None] + np.arange(K)
    inside = follower[:, -1] < len(action)
    follower = np.minimum(follower, len(action) - 1)
    return action[follower], inside & (episode[follower[:, -1]] == episode)


def _state(folder: DatasetFolder, action: Numbers, episode: Indices) -> npt.NDArray[np.float64]:
    """(rows, 9): position, quaternion, width, last commanded opening."""
    state = folder.column("observation.state").astype(np.float64).reshape(len(action), -1)
    if state.shape[1] == 9:
        return state
    if state.shape[1] != 8:
        raise ContractError(
            f"{folder.path}: observation.state: expected 8 or 9 numbers, found {state.shape[1]}"
        )
    # A recording of the bridge: the last command is the opening of the action before, open at first.
    commanded = np.concatenate([[1.0], action[:-1, 6] >= 0.5])
    starts = np.concatenate([[True], episode[1:] != episode[:-1]])
    return np.concatenate([state, np.where(starts, 1.0, commanded)[:, None]], axis=1)


def _or_nan(folder: DatasetFolder, name: str, width: tuple[int, ...], rows: int) -> Numbers:
    if name in folder.features:
        return folder.column(name, width).astype(np.float32)
    return np.full((rows, *width), np.nan, np.float32)
