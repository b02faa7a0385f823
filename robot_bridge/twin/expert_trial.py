"""The scripted expert on the twin's physics: how often scenes can be finished at all, and why not when not.

Deltas are chained to absolute targets and reached along straight lines, as the bridge does it, on the stepped
clock. The expert sees the truth; no pictures are drawn.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from robot_bridge.scene.expert import expert_action
from robot_bridge.scene.perturbation import Bursts, perturb
from robot_bridge.scene.protocol import CONTROL_RATE_HZ, EPISODE_STEPS, OPEN_WIDTH
from robot_bridge.scene.scene import Scene
from robot_bridge.scene.splits import draw_scene
from robot_bridge.scene.success import Stage
from robot_bridge.twin.settings import TwinSettings
from robot_bridge.twin.truth import FLANGE_FROM_TCP
from robot_bridge.twin.world import TwinWorld
from robot_contract.pose import Vector, apply_delta, interpolate

_PERIOD = 1 / CONTROL_RATE_HZ  # [s]
_TICKS = 10  # targets per control step


@dataclass(frozen=True, kw_only=True)
class Trial:
    scene: Scene
    succeeded: bool
    furthest: Stage
    first_grasped: str | None
    steps: int  # control steps until success, or until the end
    collisions: tuple[str, ...]  # what the arm itself ran into
    fault: str | None  # reflex that ended it


def expert_world(scene: Scene) -> TwinWorld:
    """A world without cameras, on the stepped clock."""
    return TwinWorld(scene, TwinSettings(clock="stepped", cameras={}))


def run_expert(split: str, episodes: int, *, first_seed: int = 0) -> list[Trial]:
    """The expert on `episodes` scenes of a split."""
    return list(run_scenes(draw_scene(split, first_seed + number) for number in range(episodes)))


def run_scenes(scenes: Iterable[Scene]) -> Iterator[Trial]:
    world: TwinWorld | None = None
    try:
        for scene in scenes:
            if world is None:
                world = expert_world(scene)
            else:
                world.reset(scene)
            yield run_episode(world)
    finally:
        if world is not None:
            world.close()


def run_episode(world: TwinWorld, bursts: Bursts | None = None, steps: int = EPISODE_STEPS) -> Trial:
    """Act on the world's scene until success, a fault, or the last step."""
    scene, taken, fault = world.scene, 0, None
    while taken < steps and fault is None and world.progress.succeeded_at is None:
        action = expert_action(world.truth(), scene)
        carry_out(world, action if bursts is None else perturb(action, bursts, taken))
        taken += 1
        fault = world.arm.read().fault
    return Trial(
        scene=scene,
        succeeded=world.progress.succeeded_at is not None,
        furthest=world.progress.furthest,
        first_grasped=world.progress.first_grasped,
        steps=taken,
        collisions=tuple(collision.what for collision in world.collisions),
        fault=fault,
    )


def carry_out(world: TwinWorld, action: Vector) -> None:
    """One control step: the delta from the pose that was sent last, along a straight line."""
    begin = world.truth().commanded_tcp_pose
    end = apply_delta(begin, action[:3], action[3:6], "base")
    world.gripper.move(float(np.clip(action[6], 0, 1)) * OPEN_WIDTH)
    began = world.clock.now()
    tcp_from_flange = FLANGE_FROM_TCP.inverse()
    for tick in range(1, _TICKS + 1):
        if world.arm.read().fault is None:
            world.arm.track(interpolate(begin, end, tick / _TICKS) @ tcp_from_flange, None)
        world.clock.sleep_until(began + tick * _PERIOD / _TICKS)
