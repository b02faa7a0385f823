"""Parts as triangle meshes with texture coordinates, for renderers and engines without all the primitives.

SAPIEN, for one, has no ellipsoid and puts no texture on primitives. Triangles face outwards; textures stand
upright on the sides, as the twin shows them.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from robot_bridge.scene.parts import Part
from robot_contract.pose import Vector

_REPEATS = 4  # of a texture around a round side
_Triangles = npt.NDArray[np.int32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Mesh:
    vertices: Vector  # (n, 3) [m], in the thing's frame
    normals: Vector  # (n, 3) unit
    uv: Vector  # (n, 2); v is 0 at the picture's lower edge
    triangles: _Triangles  # (m, 3) indices of vertices, counter-clockwise seen from outside


def part_mesh(part: Part, *, slices: int = 24) -> Mesh:
    """The part's surface; round shapes have `slices` facets around."""
    match part.kind, part.size:
        case "box", (x, y, z):
            mesh = _box(x, y, z)
        case "cylinder", (r, h):
            mesh = _turned(*_cylinder_profile(r, h), slices)
        case "capsule", (r, h):
            mesh = _turned(*_capsule_profile(r, h, slices // 4), slices)
        case "ellipsoid", (a, b, c):
            mesh = _stretched(_turned(*_capsule_profile(1.0, 0.0, slices // 4), slices), np.array([a, b, c]))
        case _, (r, *_):
            mesh = _turned(*_capsule_profile(r, 0.0, slices // 4), slices)
        case _:
            raise AssertionError(part)
    rotation = part.pose.matrix()[:3, :3]
    return Mesh(
        vertices=mesh.vertices @ rotation.T + part.pose.position,
        normals=mesh.normals @ rotation.T,
        uv=mesh.uv,
        triangles=mesh.triangles,
    )


def _box(x: float, y: float, z: float) -> Mesh:
    half = np.array([x, y, z])
    sides = [  # outward normal, the picture's right, the picture's up
        ([1, 0, 0], [0, 1, 0], [0, 0, 1]),
        ([-1, 0, 0], [0, -1, 0], [0, 0, 1]),
        ([0, 1, 0], [-1, 0, 0], [0, 0, 1]),
        ([0, -1, 0], [1, 0, 0], [0, 0, 1]),
        ([0, 0, 1], [1, 0, 0], [0, 1, 0]),
        ([0, 0, -1], [-1, 0, 0], [0, 1, 0]),
    ]
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=float)
    vertices, normals = [], []
    for normal, right, up in np.array(sides, dtype=float):
        vertices.append(
            (normal + np.outer(2 * corners[:, 0] - 1, right) + np.outer(2 * corners[:, 1] - 1, up)) * half
        )
        normals.append(np.tile(normal, (4, 1)))
    two = np.array([[0, 1, 2], [0, 2, 3]])
    triangles = np.concatenate([two + 4 * side for side in range(6)]).astype(np.int32)
    return Mesh(
        vertices=np.concatenate(vertices),
        normals=np.concatenate(normals),
        uv=np.tile(corners, (6, 1)),
        triangles=triangles,
    )


def _cylinder_profile(r: float, h: float) -> tuple[Vector, Vector, Vector]:
    """(radius, height) points, their normals, and v, from the bottom up; edges are doubled."""
    points = np.array([[0, -h], [r, -h], [r, -h], [r, h], [r, h], [0, h]])
    normals = np.array([[0, -1], [0, -1], [1, 0], [1, 0], [0, 1], [0, 1]], dtype=float)
    return points, normals, np.array([0.0, 0.1, 0.0, 1.0, 0.9, 1.0])


def _capsule_profile(r: float, h: float, rings: int) -> tuple[Vector, Vector, Vector]:
    angles = np.linspace(-np.pi / 2, 0, rings + 1)
    lower = np.column_stack([np.cos(angles), np.sin(angles)])
    lower[0, 0] = 0.0
    normals = np.concatenate([lower, lower[::-1] * [1, -1]])
    shift = np.repeat([-h, h], rings + 1)
    points = r * normals + np.column_stack([np.zeros_like(shift), shift])
    if h == 0:  # the two halves meet
        points, normals = np.delete(points, rings, axis=0), np.delete(normals, rings, axis=0)
    return points, normals, (points[:, 1] - points[0, 1]) / np.ptp(points[:, 1])


def _turned(points: Vector, normals: Vector, v: Vector, slices: int) -> Mesh:
    """The surface that a profile makes when it is turned about z."""
    turns = np.linspace(0, 1, slices + 1)
    x, y = np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)

    def around(profile: Vector) -> Vector:
        radius, height = profile[:, 0, None], np.repeat(profile[:, 1, None], slices + 1, axis=1)
        return np.stack([radius * x, radius * y, height], axis=2).reshape(-1, 3)

    uv = np.stack(np.broadcast_arrays(_REPEATS * turns[None, :], v[:, None]), axis=2).reshape(-1, 2)
    low, left = np.meshgrid(np.arange(len(points) - 1), np.arange(slices), indexing="ij")
    a = (low * (slices + 1) + left).ravel()
    b, c, d = a + 1, a + slices + 2, a + slices + 1
    triangles = np.concatenate([np.column_stack([a, b, c]), np.column_stack([a, c, d])])
    vertices = around(points)
    corner = vertices[triangles]
    area = np.linalg.norm(np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]), axis=1)
    return Mesh(
        vertices=vertices, normals=around(normals), uv=uv, triangles=triangles[area > 1e-14].astype(np.int32)
    )


def _stretched(mesh: Mesh, axes: Vector) -> Mesh:
    normals = mesh.normals / axes
    return Mesh(
        vertices=mesh.vertices * axes,
        normals=normals / np.linalg.norm(normals, axis=1, keepdims=True),
        uv=mesh.uv,
        triangles=mesh.triangles,
    )
