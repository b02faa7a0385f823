"""A suite without a simulator: a point that carries blocks over a plane, drawn from above.

It keeps the promises of `Simulation` and of the put-on notes, and answers in microseconds: what is built on
simulations is tested on it. Tasks: `one` block, `two` blocks, and `fixed`, whose block cannot be lifted.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from robot_bridge.scene.success import Stage
from robot_contract.errors import SceneError, nearest_name
from robot_contract.policy_contract import CameraContract, GripperContract
from robot_contract.pose import Pose, Vector
from sim_train.simulation import Episode, Picture, Reading, Report
from sim_train.suites import Suite

MAX_TRANSLATION = 0.018  # [m] per step
STEPS = 80
SIZE = 64  # [px]
TASKS = ("one", "two", "fixed")
_COLOURS = {"red": (200, 40, 40), "blue": (40, 60, 200), "green": (40, 160, 60), "yellow": (220, 200, 40)}
_PAD_COLOUR, _TABLE_COLOUR, _HAND_COLOUR = (250, 250, 250), (150, 130, 110), (20, 20, 20)
_WIDTH = 0.08  # [m] between open fingers
_BLOCK_WIDTH = 0.04  # [m]
_CORNER, _SPAN = np.array([0.3, -0.2]), 0.4  # [m] what the picture shows: x down, y to the right
_START = np.array([0.5, 0.0, 0.15])
_REACH = 0.015  # [m] within which closing fingers hold
_ON_PAD = 0.03  # [m]
_TRAVEL_HEIGHT = 0.08  # [m]
_DOWN = np.array([1.0, 0.0, 0.0, 0.0])  # x y z w: fingers point down


@dataclass(frozen=True, kw_only=True, eq=False)
class _Truth:
    colours: tuple[str, ...]  # of the blocks; the first is the named one
    blocks: Vector  # (n, 3) [m]
    pad: Vector  # (3,) [m]
    hand: Vector  # (3,) [m]
    opening: float  # last commanded
    held: int | None
    is_fixed: bool
    steps: int = 0
    stage: Stage = Stage.START
    first_held: int | None = None


class StandIn:
    def __init__(self) -> None:
        self._truth: _Truth | None = None

    def reset(self, episode: Episode) -> None:
        if episode.task not in TASKS:
            raise SceneError(f"stand-in has no task {episode.task!r}: {nearest_name(episode.task, TASKS)}")
        rng = np.random.default_rng([episode.seed, zlib.crc32(episode.task.encode())])
        count = 2 if episode.task == "two" else 1
        spots = rng.permutation([(x, y) for x in (0.4, 0.5, 0.6) for y in (-0.12, 0.0, 0.12)])[: count + 1]
        places = np.zeros((count + 1, 3))
        places[:, :2] = spots + rng.uniform(-0.02, 0.02, (count + 1, 2))
        self._truth = _Truth(
            colours=tuple(rng.permutation(list(_COLOURS))[:count].tolist()),
            blocks=places[:count],
            pad=places[count],
            hand=_START + rng.uniform(-0.02, 0.02, 3),
            opening=1.0,
            held=None,
            is_fixed=episode.task == "fixed",
        )

    @property
    def instruction(self) -> str:
        return _instruction(self._now.colours[0])

    def step(self, actions: Vector) -> Report:
        rewards: list[float] = []
        for action in actions:
            if _is_over(self._now):
                break
            before = self._now.stage
            self._truth = _moved(self._now, action)
            rewards.append((self._truth.stage - before) / Stage.PLACE)
        truth = self._now
        return Report(
            steps=len(rewards),
            rewards=np.array(rewards),
            succeeded=truth.stage is Stage.PLACE,
            is_over=_is_over(truth),
            notes={
                "stage": float(truth.stage),
                "grasped_named": float(truth.first_held == 0),
                "grasped_other": float(truth.first_held not in (None, 0)),
            },
        )

    def look(self) -> Mapping[str, Picture]:
        truth = self._now
        picture = np.full((SIZE, SIZE, 3), _TABLE_COLOUR, dtype=np.uint8)
        _draw_square(picture, truth.pad, 0.05, _PAD_COLOUR)
        for colour, block in zip(truth.colours, truth.blocks, strict=True):
            _draw_square(picture, block, _BLOCK_WIDTH / 2, _COLOURS[colour])
        _draw_square(picture, truth.hand, 0.006 + 0.05 * truth.hand[2], _HAND_COLOUR)
        return {"external": picture}

    def read(self) -> Reading:
        truth = self._now
        width = _BLOCK_WIDTH if truth.held is not None else _WIDTH * truth.opening
        return Reading(
            tcp_pose=Pose(position=truth.hand, quaternion=_DOWN),
            joint_position=np.zeros(7),
            gripper_width=width,
            gripper_command=truth.opening,
        )

    def marks(self) -> Vector:
        return np.stack([self._now.blocks[0], self._now.pad])

    def mark_pixels(self) -> Mapping[str, Vector]:
        down_right = (self.marks()[:, :2] - _CORNER) / _SPAN
        return {"external": down_right[:, ::-1]}

    def other_instructions(self) -> tuple[str, ...]:
        return tuple(_instruction(colour) for colour in self._now.colours[1:])

    def expert(self, steps: int) -> Vector:
        truth, actions = self._now, np.zeros((steps, 7))
        for row in actions:
            row[:] = _expert_action(truth)
            truth = _moved(truth, row)
        return actions

    def close(self) -> None:
        self._truth = None

    @property
    def _now(self) -> _Truth:
        assert self._truth is not None, "reset comes first"
        return self._truth


def _instruction(colour: str) -> str:
    return f"put the {colour} block on the white pad"


def _is_over(truth: _Truth) -> bool:
    return truth.stage is Stage.PLACE or truth.steps >= STEPS


def _moved(truth: _Truth, action: Vector) -> _Truth:
    way = action[:3] * min(1.0, MAX_TRANSLATION / max(float(np.linalg.norm(action[:3])), 1e-12))
    hand = np.array([*(truth.hand[:2] + way[:2]), max(0.0, truth.hand[2] + way[2])])
    opening = 1.0 if action[6] >= 0.5 else 0.0
    blocks, held = truth.blocks.copy(), truth.held
    if opening > 0:
        if held is not None:
            blocks[held, 2] = 0.0
        held = None
    elif held is None and truth.opening > 0 and not truth.is_fixed:
        distances = np.linalg.norm(blocks - hand, axis=1)
        held = int(distances.argmin()) if distances.min() <= _REACH else None
    if held is not None:
        blocks[held] = hand
    after = replace(
        truth,
        hand=hand,
        opening=opening,
        blocks=blocks,
        held=held,
        steps=truth.steps + 1,
        first_held=truth.first_held if truth.first_held is not None else held,
    )
    return replace(after, stage=Stage(max(truth.stage, _stage(after))))


def _stage(truth: _Truth) -> Stage:
    named = truth.blocks[0]
    is_over_pad = float(np.linalg.norm((named - truth.pad)[:2])) <= _ON_PAD
    if truth.held == 0:
        if is_over_pad:
            return Stage.OVER
        return Stage.LIFT if named[2] > 0.03 else Stage.GRASP
    return Stage.PLACE if is_over_pad and named[2] <= 0 else Stage.START


def _expert_action(truth: _Truth) -> Vector:
    """Above the block, down, close, up, above the pad, down, open, and stand."""
    block, is_holding = truth.blocks[0], truth.held == 0
    goal = truth.pad if is_holding else block
    if not is_holding and truth.stage is Stage.PLACE:
        return np.array([0, 0, 0, 0, 0, 0, 1.0])
    off = goal - truth.hand
    is_above = bool(np.hypot(off[0], off[1]) <= 0.005)
    if is_above and abs(off[2]) <= 0.005:
        is_closing = not is_holding and truth.opening > 0
        return np.array([0, 0, 0, 0, 0, 0, 0.0 if is_closing else 1.0])
    way = off
    if not is_above:
        climb = _TRAVEL_HEIGHT - truth.hand[2]
        way = np.array([off[0], off[1], climb]) if climb <= 0.02 else np.array([0, 0, climb])
    way = way * min(1.0, 0.999 * MAX_TRANSLATION / max(float(np.linalg.norm(way)), 1e-12))
    return np.array([*way, 0, 0, 0, 0.0 if is_holding else 1.0])


def _draw_square(picture: Picture, centre: Vector, half: float, colour: tuple[int, int, int]) -> None:
    begin, end = (
        np.clip(np.round((centre[:2] + side * half - _CORNER) / _SPAN * SIZE), 0, SIZE).astype(int)
        for side in (-1, 1)
    )
    picture[begin[0] : end[0], begin[1] : end[1]] = colour


STAND_IN = Suite(
    name="stand-in",
    tasks=TASKS,
    reference="commanded_chain",
    frame="base",
    step_period=0.1,
    episode_steps=STEPS,
    max_translation_per_step=MAX_TRANSLATION,
    max_rotation_per_step=0.04,
    chunk_length=8,
    flange_from_tcp=Pose(position=np.array([0.0, 0.0, 0.1034]), quaternion=np.array([0.0, 0.0, 0.0, 1.0])),
    gripper=GripperContract(max_width=_WIDTH, close_below=0.5, open_above=0.5),
    cameras=(
        CameraContract(
            name="external",
            mount="external",
            vertical_field_of_view=0.6,
            crop_width=1.0,
            crop_height=1.0,
            width=SIZE,
            height=SIZE,
        ),
    ),
    proprioception=("position", "rotation_vector", "opening", "gripper_command"),
    proprioception_origin=Pose.identity(),
    prompt_template="{instruction}",
    open_simulation=StandIn,
)
