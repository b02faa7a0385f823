"""The object catalogue: what can stand on the table, as frozen values read from objects.yaml.

Sizes, masses and names have this one source; the twin's MuJoCo bodies, the ManiSkill actors, the wording
and the expert's grasps are all made from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Literal, cast, get_args

import numpy as np

from robot_bridge.scene.lined_yaml import Field, read_lined_yaml
from robot_bridge.scene.parts import Part, extent, part_from_yaml
from robot_contract.errors import SceneError, nearest_name

YawSymmetry = Literal["full", "quarter", "half"]
Preposition = Literal["on", "in"]

CATALOGUE_FILE = Path(__file__).parent / "objects.yaml"
MAX_GRASP_WIDTH = 0.075  # [m] what the hand, open 80 mm, takes with some play


@dataclass(frozen=True, kw_only=True)
class Thing:
    """What objects and receptacles have in common."""

    name: str  # key in the catalogue
    noun: str  # as the instructions of training say it
    other_nouns: tuple[str, ...]  # as no instruction of training says it
    seen: bool  # occurs in training
    mass: float  # [kg]
    friction: float  # sliding coefficient
    parts: tuple[Part, ...]

    @cached_property
    def height(self) -> float:
        """Highest point of what can be touched [m], standing upright."""
        return extent(self.parts, (0.0, 0.0, 1.0))

    @cached_property
    def radius(self) -> float:
        """Radius [m] of the upright circle about the origin that holds all of it."""
        angles = np.linspace(0, 2 * np.pi, 32, endpoint=False)
        return max(
            extent(self.parts, (float(np.cos(a)), float(np.sin(a)), 0.0), touchable=False) for a in angles
        )


@dataclass(frozen=True, kw_only=True)
class CatalogueObject(Thing):
    grasp_width: float  # [m] along y at grasp height
    grasp_height: float  # [m] TCP above the origin
    yaw_symmetry: YawSymmetry  # by which turn the grasp repeats: any, a quarter, a half


@dataclass(frozen=True, kw_only=True)
class Receptacle(Thing):
    preposition: Preposition
    is_round: bool
    inside: tuple[float, float]  # [m] half extents of where an object's origin may rest
    floor: float  # [m] height of the inner floor
    rim: float  # [m] height of the rim


@dataclass(frozen=True, kw_only=True, eq=False)
class Catalogue:
    objects: Mapping[str, CatalogueObject]
    receptacles: Mapping[str, Receptacle]

    def object(self, name: str) -> CatalogueObject:
        if name not in self.objects:
            raise SceneError(f"no object named {name!r} in the catalogue; {nearest_name(name, self.objects)}")
        return self.objects[name]

    def receptacle(self, name: str) -> Receptacle:
        if name not in self.receptacles:
            raise SceneError(
                f"no receptacle named {name!r} in the catalogue; {nearest_name(name, self.receptacles)}"
            )
        return self.receptacles[name]

    def object_names(self, *, seen: bool) -> tuple[str, ...]:
        return tuple(name for name, thing in self.objects.items() if thing.seen == seen)

    def receptacle_names(self, *, seen: bool) -> tuple[str, ...]:
        return tuple(name for name, thing in self.receptacles.items() if thing.seen == seen)


_THING_KEYS = ("noun", "other_nouns", "seen", "mass", "friction", "parts")


def _object_from_yaml(name: str, field: Field) -> CatalogueObject:
    keys = field.mapping([*_THING_KEYS, "grasp_width", "grasp_height", "yaw_symmetry"])
    return CatalogueObject(
        name=name,
        noun=keys["noun"].word(),
        other_nouns=keys["other_nouns"].words(),
        seen=keys["seen"].flag(),
        mass=keys["mass"].number(0.005, 1.0),
        friction=keys["friction"].number(0.1, 2.0),
        parts=tuple(part for entry in keys["parts"].elements() for part in part_from_yaml(entry)),
        grasp_width=keys["grasp_width"].number(0.010, MAX_GRASP_WIDTH),
        grasp_height=keys["grasp_height"].number(0.012, 0.150),
        yaw_symmetry=cast(YawSymmetry, keys["yaw_symmetry"].word(get_args(YawSymmetry))),
    )


def _receptacle_from_yaml(name: str, field: Field) -> Receptacle:
    keys = field.mapping([*_THING_KEYS, "preposition", "inside"])
    inside = keys["inside"].mapping(["shape", "half_x", "half_y", "floor", "rim"])
    return Receptacle(
        name=name,
        noun=keys["noun"].word(),
        other_nouns=keys["other_nouns"].words(),
        seen=keys["seen"].flag(),
        mass=keys["mass"].number(0.05, 2.0),
        friction=keys["friction"].number(0.1, 2.0),
        parts=tuple(part for entry in keys["parts"].elements() for part in part_from_yaml(entry)),
        preposition=cast(Preposition, keys["preposition"].word(get_args(Preposition))),
        is_round=inside["shape"].word(["round", "rectangle"]) == "round",
        inside=(inside["half_x"].number(0.03, 0.2), inside["half_y"].number(0.03, 0.2)),
        floor=inside["floor"].number(0.0, 0.05),
        rim=inside["rim"].number(0.0, 0.10),
    )


def read_catalogue(path: Path) -> Catalogue:
    """Read a catalogue; every complaint names file, line and key."""
    top = read_lined_yaml(path).mapping(["objects", "receptacles"])
    objects = {name: _object_from_yaml(name, field) for name, field in top["objects"].items()}
    receptacles: dict[str, Receptacle] = {}
    for name, field in top["receptacles"].items():
        if name in objects:
            field.refuse("an object has this name already")
        receptacles[name] = _receptacle_from_yaml(name, field)
    return Catalogue(objects=MappingProxyType(objects), receptacles=MappingProxyType(receptacles))


@cache
def catalogue() -> Catalogue:
    """The catalogue that ships with the package."""
    return read_catalogue(CATALOGUE_FILE)
