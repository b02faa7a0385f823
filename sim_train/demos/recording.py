"""One episode of the scripted expert as training frames; runs where the simulation is.

Bursts of noise push the hand away, or a policy drives by turns, and the expert's way on from there is what is
shown: a frame is kept when the next K actions are the expert's own, and a picture is drawn of no other frame.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from robot_bridge.observation import encode_for_policy
from robot_bridge.recording import feature_statistics
from robot_bridge.recording.feature_statistics import Statistic
from robot_bridge.scene.perturbation import Bursts, draw_bursts, is_demonstration, perturb
from robot_contract.pose import Vector
from sim_train.demos.driving import Driver, draw_turns
from sim_train.simulation import Episode, Picture, Simulation
from sim_train.suites import Suite

Column = npt.NDArray[np.generic]  # (frames, ...)
STATISTICS_PICTURES = 20  # of an episode


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How an episode is shown; the same for a whole data set."""

    every: int  # control steps a frame
    chunk_length: int  # K actions that label a frame
    episode_steps: int  # at most
    with_bursts: bool
    max_translation: float  # [m] per step
    max_rotation: float  # [rad] per step


@dataclass(frozen=True, kw_only=True, eq=False)
class Demonstration:
    instruction: str
    steps: int  # control steps until success
    columns: Mapping[str, Column]
    pictures: Mapping[str, list[bytes]]  # JPEG by camera, one a frame
    sizes: Mapping[str, tuple[int, int]]  # height, width [px] by camera
    statistics: Mapping[str, Statistic]


@dataclass(frozen=True, kw_only=True)
class Failed:
    """The expert did not get there; the episode shows nothing."""

    steps: int


@dataclass(frozen=True, kw_only=True, eq=False)
class _Frame:
    step: int
    state: Vector  # (9,) as STATE_NAMES of the data set
    joint_position: Vector  # (7,)
    marks: Vector  # (2, 3)
    mark_pixels: Mapping[str, Vector]  # (2, 2) by camera
    jpegs: Mapping[str, bytes]


def recipe_for(suite: Suite, *, every: int, with_bursts: bool) -> Recipe:
    return Recipe(
        every=every,
        chunk_length=suite.chunk_length,
        episode_steps=suite.episode_steps,
        with_bursts=with_bursts,
        max_translation=suite.max_translation_per_step,
        max_rotation=suite.max_rotation_per_step,
    )


def demonstrate(
    simulation: Simulation,
    episode: Episode,
    recipe: Recipe,
    *,
    burst_seed: int,
    driver: Driver | None = None,
) -> Demonstration | Failed:
    simulation.reset(episode)
    seed = _seed(episode, burst_seed)
    bursts = _bursts(seed, recipe)
    drives = np.zeros(recipe.episode_steps, dtype=bool)
    wheel = None
    if driver is not None:
        drives = draw_turns(seed, recipe.episode_steps, driver.execute_steps)
        wheel = driver.take_wheel(f"{episode.suite}/{episode.task}/{episode.seed}")
    is_clean = is_demonstration(bursts.is_active | drives, recipe.chunk_length)
    frames: list[_Frame] = []
    pictures: list[Mapping[str, Picture]] = []
    carried_out: list[Vector] = []
    for step in range(recipe.episode_steps):
        if step % recipe.every == 0 and is_clean[step]:
            pictures.append(simulation.look())
            frames.append(_frame(simulation, step, pictures[-1]))
        if wheel is not None and drives[step]:
            action = wheel.next_action(simulation)
        else:
            action = perturb(simulation.expert(1)[0], bursts, step)
        carried_out.append(action)
        report = simulation.step(action[None])
        if report.is_over:
            break
    else:
        return Failed(steps=recipe.episode_steps)
    if not report.succeeded or not frames:
        return Failed(steps=len(carried_out))
    # After the end the expert stands or draws back: that is what the last frames' chunks end with.
    actions = np.concatenate([carried_out, simulation.expert(recipe.chunk_length)])
    columns = _columns(frames, actions, recipe)
    return Demonstration(
        instruction=simulation.instruction,
        steps=len(carried_out),
        columns=columns,
        pictures={name: [frame.jpegs[name] for frame in frames] for name in pictures[0]},
        sizes={name: picture.shape[:2] for name, picture in pictures[0].items()},
        statistics=_statistics(columns, pictures),
    )


def _seed(episode: Episode, burst_seed: int) -> int:
    return zlib.crc32(f"bursts {episode.suite} {episode.task} {burst_seed}".encode())


def _bursts(seed: int, recipe: Recipe) -> Bursts:
    return draw_bursts(
        seed,
        recipe.episode_steps,
        rate=0.04 if recipe.with_bursts else 0.0,
        max_translation=recipe.max_translation,
        max_rotation=recipe.max_rotation,
    )


def _frame(simulation: Simulation, step: int, pictures: Mapping[str, Picture]) -> _Frame:
    reading = simulation.read()
    pose = reading.tcp_pose
    return _Frame(
        step=step,
        state=np.array([*pose.position, *pose.quaternion, reading.gripper_width, reading.gripper_command]),
        joint_position=np.asarray(reading.joint_position),
        marks=simulation.marks(),
        mark_pixels=simulation.mark_pixels(),
        jpegs={name: encode_for_policy(picture) for name, picture in pictures.items()},
    )


def _columns(frames: list[_Frame], actions: Vector, recipe: Recipe) -> dict[str, Column]:
    steps = np.array([frame.step for frame in frames])
    numbers = np.arange(len(frames))
    chunks = np.stack([actions[step : step + recipe.chunk_length] for step in steps])
    columns: dict[str, Column] = {
        "observation.state": np.stack([frame.state for frame in frames]).astype(np.float32),
        "observation.joint_position": np.stack([f.joint_position for f in frames]).astype(np.float32),
        "action": chunks[:, 0].astype(np.float32),
        "action.expert_chunk": chunks.astype(np.float32),
        "observation.marks": np.stack([frame.marks for frame in frames]).astype(np.float32),
    }
    for camera in frames[0].mark_pixels:
        seen = np.stack([frame.mark_pixels[camera] for frame in frames])
        columns[f"observation.mark_pixels.{camera}"] = seen.astype(np.float32)
    return columns | {
        "is_demonstration": np.ones(len(frames), dtype=bool),
        "step": steps.astype(np.int64),
        "next.done": numbers == len(frames) - 1,
        "frame_index": numbers.astype(np.int64),
    }


def _statistics(columns: Mapping[str, Column], pictures: list[Mapping[str, Picture]]) -> dict[str, Statistic]:
    """Marks out of sight are NaN and are not counted."""
    found: dict[str, Statistic] = {}
    for name, values in columns.items():
        rows = values.reshape(len(values), -1)
        known = values[np.isfinite(rows.astype(np.float64)).all(axis=1)]
        if len(known):
            statistic = feature_statistics.of_values(known)
            shape = values.shape[1:] or (1,)
            found[name] = {
                key: value if key == "count" else value.reshape(shape) for key, value in statistic.items()
            }
    for camera in pictures[0]:
        of_camera = [seen[camera] for seen in pictures]
        found[f"observation.images.{camera}"] = feature_statistics.of_pictures(of_camera)
    return found
