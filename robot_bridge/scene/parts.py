"""The primitive parts that things are made of, and how far they reach."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, cast

import numpy as np

from robot_bridge.scene.lined_yaml import Field
from robot_bridge.scene.textures import TEXTURES
from robot_contract.pose import Pose, Vector, quaternion_from_rotation_vector, quaternion_multiply

PartKind = Literal["box", "cylinder", "capsule", "ellipsoid", "sphere"]
Triple = tuple[float, float, float]

_SIZE_COUNT: dict[str, int] = {"box": 3, "cylinder": 2, "capsule": 2, "ellipsoid": 3, "sphere": 1}
_REACH = 0.3  # [m] no part is larger or further off than this


@dataclass(frozen=True, kw_only=True)
class Part:
    """One primitive, in the conventions of MuJoCo (SAPIEN's cylinders and capsules lie along x instead)."""

    kind: PartKind
    size: tuple[
        float, ...
    ]  # [m] box half extents; cylinder, capsule (radius, half length along z); semi-axes
    position: Triple  # [m] centre, in the thing's frame
    quaternion: tuple[float, float, float, float]  # x y z w
    rgba: tuple[float, float, float, float]
    texture: str | None  # a name of `textures.TEXTURES`, tinted by rgba
    touchable: bool  # False: seen, not felt

    @cached_property
    def pose(self) -> Pose:
        return Pose(position=np.array(self.position), quaternion=np.array(self.quaternion))

    @property
    def volume(self) -> float:
        """[m^3], to share a thing's mass among its parts."""
        match self.kind, self.size:
            case "box", (x, y, z):
                return 8 * x * y * z
            case "cylinder", (r, h):
                return 2 * np.pi * r**2 * h
            case "capsule", (r, h):
                return 2 * np.pi * r**2 * h + 4 / 3 * np.pi * r**3
            case "ellipsoid", (a, b, c):
                return 4 / 3 * np.pi * a * b * c
            case _, (r, *_):
                return 4 / 3 * np.pi * r**3
            case _:
                raise AssertionError(self.kind)


def reach(part: Part, direction: Vector) -> float:
    """How far [m] the part extends from the thing's origin along the unit vector `direction`."""
    x, y, z = part.pose.inverse().matrix()[:3, :3] @ direction
    across = float(np.hypot(x, y))
    match part.kind, part.size:
        case "box", (a, b, c):
            own = a * abs(x) + b * abs(y) + c * abs(z)
        case "cylinder", (r, h):
            own = r * across + h * abs(z)
        case "capsule", (r, h):
            own = r + h * abs(z)
        case "ellipsoid", (a, b, c):
            own = float(np.sqrt((a * x) ** 2 + (b * y) ** 2 + (c * z) ** 2))
        case _:
            own = part.size[0]
    return float(np.dot(part.position, direction)) + float(own)


def extent(parts: Iterable[Part], direction: Triple, *, touchable: bool = True) -> float:
    """How far [m] the parts extend along `direction`; with `touchable`, only those that can be felt."""
    along = np.array(direction)
    return max(reach(part, along) for part in parts if part.touchable or not touchable)


def part_from_yaml(field: Field) -> list[Part]:
    """One part, or the boxes that a `ring` or `walls` stands for."""
    kind = dict(field.items()).get("kind")
    if kind is None:
        field.refuse("missing kind")
    match kind.word([*_SIZE_COUNT, "ring", "walls"]):
        case "ring":
            return _ring(field)
        case "walls":
            return _walls(field)
        case name:
            return [_primitive(field, cast(PartKind, name))]


def _look(keys: dict[str, Field]) -> tuple[tuple[float, float, float, float], str | None]:
    color = keys["color"].word()
    try:
        red, green, blue = bytes.fromhex(color.removeprefix("#"))
    except ValueError:
        keys["color"].refuse(f"expected a colour such as '#c0242b', found {color!r}")
    texture = keys["texture"].word(list(TEXTURES)) if "texture" in keys else None
    return (red / 255, green / 255, blue / 255, 1.0), texture


def _at(keys: dict[str, Field]) -> Triple:
    return cast(Triple, keys["at"].numbers(3, -_REACH, _REACH))


def _primitive(field: Field, kind: PartKind) -> Part:
    keys = field.mapping(["kind", "size", "at", "color"], ["turn", "texture", "visual"])
    rgba, texture = _look(keys)
    turn = keys["turn"].numbers(3, -np.pi, np.pi) if "turn" in keys else (0.0, 0.0, 0.0)
    quaternion = quaternion_from_rotation_vector(np.array(turn)).tolist()
    return Part(
        kind=kind,
        size=keys["size"].numbers(_SIZE_COUNT[kind], 1e-4, _REACH),
        position=_at(keys),
        quaternion=(quaternion[0], quaternion[1], quaternion[2], quaternion[3]),
        rgba=rgba,
        texture=texture,
        touchable=not ("visual" in keys and keys["visual"].flag()),
    )


def _ring(field: Field) -> list[Part]:
    """A round wall of boxes; `radius` is at the middle of its height."""
    keys = field.mapping(
        ["kind", "radius", "height", "thickness", "lean", "count", "at", "color"], ["texture"]
    )
    rgba, texture = _look(keys)
    x, y, z = _at(keys)
    radius, height = keys["radius"].number(0.01, _REACH), keys["height"].number(0.002, _REACH)
    thickness, lean = keys["thickness"].number(0.002, 0.05), keys["lean"].number(0.0, 1.5)
    count = int(keys["count"].number(6, 64))
    outer = radius + height / 2 * float(np.sin(lean))
    middle = height / 2 * float(np.cos(lean))
    parts: list[Part] = []
    for angle in np.arange(count) * (2 * np.pi / count):
        spin = quaternion_from_rotation_vector(np.array([0.0, 0.0, angle]))
        tip = quaternion_from_rotation_vector(np.array([0.0, lean, 0.0]))
        q = quaternion_multiply(spin, tip).tolist()
        parts.append(
            Part(
                kind="box",
                size=(thickness / 2, outer * float(np.tan(np.pi / count)), height / 2),
                position=(x + radius * float(np.cos(angle)), y + radius * float(np.sin(angle)), z + middle),
                quaternion=(q[0], q[1], q[2], q[3]),
                rgba=rgba,
                texture=texture,
                touchable=True,
            )
        )
    return parts


def _walls(field: Field) -> list[Part]:
    """Four upright boxes whose outer faces stand at half_x and half_y."""
    keys = field.mapping(["kind", "half_x", "half_y", "height", "thickness", "at", "color"], ["texture"])
    rgba, texture = _look(keys)
    x, y, z = _at(keys)
    half_x, half_y = keys["half_x"].number(0.01, _REACH), keys["half_y"].number(0.01, _REACH)
    height, half = keys["height"].number(0.002, _REACH), keys["thickness"].number(0.002, 0.05) / 2
    boxes = [
        ((half, half_y, height / 2), (half_x - half, 0.0)),
        ((half, half_y, height / 2), (half - half_x, 0.0)),
        ((half_x - 2 * half, half, height / 2), (0.0, half_y - half)),
        ((half_x - 2 * half, half, height / 2), (0.0, half - half_y)),
    ]
    return [
        Part(
            kind="box",
            size=size,
            position=(x + dx, y + dy, z + height / 2),
            quaternion=(0.0, 0.0, 0.0, 1.0),
            rgba=rgba,
            texture=texture,
            touchable=True,
        )
        for size, (dx, dy) in boxes
    ]
