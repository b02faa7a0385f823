"""A scripted expert for every put-on scene.

Its action is a function of the present truth alone: any state can be labelled, and a dropped, tipped or
moved object is simply approached again. One call, one delta within the task's bounds.
"""

from typing import Literal

import numpy as np

from robot_bridge.scene.catalogue import catalogue
from robot_bridge.scene.grasping import bottom, grasp_of, hand_yaw, pointing_down, top
from robot_bridge.scene.protocol import MAX_ROTATION, MAX_TRANSLATION
from robot_bridge.scene.scene import Scene
from robot_bridge.scene.success import centre, is_on
from robot_bridge.scene.truth import LEFT_FINGER, RIGHT_FINGER, TABLE, SceneTruth
from robot_contract.pose import Pose, Vector, rotation_between

Pace = Literal["full", "easing", "slow"]

OPEN, CLOSED = 1.0, 0.0

_TRAVEL_GAP = 0.035  # [m] of the TCP or of the held object above whatever stands about
_HOVER_GAP = 0.030  # [m] of the TCP above the object's top before going down around it
_AIMED, _AIMED_LOW = 0.005, 0.014  # [m] off the grasp point at which the hand goes down, and may stay down
_YAW_AIMED = 0.08  # [rad]
_AT_HEIGHT = 0.006  # [m] of the grasp height at which the fingers close
_OVER, _OVER_LOW = 0.010, 0.025  # [m] off the receptacle's middle at which lowering begins, and goes on
_RELEASE_GAP = 0.005  # [m] between object and floor
_SLOW = 0.006  # [m] per step while a held object still stands on the table
_SLOWEST, _SLOWING = 0.002, 0.25  # [m] per step near the goal, and its growth with the distance that is left
_WORKSPACE = np.array([[0.25, -0.42, 0.013], [0.75, 0.42, 0.50]])  # [m]
_MARGIN = 0.999  # rounding must not cross the bounds


def expert_action(truth: SceneTruth, scene: Scene) -> Vector:
    """(dx dy dz [m], rx ry rz [rad] rotation vector, gripper opening 0..1), base frame, commanded chain."""
    if truth.is_grasped(scene.target_object):
        return _carry(truth, scene)
    if is_on(truth, scene.target_object, scene.target_receptacle):
        return _leave(truth, scene)
    return _take(truth, scene)


def _toward(truth: SceneTruth, position: Vector, yaw: float, opening: float, pace: Pace = "full") -> Vector:
    """One bounded step of the commanded pose."""
    sent = truth.commanded_tcp_pose
    goal = Pose(position=np.clip(position, *_WORKSPACE), quaternion=pointing_down(yaw))
    move = goal.position - sent.position
    if pace == "easing":  # the nearer, the slower
        longest = min(MAX_TRANSLATION, _SLOWEST + _SLOWING * float(np.linalg.norm(move)))
    else:
        longest = _SLOW if pace == "slow" else MAX_TRANSLATION
    turn = rotation_between(sent, goal)
    return np.array(
        [
            *_shortened(move, longest * _MARGIN),
            *_shortened(turn, MAX_ROTATION * _MARGIN),
            opening,
        ]
    )


def _shortened(vector: Vector, longest: float) -> Vector:
    length = float(np.linalg.norm(vector))
    return vector if length <= longest else vector * (longest / length)


def _tops(truth: SceneTruth, scene: Scene, *, but: str) -> float:
    """The highest thing on the table, one left out [m]."""
    known = catalogue()
    things = [known.object(p.name) for p in scene.objects] + [
        known.receptacle(p.name) for p in scene.receptacles
    ]
    return max(top(thing, truth.poses[thing.name]) for thing in things if thing.name != but)


def _take(truth: SceneTruth, scene: Scene) -> Vector:
    """Go above the object, down around it, and close."""
    sent, measured = truth.commanded_tcp_pose.position, truth.tcp_pose.position
    thing, pose = scene.target, truth.poses[scene.target_object]
    yaw_now = hand_yaw(truth.commanded_tcp_pose)
    grasp = grasp_of(thing, pose, yaw_now)
    off = max(_flat_distance(sent, grasp.position), _flat_distance(measured, grasp.position))
    yaw_off = max(abs(grasp.yaw - yaw_now), abs(grasp.yaw - hand_yaw(truth.tcp_pose)))
    hover = top(thing, pose) + _HOVER_GAP
    depth = float(np.clip((hover - measured[2]) / max(hover - grasp.position[2], 1e-3), 0, 1))
    is_aimed = off <= _AIMED + (_AIMED_LOW - _AIMED) * depth and yaw_off <= _YAW_AIMED * (1 + depth)
    is_low = measured[2] < hover - 0.012

    if is_aimed and (is_low or _is_open(truth, scene)):
        heights = (sent[2] - grasp.position[2], measured[2] - grasp.position[2])
        if max(abs(height) for height in heights) <= _AT_HEIGHT:
            return _toward(truth, sent, grasp.yaw, CLOSED)
        return _toward(truth, grasp.position, grasp.yaw, OPEN, "easing")
    if is_low and (off > _AIMED_LOW or _holds_another(truth, scene)):
        return _toward(truth, np.array([*sent[:2], hover + 0.01]), yaw_now, OPEN)
    safe = hover if off <= 0.06 else max(hover, _tops(truth, scene, but=scene.target_object) + _TRAVEL_GAP)
    return _toward(truth, np.array([*grasp.position[:2], safe]), grasp.yaw, OPEN)


def _carry(truth: SceneTruth, scene: Scene) -> Vector:
    """Lift the held object, bring it over the receptacle, lower it and let go."""
    sent, measured = truth.commanded_tcp_pose.position, truth.tcp_pose.position
    thing, pose = scene.target, truth.poses[scene.target_object]
    place, place_pose = scene.receptacle, truth.poses[scene.target_receptacle]
    yaw = hand_yaw(truth.commanded_tcp_pose)
    aim = place_pose.position - centre(truth, scene.target_object)
    lag = sent - measured
    off = max(float(np.hypot(*aim[:2])), float(np.hypot(*(aim - lag)[:2])))
    low = bottom(thing, pose)
    floor = float(place_pose.position[2]) + place.floor
    travel = _tops(truth, scene, but=scene.target_object) + _TRAVEL_GAP
    above = measured + np.array([aim[0], aim[1], 0.0])  # where the TCP is when the object is over the middle
    lift = measured[2] + travel - low
    depth = float(np.clip((travel - low) / max(travel - floor, 1e-3), 0, 1))

    if off <= _OVER + (_OVER_LOW - _OVER) * depth:
        if low - floor <= _RELEASE_GAP or truth.touches(thing.name, scene.target_receptacle):
            return _toward(truth, sent, yaw, OPEN)
        down = measured[2] + floor - low
        return _toward(truth, np.array([*above[:2], down]), yaw, CLOSED, "easing")
    if truth.touches(thing.name, TABLE):
        return _toward(truth, np.array([*sent[:2], lift]), yaw, CLOSED, "slow")
    if low < travel - 0.015:
        return _toward(truth, np.array([*sent[:2], lift]), yaw, CLOSED)
    return _toward(truth, np.array([*above[:2], lift]), yaw, CLOSED)


def _leave(truth: SceneTruth, scene: Scene) -> Vector:
    """Open, and when the fingers are clear go straight up and stand."""
    sent = truth.commanded_tcp_pose.position
    yaw = hand_yaw(truth.commanded_tcp_pose)
    is_near = float(np.linalg.norm(truth.tcp_pose.position - centre(truth, scene.target_object))) < 0.08
    if is_near and not _is_open(truth, scene):
        return _toward(truth, sent, yaw, OPEN)
    up = max(top(scene.target, truth.poses[scene.target_object]) + 0.08, float(sent[2]))
    return _toward(truth, np.array([*sent[:2], up]), yaw, OPEN)


def _is_open(truth: SceneTruth, scene: Scene) -> bool:
    """Wide enough for the target to pass."""
    return truth.gripper_width >= min(scene.target.grasp_width + 0.008, 0.076)


def _holds_another(truth: SceneTruth, scene: Scene) -> bool:
    return any(
        truth.touches(finger, name) for finger in (LEFT_FINGER, RIGHT_FINGER) for name in scene.distractors
    )


def _flat_distance(a: Vector, b: Vector) -> float:
    return float(np.hypot(a[0] - b[0], a[1] - b[1]))
