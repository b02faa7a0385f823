"""One scene: everything that varies between episodes, as a frozen, hashable, serialisable value.

Positions are in the base frame of an arm at the origin that faces +x; the table top is z = 0. The twin and
the ManiSkill tasks build the same world from the same scene, and its digest names it in recordings.
"""

import hashlib
import json
from dataclasses import asdict, dataclass

from robot_bridge.scene.catalogue import CatalogueObject, Receptacle, catalogue
from robot_bridge.scene.textures import TEXTURES
from robot_contract.errors import SceneError, nearest_name

Triple = tuple[float, float, float]

SCHEMA_VERSION = 1
REACH = (0.25, 0.75, -0.40, 0.40)  # [m] x low, x high, y low, y high: where a thing may stand at all


@dataclass(frozen=True, kw_only=True)
class Placement:
    name: str  # in the catalogue
    x: float  # [m]
    y: float  # [m]
    yaw: float  # [rad]


@dataclass(frozen=True, kw_only=True)
class Move:
    """Somebody moves the named object; nothing happens if the hand holds it by then."""

    after: float  # [s] since the start
    to: Placement


@dataclass(frozen=True, kw_only=True)
class Light:
    azimuth: float  # [rad] where it comes from, about z from +x
    elevation: float  # [rad] above the horizon
    intensity: float  # 1 is the plain light
    ambient: float  # 0..1, share that comes from everywhere
    warmth: float  # -1 bluish .. 1 yellowish


@dataclass(frozen=True, kw_only=True)
class CameraOffset:
    """How a camera stands off its calibrated pose, in its own frame."""

    translation: Triple  # [m]
    rotation: Triple  # [rad] rotation vector


@dataclass(frozen=True, kw_only=True)
class Overlay:
    """A texture mixed into the picture, cut out anew for every frame."""

    texture: str
    strength: float  # 0..1, the texture's share


@dataclass(frozen=True, kw_only=True)
class StartPose:
    """TCP at the start, tool pointing straight down; at yaw 0 the fingers close along base y."""

    x: float  # [m]
    y: float  # [m]
    z: float  # [m]
    yaw: float  # [rad]


@dataclass(frozen=True, kw_only=True)
class Scene:
    split: str  # which distribution it was drawn from, or "custom"
    seed: int  # drives what is random inside an episode: sensor noise, overlays
    instruction: str
    target_object: str
    target_receptacle: str
    objects: tuple[Placement, ...]  # the target and whatever else stands about
    receptacles: tuple[Placement, ...]
    start: StartPose
    move: Move | None
    table_texture: str
    light: Light
    external_camera: CameraOffset
    wrist_camera: CameraOffset
    dynamic_texture: Overlay | None  # over arm, objects and receptacles
    image_noise: Overlay | None  # over the whole picture
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        known = catalogue()
        for placement in self.objects:
            known.object(placement.name)
        for placement in self.receptacles:
            known.receptacle(placement.name)
        names = [placement.name for placement in (*self.objects, *self.receptacles)]
        if len(set(names)) != len(names):
            raise SceneError(f"a thing stands in the scene twice: {', '.join(names)}")
        _require_name("target_object", self.target_object, [p.name for p in self.objects])
        _require_name("target_receptacle", self.target_receptacle, [p.name for p in self.receptacles])
        if self.move is not None:
            _require_name("move.to.name", self.move.to.name, [p.name for p in self.objects])
        for placement in (*self.objects, *self.receptacles, *([self.move.to] if self.move else [])):
            if not (REACH[0] <= placement.x <= REACH[1] and REACH[2] <= placement.y <= REACH[3]):
                raise SceneError(
                    f"{placement.name} at ({placement.x:g}, {placement.y:g}) m is out of reach; x is"
                    f" {REACH[0]:g} to {REACH[1]:g}, y {REACH[2]:g} to {REACH[3]:g}"
                )
        overlays = [overlay.texture for overlay in (self.dynamic_texture, self.image_noise) if overlay]
        for texture in [self.table_texture, *overlays]:
            _require_name("texture", texture, list(TEXTURES))
        if self.schema_version != SCHEMA_VERSION:
            raise SceneError(f"scene schema {self.schema_version} is not known; this program reads 1")

    @property
    def target(self) -> CatalogueObject:
        return catalogue().object(self.target_object)

    @property
    def receptacle(self) -> Receptacle:
        return catalogue().receptacle(self.target_receptacle)

    @property
    def distractors(self) -> tuple[str, ...]:
        return tuple(p.name for p in self.objects if p.name != self.target_object)

    def to_json(self) -> str:
        """Canonical: sorted keys, no spaces, shortest numbers; equal scenes give equal bytes."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), allow_nan=False)

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def _require_name(what: str, name: str, accepted: list[str]) -> None:
    if name not in accepted:
        raise SceneError(f"{what} {name!r} is not in the scene or catalogue; {nearest_name(name, accepted)}")
