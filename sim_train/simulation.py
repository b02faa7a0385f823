"""What every suite's simulator offers: one cell in one process, the same for ManiSkill and for LIBERO.

Actions are those of the wire (metres, radians, opening 0..1), and they are carried out as the suite says
(`reference`, `frame`): a policy that runs here runs behind the bridge. Pictures are drawn when `look` is
called and at no other time: a chunk of steps costs physics alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from robot_contract.pose import Pose, Vector

Picture = npt.NDArray[np.uint8]  # (height, width, 3), RGB


@dataclass(frozen=True, kw_only=True)
class Episode:
    """Which conditions an episode starts from; equal episodes of one suite start equal, bit for bit."""

    suite: str  # "put-on", "libero_spatial", ...
    task: str  # put-on: a split or sub-split of robot_bridge/scene; LIBERO: the task's number in its suite
    seed: int  # put-on: the scene's seed; LIBERO: the official initial state, 0..49


@dataclass(frozen=True, kw_only=True, eq=False)
class Reading:
    """The robot's own state, as an observation carries it."""

    tcp_pose: Pose  # measured, base frame
    joint_position: Vector  # (7,) [rad]
    gripper_width: float  # [m]
    gripper_command: float  # last commanded opening, 0 or 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Report:
    """What a chunk of steps led to. Steps after the end of the episode are not carried out."""

    steps: int  # carried out in this call
    rewards: Vector  # (steps,) of the suite's own reward, relative: what each step added
    succeeded: bool  # at any step of the episode so far
    is_over: bool  # succeeded, failed for good, or out of steps
    notes: Mapping[str, float] = field(default_factory=dict)  # what the suite knows besides, by name


class Simulation(Protocol):
    """One simulated cell. Nothing in it is shared; it may live in a process of its own."""

    def reset(self, episode: Episode) -> None: ...

    @property
    def instruction(self) -> str: ...

    def step(self, actions: Vector) -> Report:
        """Carry out (n, 7) actions one after the other, no picture drawn."""
        ...

    def look(self) -> Mapping[str, Picture]:
        """Pictures of now, by the camera names of the suite's contract, at its sizes."""
        ...

    def read(self) -> Reading: ...

    def marks(self) -> Vector:
        """(2, 3) [m, base frame]: where the named object is, and where it is to go; NaN where unknown."""
        ...

    def mark_pixels(self) -> Mapping[str, Vector]:
        """By camera, (2, 2): the marks in the picture, x and y as fractions 0..1; NaN where out of sight."""
        ...

    def other_instructions(self) -> tuple[str, ...]:
        """What would be asked of each other thing that stands in the scene; empty when nothing else does."""
        ...

    def expert(self, steps: int) -> Vector:
        """(steps, 7) actions of the suite's scripted expert from here on; SceneError where there is none."""
        ...

    def close(self) -> None: ...
