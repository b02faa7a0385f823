"""The named distributions that scenes are drawn from: training, and three axes of generalisation.

The sub-splits follow RL4VLA's benchmark; `unseen_light`, `unseen_camera` and `distractors` are this
project's own. An axis takes its sub-splits in turn, so that every hundred scenes hold equal shares.
"""

import zlib
from dataclasses import dataclass
from typing import Literal

import numpy as np

from robot_bridge.scene.catalogue import catalogue
from robot_bridge.scene.layout import Region, draw_layout
from robot_bridge.scene.scene import CameraOffset, Light, Move, Overlay, Scene, StartPose
from robot_bridge.scene.textures import SEEN_TABLES, UNSEEN_TABLES
from robot_bridge.scene.wording import SEEN_TEMPLATES, UNSEEN_TEMPLATES, instruction
from robot_contract.errors import SceneError, nearest_name

Choice = Literal["seen", "unseen"]

START = (0.36, 0.0, 0.26)  # [m] TCP over the near edge, nothing under it


@dataclass(frozen=True, kw_only=True)
class Variation:
    """What a sub-split draws from; the defaults are training's."""

    tables: Choice = "seen"
    target: Choice = "seen"
    other_objects: Choice = "seen"
    receptacles: Choice = "seen"
    wording: Choice = "seen"
    object_counts: tuple[int, ...] = (1, 2)
    receptacle_counts: tuple[int, ...] = (1, 1, 2)
    region: Region = "inner"
    start_spread: tuple[float, float] = (0.02, 0.10)  # [m, rad] at most, about START
    least_start_offset: float = 0.0  # [m]
    is_moved: bool = False
    dynamic_texture: float = 0.0  # share of the overlay
    image_noise: float = 0.0
    light: Choice = "seen"
    camera: Choice = "seen"


VARIATIONS: dict[str, Variation] = {
    "train": Variation(),
    "unseen_table": Variation(tables="unseen"),
    "dynamic_texture_0.3": Variation(dynamic_texture=0.3),
    "dynamic_texture_0.5": Variation(dynamic_texture=0.5),
    "image_noise_0.3": Variation(image_noise=0.3),
    "image_noise_0.5": Variation(image_noise=0.5),
    "unseen_light": Variation(light="unseen"),
    "unseen_camera": Variation(camera="unseen"),
    "distractors": Variation(object_counts=(4, 5), receptacle_counts=(1,)),
    "unseen_object": Variation(target="unseen"),
    "unseen_receptacle": Variation(receptacles="unseen"),
    "unseen_wording": Variation(wording="unseen", receptacle_counts=(1,)),
    "multi_object_seen": Variation(object_counts=(3,)),
    "multi_object_unseen": Variation(object_counts=(3,), target="unseen", other_objects="unseen"),
    "multi_receptacle": Variation(receptacle_counts=(3,)),
    "unseen_position": Variation(region="rim"),
    "unseen_start_pose": Variation(start_spread=(0.09, 0.45), least_start_offset=0.04),
    "mid_episode_move": Variation(is_moved=True),
}
AXES: dict[str, tuple[str, ...]] = {
    "train": ("train",),
    "vision": (
        "unseen_table",
        "dynamic_texture_0.3",
        "dynamic_texture_0.5",
        "image_noise_0.3",
        "image_noise_0.5",
        "unseen_light",
        "unseen_camera",
        "distractors",
    ),
    "semantics": (
        "unseen_object",
        "unseen_receptacle",
        "unseen_wording",
        "multi_object_seen",
        "multi_object_unseen",
        "multi_receptacle",
    ),
    "execution": ("unseen_position", "unseen_start_pose", "mid_episode_move"),
}


def split_names() -> tuple[str, ...]:
    """Every name that `draw_scene` takes: the axes, then the sub-splits."""
    return tuple(dict.fromkeys([*AXES, *VARIATIONS]))


def axis_of(split: str) -> str:
    """The axis that a sub-split (or an axis itself) belongs to."""
    for axis, members in AXES.items():
        if split == axis or split in members:
            return axis
    raise SceneError(f"no split named {split!r}; {nearest_name(split, split_names())}")


def draw_scene(split: str, seed: int) -> Scene:
    """The scene number `seed` of a split; the same on every machine."""
    if not seed >= 0:
        raise SceneError(f"seed: expected 0 or more, found {seed}")
    if split in VARIATIONS:
        return _draw(split, seed)
    members = AXES[axis_of(split)]
    return _draw(members[seed % len(members)], seed // len(members))


def _draw(split: str, seed: int) -> Scene:
    variation = VARIATIONS[split]
    rng = np.random.default_rng([seed, zlib.crc32(split.encode())])
    start = _start(variation, rng)
    layout = draw_layout(
        rng,
        targets=_objects(variation.target),
        others=_objects(variation.other_objects),
        receptacles=_receptacles(variation.receptacles),
        object_count=int(rng.choice(variation.object_counts)),
        receptacle_count=int(rng.choice(variation.receptacle_counts)),
        region=variation.region,
        start=(start.x, start.y),
        is_moved=variation.is_moved,
    )
    target, receptacle = layout.objects[0].name, layout.receptacles[0].name
    objects = [layout.objects[i] for i in rng.permutation(len(layout.objects))]
    receptacles = [layout.receptacles[i] for i in rng.permutation(len(layout.receptacles))]
    move = None if layout.moved_to is None else Move(after=_uniform(rng, 0.5, 1.5), to=layout.moved_to)
    return Scene(
        split=split,
        seed=seed,
        instruction=_instruction(variation.wording, target, receptacle, rng),
        target_object=target,
        target_receptacle=receptacle,
        objects=tuple(objects),
        receptacles=tuple(receptacles),
        start=start,
        move=move,
        table_texture=str(rng.choice(SEEN_TABLES if variation.tables == "seen" else UNSEEN_TABLES)),
        light=_light(variation.light, rng),
        external_camera=_camera(variation.camera, rng),
        wrist_camera=_camera("seen", rng, share=0.3),
        dynamic_texture=_overlay(variation.dynamic_texture, rng),
        image_noise=_overlay(variation.image_noise, rng),
    )


def _objects(choice: Choice) -> tuple[str, ...]:
    return catalogue().object_names(seen=choice == "seen")


def _receptacles(choice: Choice) -> tuple[str, ...]:
    return catalogue().receptacle_names(seen=choice == "seen")


def _uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return round(float(rng.uniform(low, high)), 4)


def _start(variation: Variation, rng: np.random.Generator) -> StartPose:
    spread, turn = variation.start_spread
    while True:
        x, y, z = rng.uniform(-spread, spread, 3)
        is_far = not np.sqrt(x * x + y * y + z * z) < variation.least_start_offset
        if is_far and _elbow_closes(START[0] + x, START[1] + y, START[2] + z):
            break
    return StartPose(
        x=round(float(START[0] + x), 4),
        y=round(float(START[1] + y), 4),
        z=round(float(START[2] + z), 4),
        yaw=_uniform(rng, -turn, turn),
    )


def _elbow_closes(x: float, y: float, z: float) -> bool:
    """Is the TCP, hand pointing down, far enough from the shoulder for the elbow's joint range?

    The wrist is 0.088 m nearer and 0.2104 m higher, the shoulder 0.333 m high; with joint 4 at -3.027 rad
    they are 0.216 m apart.
    """
    return bool(np.hypot(np.hypot(x, y) - 0.088, z + 0.2104 - 0.333) >= 0.22)


def _instruction(wording: Choice, target: str, receptacle: str, rng: np.random.Generator) -> str:
    thing, place = catalogue().object(target), catalogue().receptacle(receptacle)
    if wording == "seen":
        return instruction(str(rng.choice(SEEN_TEMPLATES)), thing, place)
    noun = int(rng.integers(4))  # half of them name the object otherwise, too
    return instruction(str(rng.choice(UNSEEN_TEMPLATES)), thing, place, other_noun=noun if noun < 2 else None)


def _light(choice: Choice, rng: np.random.Generator) -> Light:
    seen = choice == "seen"
    return Light(
        azimuth=_uniform(rng, -np.pi, np.pi),
        elevation=_uniform(rng, 0.9, 1.5) if seen else _uniform(rng, 0.35, 0.7),
        intensity=_uniform(rng, 0.85, 1.15) if seen else float(rng.choice([0.45, 0.55, 1.5, 1.7])),
        ambient=_uniform(rng, 0.40, 0.50) if seen else _uniform(rng, 0.20, 0.35),
        warmth=_uniform(rng, -0.2, 0.2) if seen else float(rng.choice([-0.9, -0.7, 0.7, 0.9])),
    )


def _camera(choice: Choice, rng: np.random.Generator, share: float = 1.0) -> CameraOffset:
    """Training stands within 10 mm and 0.02 rad of calibration; unseen is three to five times as far."""
    factor = share if choice == "seen" else float(rng.uniform(3, 5))
    x, y, z, a, b, c = rng.uniform(-1, 1, 6)
    return CameraOffset(
        translation=_scaled((x, y, z), 0.010 * factor), rotation=_scaled((a, b, c), 0.020 * factor)
    )


def _scaled(values: tuple[float, float, float], factor: float) -> tuple[float, float, float]:
    x, y, z = (round(float(value * factor), 5) for value in values)
    return x, y, z


def _overlay(strength: float, rng: np.random.Generator) -> Overlay | None:
    texture = str(rng.choice(UNSEEN_TABLES))
    return Overlay(texture=texture, strength=strength) if strength > 0 else None
