"""Rigid poses and the rotation arithmetic that the bridge, the twin and training share.

Quaternions are unit, scalar last (x, y, z, w). Transforms compose by eye:
`base_from_flange @ flange_from_tcp` is `base_from_tcp`.
"""

from dataclasses import dataclass
from math import atan2, cos, hypot, inf, sin, sqrt
from typing import Self

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]

_SMALL_ANGLE = 1e-7  # [rad] below this, series instead of division


def read_only(values: npt.ArrayLike) -> Vector:
    """Copy to a float64 array that cannot be written."""
    array = np.array(values, dtype=np.float64)
    array.setflags(write=False)
    return array


def quaternion_multiply(a: Vector, b: Vector) -> Vector:
    ax, ay, az, aw = a.tolist()
    bx, by, bz, bw = b.tolist()
    return np.array(
        [
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
            aw * bw - ax * bx - ay * by - az * bz,
        ]
    )


def quaternion_inverse(q: Vector) -> Vector:
    x, y, z, w = q.tolist()
    return np.array([-x, -y, -z, w])


def quaternion_rotate(q: Vector, v: Vector) -> Vector:
    """Rotate the vector v by q."""
    x, y, z, w = q.tolist()
    vx, vy, vz = v.tolist()
    tx, ty, tz = 2 * (y * vz - z * vy), 2 * (z * vx - x * vz), 2 * (x * vy - y * vx)
    return np.array(
        [
            vx + w * tx + y * tz - z * ty,
            vy + w * ty + z * tx - x * tz,
            vz + w * tz + x * ty - y * tx,
        ]
    )


def quaternion_from_rotation_vector(r: Vector) -> Vector:
    """Exponential map: rotation vector [rad] to unit quaternion."""
    x, y, z = r.tolist()
    angle = hypot(x, y, z)
    if angle == inf:
        return np.full(4, np.nan)  # no rotation: whoever checks for finiteness finds it
    scale = 0.5 - angle * angle / 48 if angle < _SMALL_ANGLE else sin(angle / 2) / angle
    return np.array([x * scale, y * scale, z * scale, cos(angle / 2)])


def rotation_vector_from_quaternion(q: Vector) -> Vector:
    """Logarithm: the shortest rotation vector [rad], its angle in 0..pi."""
    x, y, z, w = q.tolist()
    if w < 0:
        x, y, z, w = -x, -y, -z, -w
    sine = sqrt(x * x + y * y + z * z)
    scale = 2.0 if sine < _SMALL_ANGLE else 2 * atan2(sine, w) / sine
    return np.array([x * scale, y * scale, z * scale])


def matrix_from_quaternion(q: Vector) -> Vector:
    x, y, z, w = q.tolist()
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def quaternion_from_matrix(m: Vector) -> Vector:
    """Unit quaternion of a 3x3 rotation matrix, w >= 0; stable for every angle."""
    diagonal = np.array([m[0, 0], m[1, 1], m[2, 2]])
    squares = np.array([*(1 + 2 * diagonal - diagonal.sum()), 1 + diagonal.sum()])  # 4x^2 4y^2 4z^2 4w^2
    k = int(np.argmax(squares))
    q = np.array(
        [
            [squares[0], m[1, 0] + m[0, 1], m[2, 0] + m[0, 2], m[2, 1] - m[1, 2]],
            [m[1, 0] + m[0, 1], squares[1], m[2, 1] + m[1, 2], m[0, 2] - m[2, 0]],
            [m[2, 0] + m[0, 2], m[2, 1] + m[1, 2], squares[2], m[1, 0] - m[0, 1]],
            [m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], squares[3]],
        ]
    )[k]
    q = q / np.sqrt(q @ q)
    return -q if q[3] < 0 else q


@dataclass(frozen=True, kw_only=True, eq=False)
class Pose:
    """Pose of one frame in another."""

    position: Vector  # [m]
    quaternion: Vector  # unit, x y z w

    def __post_init__(self) -> None:
        object.__setattr__(self, "position", read_only(self.position))
        object.__setattr__(self, "quaternion", read_only(self.quaternion))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Pose)
            and np.array_equal(self.position, other.position)
            and np.array_equal(self.quaternion, other.quaternion)
        )

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    @classmethod
    def identity(cls) -> Self:
        return cls(position=np.zeros(3), quaternion=np.array([0.0, 0.0, 0.0, 1.0]))

    @classmethod
    def from_matrix(cls, matrix: Vector) -> Self:
        """From a 4x4 homogeneous matrix."""
        return cls(position=matrix[:3, 3], quaternion=quaternion_from_matrix(matrix[:3, :3]))

    @classmethod
    def from_rotation_vector(cls, position: npt.ArrayLike, rotation_vector: npt.ArrayLike) -> Self:
        rotation = np.asarray(rotation_vector, dtype=np.float64)
        return cls(position=np.asarray(position), quaternion=quaternion_from_rotation_vector(rotation))

    def matrix(self) -> Vector:
        """4x4 homogeneous matrix."""
        matrix = np.eye(4)
        matrix[:3, :3] = matrix_from_quaternion(self.quaternion)
        matrix[:3, 3] = self.position
        return matrix

    def rotation_vector(self) -> Vector:
        return rotation_vector_from_quaternion(self.quaternion)

    def inverse(self) -> "Pose":
        inverse = quaternion_inverse(self.quaternion)
        return Pose(position=-quaternion_rotate(inverse, self.position), quaternion=inverse)

    def __matmul__(self, other: "Pose") -> "Pose":
        quaternion = quaternion_multiply(self.quaternion, other.quaternion)
        return Pose(
            position=self.position + quaternion_rotate(self.quaternion, other.position),
            quaternion=quaternion / np.sqrt(quaternion @ quaternion),
        )

    def is_finite(self) -> bool:
        return bool(np.isfinite(self.position).all() and np.isfinite(self.quaternion).all())


def distance_between(a: Pose, b: Pose) -> float:
    """Distance of the origins [m]."""
    offset = b.position - a.position
    return float(np.sqrt(offset @ offset))


def rotation_between(a: Pose, b: Pose) -> Vector:
    """Rotation vector [rad] in the outer frame that turns a's orientation into b's."""
    return rotation_vector_from_quaternion(
        quaternion_multiply(b.quaternion, quaternion_inverse(a.quaternion))
    )


def angle_between(a: Pose, b: Pose) -> float:
    """Angle [rad] between two orientations, 0..pi."""
    rotation = rotation_between(a, b)
    return float(np.sqrt(rotation @ rotation))


def interpolate(a: Pose, b: Pose, fraction: float) -> Pose:
    """Straight line in position, shortest arc in orientation; fraction 0 is a, 1 is b."""
    quaternion = quaternion_multiply(
        quaternion_from_rotation_vector(rotation_between(a, b) * fraction), a.quaternion
    )
    return Pose(
        position=a.position + (b.position - a.position) * fraction,
        quaternion=quaternion / np.sqrt(quaternion @ quaternion),
    )


def apply_delta(anchor: Pose, translation: Vector, rotation_vector: Vector, frame: str) -> Pose:
    """Move `anchor` by one end-effector delta.

    In frame `base` the translation and the rotation axis are those of the base, the rotation about the
    tool's own origin (that is how ManiSkill, LIBERO and the published data mean it); in frame `tool`
    both are expressed in the anchor.
    """
    rotation = quaternion_from_rotation_vector(np.asarray(rotation_vector, dtype=np.float64))
    if frame == "base":
        quaternion = quaternion_multiply(rotation, anchor.quaternion)
        position = anchor.position + translation
    elif frame == "tool":
        quaternion = quaternion_multiply(anchor.quaternion, rotation)
        position = anchor.position + quaternion_rotate(
            anchor.quaternion, np.asarray(translation, dtype=np.float64)
        )
    else:
        raise ValueError(f"frame must be 'base' or 'tool', not {frame!r}")
    return Pose(position=position, quaternion=quaternion / np.sqrt(quaternion @ quaternion))
