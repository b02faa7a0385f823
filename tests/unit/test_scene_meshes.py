"""Meshes are closed, face outwards, and have the size of the parts that they stand for."""

import numpy as np
import pytest

from robot_bridge.scene.catalogue import catalogue
from robot_bridge.scene.meshes import Mesh, part_mesh
from robot_bridge.scene.parts import Part, reach

KINDS = {part.kind: part for thing in catalogue().objects.values() for part in thing.parts}


def volume(mesh: Mesh) -> float:
    a, b, c = np.moveaxis(mesh.vertices[mesh.triangles], 1, 0)
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


def test_every_kind_of_part_occurs() -> None:
    assert set(KINDS) == {"box", "cylinder", "capsule", "ellipsoid", "sphere"}


@pytest.mark.parametrize("part", KINDS.values(), ids=KINDS)
def test_volume_and_extent_are_the_parts(part: Part) -> None:
    mesh = part_mesh(part, slices=96)
    assert volume(mesh) == pytest.approx(part.volume, rel=0.01)
    for direction in np.vstack([np.eye(3), -np.eye(3)]):
        assert (mesh.vertices @ direction).max() == pytest.approx(reach(part, direction), abs=2e-4)


@pytest.mark.parametrize("part", KINDS.values(), ids=KINDS)
def test_every_edge_has_two_triangles_that_run_it_in_opposite_ways(part: Part) -> None:
    mesh = part_mesh(part)
    places, where = np.unique(mesh.vertices.round(9), axis=0, return_inverse=True)
    corners = where.reshape(-1)[mesh.triangles]
    edges = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]])
    forth = edges[:, 0] * len(places) + edges[:, 1]
    back = edges[:, 1] * len(places) + edges[:, 0]
    assert len(np.unique(forth)) == len(forth)
    assert np.array_equal(np.sort(forth), np.sort(back))


@pytest.mark.parametrize("part", KINDS.values(), ids=KINDS)
def test_normals_point_the_way_the_triangles_face(part: Part) -> None:
    mesh = part_mesh(part)
    a, b, c = np.moveaxis(mesh.vertices[mesh.triangles], 1, 0)
    faces = np.cross(b - a, c - a)
    assert (np.einsum("ij,ij->i", faces, mesh.normals[mesh.triangles].mean(axis=1)) > 0).all()
    assert np.linalg.norm(mesh.normals, axis=1) == pytest.approx(1.0)
    assert mesh.uv.shape == (len(mesh.vertices), 2)


def test_a_label_stands_upright_on_the_sides_of_a_box() -> None:
    mesh = part_mesh(catalogue().object("milk_carton").parts[0])
    sides = np.abs(mesh.normals[:, 2]) < 0.5
    top = mesh.vertices[sides, 2] > mesh.vertices[:, 2].mean()
    assert (mesh.uv[sides][top, 1] == 1).all()
    assert (mesh.uv[sides][~top, 1] == 0).all()
