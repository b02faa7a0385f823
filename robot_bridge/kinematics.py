"""Kinematics of the FR3 and the Panda: one geometry, flange and elbow, Jacobian, inverse by damped steps.

Plain floats where arrays of three would cost more than the arithmetic: the safety filter runs this several
times in every tick. Frames: base, and the flange as the maker defines it (no hand, no tool).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import atan2, cos, sin, sqrt

import numpy as np

from robot_contract.pose import (
    Pose,
    Vector,
    matrix_from_quaternion,
    quaternion_from_matrix,
    rotation_vector_from_quaternion,
)

# Modified Denavit-Hartenberg parameters as published in the Franka Control Interface documentation:
# a [m], d [m], and the quarter turns of alpha; after the seventh joint the flange, 0.107 m along its axis.
_LINKS = (
    (0.0, 0.333, 0),
    (0.0, 0.0, -1),
    (0.0, 0.316, 1),
    (0.0825, 0.0, 1),
    (-0.0825, 0.384, -1),
    (0.0, 0.0, 1),
    (0.088, 0.0, 1),
)
_FLANGE = 0.107  # [m]
_ELBOW = 3  # the origin of the fourth joint
_DAMPING = 1e-4  # of the squared singular values; far below those of any pose that is allowed
_SMALL = 1e-9  # sine of an angle below which it is the angle
_LARGEST_STEP = 0.2  # [rad] of one joint in one step of the inverse


@dataclass(frozen=True, kw_only=True, eq=False)
class Links:
    """Where the joints stand."""

    origins: Vector  # (7, 3) [m]
    axes: Vector  # (7, 3) unit
    flange_position: Vector  # (3,) [m]
    flange_rotation: Vector  # (3, 3)

    @property
    def elbow(self) -> Vector:
        return self.origins[_ELBOW]

    def flange_pose(self) -> Pose:
        return Pose(position=self.flange_position, quaternion=quaternion_from_matrix(self.flange_rotation))

    def jacobian(self) -> Vector:
        """(6, 7) velocity [m/s, rad/s] of the flange, base frame, per joint speed."""
        return self._jacobian

    @cached_property
    def _jacobian(self) -> Vector:
        jacobian = np.empty((6, 7))
        jacobian[:3] = self._velocities(self.flange_position)
        jacobian[3:] = self.axes.T
        jacobian.setflags(write=False)
        return jacobian

    def elbow_jacobian(self) -> Vector:
        """(3, 7) velocity [m/s] of the elbow per joint speed; the joints after it do not move it."""
        jacobian = self._velocities(self.elbow)
        jacobian[:, _ELBOW:] = 0.0
        return jacobian

    def _velocities(self, point: Vector) -> Vector:
        """(3, 7) of a point that all joints move."""
        (a0, a1, a2), (b0, b1, b2) = self.axes.T, (point - self.origins).T
        return np.array([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0])


def forward(joint_position: Vector | Sequence[float]) -> Links:
    """Place every link."""
    x0, x1, x2, y0, y1, y2, z0, z1, z2 = 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0
    p0 = p1 = p2 = 0.0
    origins: list[tuple[float, float, float]] = []
    axes: list[tuple[float, float, float]] = []
    angles = joint_position.tolist() if isinstance(joint_position, np.ndarray) else joint_position
    for (a, d, turn), angle in zip(_LINKS, angles, strict=True):
        p0, p1, p2 = p0 + a * x0, p1 + a * x1, p2 + a * x2
        if turn > 0:
            y0, y1, y2, z0, z1, z2 = z0, z1, z2, -y0, -y1, -y2
        elif turn < 0:
            y0, y1, y2, z0, z1, z2 = -z0, -z1, -z2, y0, y1, y2
        p0, p1, p2 = p0 + d * z0, p1 + d * z1, p2 + d * z2
        c, s = cos(angle), sin(angle)
        x0, x1, x2, y0, y1, y2 = (
            c * x0 + s * y0,
            c * x1 + s * y1,
            c * x2 + s * y2,
            c * y0 - s * x0,
            c * y1 - s * x1,
            c * y2 - s * x2,
        )
        origins.append((p0, p1, p2))
        axes.append((z0, z1, z2))
    return Links(
        origins=np.array(origins),
        axes=np.array(axes),
        flange_position=np.array([p0 + _FLANGE * z0, p1 + _FLANGE * z1, p2 + _FLANGE * z2]),
        flange_rotation=np.array([[x0, y0, z0], [x1, y1, z1], [x2, y2, z2]]),
    )


def flange_pose(joint_position: Vector) -> Pose:
    return forward(joint_position).flange_pose()


def elbow_position(joint_position: Vector) -> Vector:
    return forward(joint_position).elbow


def jacobian(joint_position: Vector) -> Vector:
    return forward(joint_position).jacobian()


def condition_number(jacobian_67: Vector) -> float:
    """Greatest over smallest singular value; infinite at a singularity."""
    squares = np.linalg.eigvalsh(jacobian_67 @ jacobian_67.T)
    smallest = float(squares[0])
    return float(np.sqrt(squares[-1] / smallest)) if smallest > 0 else float("inf")


def pseudo_inverse(jacobian_67: Vector) -> Vector:
    """(7, 6) damped, so that it stays finite at a singularity."""
    square = jacobian_67 @ jacobian_67.T
    square.flat[::7] += _DAMPING
    return np.asarray(np.linalg.solve(square, jacobian_67), dtype=np.float64).T


def pose_error(links: Links, position: Vector, rotation: Vector) -> Vector:
    """(6,) what is missing [m, rad] from the flange to a position (3,) and rotation (3, 3), base frame."""
    error = np.empty(6)
    error[:3] = position - links.flange_position
    (_, a, b), (c, _, d), (e, f, _) = turn = (rotation @ links.flange_rotation.T).tolist()
    x, y, z = (f - d) / 2, (b - e) / 2, (c - a) / 2
    sine, cosine = sqrt(x * x + y * y + z * z), (turn[0][0] + turn[1][1] + turn[2][2] - 1) / 2
    if cosine < -0.9:  # near half a turn the sine says nothing
        error[3:] = rotation_vector_from_quaternion(quaternion_from_matrix(np.array(turn)))
    else:
        scale = atan2(sine, cosine) / sine if sine > _SMALL else 1.0
        error[3:] = (x * scale, y * scale, z * scale)
    return error


@dataclass(frozen=True, kw_only=True, eq=False)
class Solution:
    joint_position: Vector  # (7,) [rad]
    links: Links  # at that position
    error: Vector  # (6,) [m, rad] still missing
    inverted: Vector  # (7, 6) damped inverse of the Jacobian where the last step began


def inverse(
    target: Pose,
    start: Vector,
    *,
    links: Links | None = None,
    tendency: Vector | None = None,
    steps: int = 3,
    tolerance: float = 1e-6,
) -> Solution:
    """Solve for the posture near `start` by one to `steps` damped least-squares steps.

    `links` are those at the start, where known; `tendency` is a joint motion [rad] that the null space takes
    up in the first step. The caller looks at the error: out of reach, the nearest posture found is given.
    """
    joints, links = start, forward(start) if links is None else links
    rotation = matrix_from_quaternion(target.quaternion)
    error = pose_error(links, target.position, rotation)
    inverted = np.empty((7, 6))
    for step in range(steps):
        if step > 0 and float(np.abs(error).max()) <= tolerance:
            break
        matrix = links.jacobian()
        inverted = pseudo_inverse(matrix)
        change = inverted @ error
        if step == 0 and tendency is not None:
            change = change + tendency - inverted @ (matrix @ tendency)
        size = float(np.abs(change).max())
        joints = joints + (change if size <= _LARGEST_STEP else change * (_LARGEST_STEP / size))
        links = forward(joints)
        error = pose_error(links, target.position, rotation)
    return Solution(joint_position=joints, links=links, error=error, inverted=inverted)


def solve(target: Pose, start: Vector, *, tolerance: float = 1e-6, steps: int = 100) -> Vector | None:
    """Joint position that reaches the target, searched from `start`; None where none was found."""
    found = inverse(target, start, steps=steps, tolerance=tolerance)
    return found.joint_position if float(np.abs(found.error).max()) <= tolerance else None


def tool_points(flange: Pose, points: Vector) -> Vector:
    """(n, 3) positions in the base frame of points (n, 3) given in the flange frame."""
    return flange.position + points @ matrix_from_quaternion(flange.quaternion).T
