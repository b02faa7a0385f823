"""Table, things and light of a scene as SAPIEN actors; sizes, masses and looks come from the catalogue."""

import atexit
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import sapien
from mani_skill.envs.scene import ManiSkillScene
from mani_skill.utils.structs.actor import Actor
from sapien.physx import PhysxMaterial
from sapien.render import RenderMaterial

from robot_bridge.scene.catalogue import Thing
from robot_bridge.scene.meshes import Mesh, part_mesh
from robot_bridge.scene.parts import Part
from robot_bridge.scene.scene import Light, Placement, Triple
from robot_contract.pose import Vector, quaternion_multiply
from sim_train.put_on.look import material, shape, texture, thing_shapes
from sim_train.put_on.poses import to_sapien

GAP = 0.0005  # [m] above the table when placed
_TABLE_CENTRE = (0.40, 0.0, -0.025)  # [m] as in the twin
_TABLE_HALF = (0.62, 0.75, 0.025)  # [m]
_FLOOR = -0.75  # [m]
_REPEATS = 2  # of the table's texture along each side
_TEXTURE = 256  # [px] of it
# SAPIEN's cylinders and capsules lie along x, the catalogue's stand along z.
_UPRIGHT = np.array([0.0, -np.sqrt(0.5), 0.0, np.sqrt(0.5)])


def pose_of(placement: Placement, *, height: float = GAP) -> sapien.Pose:
    half = placement.yaw / 2
    return sapien.Pose(p=[placement.x, placement.y, height], q=[np.cos(half), 0, 0, np.sin(half)])


def table_top(name: str) -> RenderMaterial:
    return material((1.0, 1.0, 1.0, 1.0), name, size=_TEXTURE)


def change_table_top(top: RenderMaterial, name: str) -> None:
    top.set_base_color_texture(texture(name, (1.0, 1.0, 1.0, 1.0), _TEXTURE))


def build_table(scene: ManiSkillScene, top: RenderMaterial, *, cells: Sequence[int] | None = None) -> Actor:
    """Where there are several cells, only in these of them."""
    builder = scene.create_actor_builder().set_scene_idxs(cells)
    rough = PhysxMaterial(0.8, 0.8, 0.0)
    builder.add_box_collision(half_size=_TABLE_HALF, material=rough)
    x, y, z = _TABLE_HALF
    board = Mesh(
        vertices=np.array([[-x, -y, z], [x, -y, z], [x, y, z], [-x, y, z]]),
        normals=np.tile([0.0, 0.0, 1.0], (4, 1)),
        uv=_REPEATS * np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=float),
        triangles=np.array([[0, 1, 2], [0, 2, 3]], dtype=np.int32),
    )
    builder._procedural_shapes.append(shape(board, top))
    floor = Mesh(
        vertices=np.array([[-4, -4, _FLOOR], [4, -4, _FLOOR], [4, 4, _FLOOR], [-4, 4, _FLOOR]])
        - np.array(_TABLE_CENTRE),
        normals=np.tile([0.0, 0.0, 1.0], (4, 1)),
        uv=np.zeros((4, 2)),
        triangles=np.array([[0, 1, 2], [0, 2, 3]], dtype=np.int32),
    )
    builder._procedural_shapes.append(shape(floor, material((0.68, 0.68, 0.67, 1.0))))
    builder.initial_pose = sapien.Pose(p=_TABLE_CENTRE)
    return builder.build_kinematic(name=_name("table", cells))


def build_thing(
    scene: ManiSkillScene,
    thing: Thing,
    pose: sapien.Pose,
    *,
    friction: float,
    mass: float,
    scanned: bool,
    cells: Sequence[int] | None = None,
) -> Actor:
    """`friction` and `mass` are factors of the catalogue's; `scanned` gives it a mesh where there is one."""
    builder = scene.create_actor_builder().set_scene_idxs(cells)
    felt = [part for part in thing.parts if part.touchable]
    density = mass * thing.mass / sum(part.volume for part in felt)
    grip = friction * thing.friction
    surface = PhysxMaterial(grip, grip, 0.0)
    for part in felt:
        _add_collision(builder, part, surface, density)
    builder._procedural_shapes.extend(thing_shapes(thing, scanned=scanned))
    builder.initial_pose = pose
    return builder.build(name=_name(thing.name, cells))


def _name(name: str, cells: Sequence[int] | None) -> str:
    """ManiSkill wants every actor to have its own."""
    return name if cells is None else "-".join([name, *(str(cell) for cell in cells)])


def _add_collision(builder: object, part: Part, surface: PhysxMaterial, density: float) -> None:
    pose = to_sapien(part.position, part.quaternion)
    lying = to_sapien(part.position, quaternion_multiply(np.array(part.quaternion), _UPRIGHT))
    match part.kind, part.size:
        case "box", half:
            builder.add_box_collision(pose=pose, half_size=half, material=surface, density=density)
        case "sphere", (radius, *_):
            builder.add_sphere_collision(pose=pose, radius=radius, material=surface, density=density)
        case "capsule", (radius, half):
            builder.add_capsule_collision(
                pose=lying, radius=radius, half_length=half, material=surface, density=density
            )
        case "cylinder", (radius, half):
            builder.add_cylinder_collision(
                pose=lying, radius=radius, half_length=half, material=surface, density=density
            )
        case _:
            builder.add_convex_collision_from_file(str(_mesh_file(part)), material=surface, density=density)


@cache
def _mesh_folder() -> Path:
    made = Path(tempfile.mkdtemp(prefix="touchdown-meshes-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


@cache
def _mesh_file(part: Part) -> Path:
    """The part as an OBJ file: PhysX takes convex meshes from files alone."""
    mesh = part_mesh(part, slices=16)
    path = _mesh_folder() / f"part{len(list(_mesh_folder().iterdir()))}.obj"
    lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in mesh.vertices]
    lines += [f"f {a + 1} {b + 1} {c + 1}" for a, b, c in mesh.triangles]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@dataclass(frozen=True, kw_only=True)
class Lamps:
    """The twin's lights: one that the scene describes, and a weak one from the other side."""

    ambient: Triple
    directions: tuple[Triple, Triple]  # in which they shine
    colours: tuple[Triple, Triple]


def lamps_of(light: Light) -> Lamps:
    tint = np.array([1.0, 1.0, 1.0]) + light.warmth * np.array([0.10, 0.01, -0.14])
    across = float(np.cos(light.elevation))
    x, y, z = across * np.cos(light.azimuth), across * np.sin(light.azimuth), np.sin(light.elevation)
    return Lamps(
        ambient=_triple(light.intensity * (0.9 * light.ambient + 0.12) * tint),
        directions=((-float(x), -float(y), -float(z)), (0.4, -0.8, -0.7)),
        colours=(
            _triple((1 - light.ambient) * 2.3 * light.intensity * tint),
            _triple(0.3 * light.intensity * tint),
        ),
    )


def _triple(values: Vector) -> Triple:
    x, y, z = (float(value) for value in values)
    return x, y, z


def add_lamps(scene: sapien.Scene, lamps: Lamps) -> list[sapien.render.RenderDirectionalLightComponent]:
    scene.set_ambient_light(lamps.ambient)
    return [
        scene.add_directional_light(direction, colour)
        for direction, colour in zip(lamps.directions, lamps.colours, strict=True)
    ]


def change_lamps(
    scene: sapien.Scene, added: Sequence[sapien.render.RenderDirectionalLightComponent], lamps: Lamps
) -> None:
    scene.set_ambient_light(lamps.ambient)
    for lamp, direction, colour in zip(added, lamps.directions, lamps.colours, strict=True):
        lamp.set_color(colour)
        lamp.set_entity_pose(sapien.Pose([0, 0, 0], sapien.math.shortest_rotation([1, 0, 0], direction)))
