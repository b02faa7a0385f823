"""Scenes from JSON: strict, every complaint names the key."""

import json
import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from robot_bridge.scene.scene import CameraOffset, Light, Move, Overlay, Placement, Scene, StartPose, Triple
from robot_contract.errors import SceneError, nearest_name

T = TypeVar("T")


def scene_from_json(text: str) -> Scene:
    """Read what `Scene.to_json` wrote."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise SceneError(f"line {error.lineno}: not JSON: {error.msg}") from None
    return _scene(document)


def _keys(document: Any, kind: type, where: str) -> dict[str, Any]:
    if not isinstance(document, Mapping):
        raise SceneError(f"{where}: expected an object with keys, found {document!r}")
    names = [field.name for field in fields(kind)]
    for key in document:
        if key not in names:
            raise SceneError(f"{where}: unknown key {key!r}; {nearest_name(str(key), names)}")
    missing = [name for name in names if name not in document]
    if missing:
        raise SceneError(f"{where}: missing {', '.join(missing)}")
    return dict(document)


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise SceneError(f"{where}: expected a finite number, found {value!r}")
    return float(value)


def _word(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise SceneError(f"{where}: expected text, found {value!r}")
    return value


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise SceneError(f"{where}: expected a list, found {value!r}")
    return value


def _triple(value: Any, where: str) -> Triple:
    numbers = [_number(item, where) for item in _list(value, where)]
    if len(numbers) != 3:
        raise SceneError(f"{where}: expected 3 numbers, found {len(numbers)}")
    return numbers[0], numbers[1], numbers[2]


def _flat(document: Any, kind: type[T], where: str) -> T:
    """A dataclass of numbers and words only."""
    keys = _keys(document, kind, where)
    words = {"name", "texture"}
    return kind(
        **{key: (_word if key in words else _number)(value, f"{where}.{key}") for key, value in keys.items()}
    )


def _camera(document: Any, where: str) -> CameraOffset:
    keys = _keys(document, CameraOffset, where)
    return CameraOffset(
        translation=_triple(keys["translation"], f"{where}.translation"),
        rotation=_triple(keys["rotation"], f"{where}.rotation"),
    )


def _move(document: Any, where: str) -> Move:
    keys = _keys(document, Move, where)
    return Move(
        after=_number(keys["after"], f"{where}.after"), to=_flat(keys["to"], Placement, f"{where}.to")
    )


def _scene(document: Any) -> Scene:
    keys = _keys(document, Scene, "scene")
    overlays = {
        name: None if keys[name] is None else _flat(keys[name], Overlay, name)
        for name in ("dynamic_texture", "image_noise")
    }
    placements = {
        name: tuple(_flat(item, Placement, f"{name}[{i}]") for i, item in enumerate(_list(keys[name], name)))
        for name in ("objects", "receptacles")
    }
    return Scene(
        split=_word(keys["split"], "split"),
        seed=int(_number(keys["seed"], "seed")),
        instruction=_word(keys["instruction"], "instruction"),
        target_object=_word(keys["target_object"], "target_object"),
        target_receptacle=_word(keys["target_receptacle"], "target_receptacle"),
        objects=placements["objects"],
        receptacles=placements["receptacles"],
        start=_flat(keys["start"], StartPose, "start"),
        move=None if keys["move"] is None else _move(keys["move"], "move"),
        table_texture=_word(keys["table_texture"], "table_texture"),
        light=_flat(keys["light"], Light, "light"),
        external_camera=_camera(keys["external_camera"], "external_camera"),
        wrist_camera=_camera(keys["wrist_camera"], "wrist_camera"),
        dynamic_texture=overlays["dynamic_texture"],
        image_noise=overlays["image_noise"],
        schema_version=int(_number(keys["schema_version"], "schema_version")),
    )
