"""Judgements on the truth: success, and how far an episode came.

Success is the named object on the named receptacle, released and at rest. The same definitions score
training, the twin and benchmark episodes.
"""

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from robot_bridge.scene.catalogue import catalogue
from robot_bridge.scene.scene import Scene
from robot_bridge.scene.truth import TABLE, SceneTruth
from robot_contract.pose import Vector

REST_SPEED = 0.02  # [m/s] slower than this is at rest
REACHED = 0.04  # [m] of the TCP from the grasp point
LIFTED = 0.02  # [m] of the object's origin above the table


class Stage(IntEnum):
    """How far an episode came; each includes the ones before it."""

    START = 0
    REACH = 1  # the TCP is at the named object, or a finger touches it
    GRASP = 2  # both fingers hold it
    LIFT = 3  # it is held clear of the table
    OVER = 4  # it is held above the named receptacle
    PLACE = 5  # success


def centre(truth: SceneTruth, name: str) -> Vector:
    """Middle of the object [m], base frame, however it lies."""
    pose = truth.poses[name]
    return pose.position + pose.matrix()[:3, 2] * (catalogue().object(name).height / 2)


def is_above(truth: SceneTruth, name: str, receptacle: str) -> bool:
    """The object's middle is within the receptacle's inside, seen from above."""
    place = catalogue().receptacle(receptacle)
    pose = truth.poses[receptacle]
    point = (centre(truth, name) - pose.position) @ pose.matrix()[:3, :3]
    x, y = abs(float(point[0])) / place.inside[0], abs(float(point[1])) / place.inside[1]
    return bool(np.hypot(x, y) <= 1.0) if place.is_round else x <= 1.0 and y <= 1.0


def is_on(truth: SceneTruth, name: str, receptacle: str) -> bool:
    """It rests on or in the receptacle, not beside it."""
    return (
        is_above(truth, name, receptacle)
        and truth.touches(name, receptacle)
        and not truth.touches(name, TABLE)
        and bool(centre(truth, name)[2] > truth.poses[receptacle].position[2])
    )


def is_success(truth: SceneTruth, scene: Scene) -> bool:
    name = scene.target_object
    return (
        is_on(truth, name, scene.target_receptacle)
        and not truth.is_touched(name)
        and truth.speeds[name] < REST_SPEED
    )


def stage(truth: SceneTruth, scene: Scene) -> Stage:
    """Where the episode stands at this instant."""
    name = scene.target_object
    if is_success(truth, scene):
        return Stage.PLACE
    if truth.is_grasped(name):
        if truth.touches(name, TABLE) or not truth.poses[name].position[2] >= LIFTED:
            return Stage.GRASP
        return Stage.OVER if is_above(truth, name, scene.target_receptacle) else Stage.LIFT
    pose = truth.poses[name]
    grasp_point = pose.position + pose.matrix()[:3, 2] * scene.target.grasp_height
    is_near = float(np.linalg.norm(truth.tcp_pose.position - grasp_point)) <= REACHED
    return Stage.REACH if is_near or truth.is_touched(name) else Stage.START


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What an episode has shown so far; folded over its truths by `advance`."""

    furthest: Stage = Stage.START
    first_grasped: str | None = None  # the first object that was lifted off its support by both fingers
    succeeded_at: float | None = None  # [s] since the start

    def is_wrong_object(self, scene: Scene) -> bool:
        """The hand went for another object first."""
        return self.first_grasped is not None and self.first_grasped != scene.target_object


def advance(progress: Progress, truth: SceneTruth, scene: Scene) -> Progress:
    now = stage(truth, scene)
    lifted = [
        placement.name
        for placement in scene.objects
        if truth.is_grasped(placement.name) and not truth.touches(placement.name, TABLE)
    ]
    return replace(
        progress,
        furthest=max(progress.furthest, now),
        first_grasped=progress.first_grasped or (lifted[0] if lifted else None),
        succeeded_at=truth.time
        if progress.succeeded_at is None and now is Stage.PLACE
        else progress.succeeded_at,
    )
