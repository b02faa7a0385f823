"""Boxes in any orientation: their surface points, and how far points are from them.

LIBERO's things are made of some dozens of collision boxes each; that is all the expert needs of them.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from robot_contract.pose import Vector

_LATTICE = np.stack(np.meshgrid(*[np.linspace(-1.0, 1.0, 5)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)


@dataclass(frozen=True, kw_only=True, eq=False)
class Boxes:
    centers: Vector  # (n, 3) [m]
    rotations: Vector  # (n, 3, 3), columns are each box's axes
    halves: Vector  # (n, 3) [m]

    @cached_property
    def points(self) -> Vector:
        """(125 n, 3) [m]: a lattice through each box, its corners included."""
        inside = self.halves[:, None, :] * _LATTICE[None]
        return (self.centers[:, None, :] + np.einsum("nij,nkj->nki", self.rotations, inside)).reshape(-1, 3)

    def gap(self, points: Vector) -> float:
        """Smallest distance [m] of any of these (m, 3) points from any box; negative inside."""
        if len(self.centers) == 0:
            return np.inf
        seen = np.einsum("nij,nmi->nmj", self.rotations, points[None] - self.centers[:, None, :])
        outside = np.abs(seen) - self.halves[:, None, :]
        distances = np.sqrt((np.maximum(outside, 0.0) ** 2).sum(axis=2)) + np.minimum(
            outside.max(axis=2), 0.0
        )
        return float(distances.min())

    def moved(self, translation: Vector) -> Self:
        return type(self)(centers=self.centers + translation, rotations=self.rotations, halves=self.halves)

    def near(self, point: Vector, radius: float) -> Self:
        """Those that reach into a ball."""
        reach = np.sqrt(((self.centers - point) ** 2).sum(axis=1)) - np.sqrt((self.halves**2).sum(axis=1))
        keep = reach < radius
        return type(self)(
            centers=self.centers[keep], rotations=self.rotations[keep], halves=self.halves[keep]
        )
