"""How things and the arm look in SAPIEN: triangle meshes with procedural textures, as in the twin.

The fast look draws the arm from the twin's primitive shapes, merged to a mesh per link and colour: about a
hundredth of the triangles of Franka's own meshes, which is what a picture costs on a CPU.
"""

from collections.abc import Iterable
from functools import cache

import mujoco
import numpy as np
import sapien
from sapien.render import RenderMaterial, RenderShapeTriangleMesh, RenderTexture2D

from robot_bridge.scene.catalogue import Thing
from robot_bridge.scene.meshes import Mesh, part_mesh
from robot_bridge.scene.parts import Part, PartKind
from robot_bridge.scene.textures import draw_texture
from robot_bridge.twin.cell import ARM_XML
from sim_train.put_on.libero_meshes import scanned_look
from sim_train.simulation import Picture

Colour = tuple[float, float, float, float]

_SLICES = 16  # facets around round things
_KINDS: dict[int, PartKind] = {
    int(mujoco.mjtGeom.mjGEOM_BOX): "box",
    int(mujoco.mjtGeom.mjGEOM_CYLINDER): "cylinder",
    int(mujoco.mjtGeom.mjGEOM_CAPSULE): "capsule",
}
# Body of the twin's arm: link of ManiSkill's Panda. Both have the frames of Franka's published table.
_LINKS = {f"fr3_link{i}": f"panda_link{i}" for i in range(8)} | {
    "flange": "panda_link8",
    "hand": "panda_hand",
    "left_finger": "panda_leftfinger",
    "right_finger": "panda_rightfinger",
}


@cache
def texture(name: str, colour: Colour, size: int) -> RenderTexture2D:
    """The named texture, tinted as the catalogue means it; SAPIEN would show one or the other."""
    return _uploaded(np.rint(draw_texture(name, size=size) * np.array(colour[:3])).astype(np.uint8))


def material(colour: Colour, texture_name: str | None = None, *, size: int = 128) -> RenderMaterial:
    made = RenderMaterial()
    made.set_base_color([*_linear(colour[:3]), colour[3]])
    made.set_roughness(0.7)
    made.set_specular(0.3)
    made.set_metallic(0.0)
    if texture_name is not None:
        made.set_base_color_texture(texture(texture_name, colour, size))
    return made


@cache
def _shared_material(colour: Colour, texture_name: str | None) -> RenderMaterial:
    """The renderer has room for a few thousand: things that look the same share one."""
    return material(colour, texture_name)


def _linear(colour: Iterable[float]) -> list[float]:
    """SAPIEN takes linear colours, the catalogue has them as people write them."""
    return [float(c) ** 2.2 for c in colour]


def shape(mesh: Mesh, made_of: RenderMaterial) -> RenderShapeTriangleMesh:
    """One shape of a mesh."""
    return RenderShapeTriangleMesh(
        vertices=mesh.vertices.astype(np.float32),
        triangles=mesh.triangles.astype(np.uint32),
        normals=mesh.normals.astype(np.float32),
        uvs=mesh.uv.astype(np.float32),
        material=made_of,
    )


def part_shapes(parts: tuple[Part, ...]) -> list[RenderShapeTriangleMesh]:
    """A shape for every colour and texture among the parts."""
    return [shape(mesh, _shared_material(colour, name)) for (colour, name), mesh in _merged(parts).items()]


@cache
def _merged(parts: tuple[Part, ...]) -> dict[tuple[Colour, str | None], Mesh]:
    groups: dict[tuple[Colour, str | None], list[Mesh]] = {}
    for part in parts:
        groups.setdefault((part.rgba, part.texture), []).append(part_mesh(part, slices=_SLICES))
    return {look: _one(meshes) for look, meshes in groups.items()}


def _one(meshes: list[Mesh]) -> Mesh:
    counts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    return Mesh(
        vertices=np.concatenate([mesh.vertices for mesh in meshes]),
        triangles=np.concatenate([mesh.triangles + n for mesh, n in zip(meshes, counts)]),
        normals=np.concatenate([mesh.normals for mesh in meshes]),
        uv=np.concatenate([mesh.uv for mesh in meshes]),
    )


def thing_shapes(thing: Thing, *, scanned: bool) -> list[RenderShapeTriangleMesh]:
    """A thing's look: its parts, or where there is one a scanned mesh."""
    found = scanned_look(thing) if scanned else None
    if found is None:
        return part_shapes(thing.parts)
    made = material((1.0, 1.0, 1.0, 1.0))
    made.set_base_color_texture(_uploaded(found.picture))
    return [shape(found.mesh, made)]


def _uploaded(picture: Picture) -> RenderTexture2D:
    with_alpha = np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])
    return RenderTexture2D(np.ascontiguousarray(with_alpha), "R8G8B8A8Unorm", mipmap_levels=6, srgb=True)


@cache
def arm_parts() -> dict[str, tuple[Part, ...]]:
    """The twin's shapes by link of ManiSkill's Panda; the camera on the hand included."""
    model = mujoco.MjModel.from_xml_string(ARM_XML.read_text(encoding="utf-8"))
    parts: dict[str, list[Part]] = {}
    for i in range(model.ngeom):
        link = _LINKS[model.body(int(model.geom_bodyid[i])).name]
        kind = _KINDS[int(model.geom_type[i])]
        w, x, y, z = (float(v) for v in model.geom_quat[i])
        number = int(model.geom_matid[i])
        rgba = model.mat_rgba[number] if number >= 0 else model.geom_rgba[i]
        size = model.geom_size[i][: 3 if kind == "box" else 2]
        px, py, pz = (float(v) for v in model.geom_pos[i])
        parts.setdefault(link, []).append(
            Part(
                kind=kind,
                size=tuple(float(v) for v in size),
                position=(px, py, pz),
                quaternion=(x, y, z, w),
                rgba=(float(rgba[0]), float(rgba[1]), float(rgba[2]), float(rgba[3])),
                texture=None,
                touchable=True,
            )
        )
    return {link: tuple(found) for link, found in parts.items()}


def dress(link: sapien.Entity, parts: tuple[Part, ...]) -> None:
    """Give a link these looks instead of its own."""
    for component in list(link.components):
        if isinstance(component, sapien.render.RenderBodyComponent):
            link.remove_component(component)
    body = sapien.render.RenderBodyComponent()
    for made in part_shapes(parts):
        body.attach(made)
    link.add_component(body)
