"""What the next steps will do, without physics: the hand follows with a lag, fingers stop at the object, what
is let go falls straight down.

Good for a second or so, as a chunk of expert actions needs; the next question starts from the truth.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from robot_bridge.scene.expert import expert_action
from robot_bridge.scene.grasping import grasp_of, hand_yaw
from robot_bridge.scene.protocol import CONTROL_RATE_HZ, OPEN_WIDTH
from robot_bridge.scene.scene import Scene
from robot_bridge.scene.success import is_above
from robot_bridge.scene.truth import LEFT_FINGER, RIGHT_FINGER, TABLE, SceneTruth, contact_pair
from robot_contract.pose import Pose, Vector, apply_delta, interpolate

_FOLLOWED = 0.6  # share of the way to the sent pose that the hand makes in a step
_FINGER_STEP = 0.010  # [m] of the width in a step
_BETWEEN = (0.016, 0.015)  # [m] off the grasp point, sideways and in height, at which closing fingers hold
_TOUCHING = 0.001  # [m]


def expert_chunk(truth: SceneTruth, scene: Scene, steps: int) -> Vector:
    """(steps, 7) actions of the expert from here on, as far as they can be foreseen."""
    return np.array([action for action, _ in _acting(truth, scene, steps)])


def _acting(truth: SceneTruth, scene: Scene, steps: int) -> Iterator[tuple[Vector, SceneTruth]]:
    for _ in range(steps):
        action = expert_action(truth, scene)
        truth = foresee(truth, scene, action)
        yield action, truth


def foresee(truth: SceneTruth, scene: Scene, action: Vector) -> SceneTruth:
    """The truth one step later."""
    name, thing = scene.target_object, scene.target
    sent = apply_delta(truth.commanded_tcp_pose, action[:3], action[3:6], "base")
    hand = interpolate(truth.tcp_pose, sent, _FOLLOWED)
    was_held = truth.is_grasped(name)
    stop = thing.grasp_width if was_held or _is_between(truth, scene, hand) else 0.0
    wanted = float(action[6]) * OPEN_WIDTH
    change = float(np.clip(wanted - truth.gripper_width, -_FINGER_STEP, _FINGER_STEP))
    width = min(max(truth.gripper_width + change, stop), OPEN_WIDTH)
    is_held = stop > 0 and wanted < stop and (was_held or width <= stop)
    poses = dict(truth.poses)
    if was_held:
        poses[name] = hand @ (truth.tcp_pose.inverse() @ poses[name])
    later = replace(
        truth,
        time=truth.time + 1 / CONTROL_RATE_HZ,
        poses=poses,
        tcp_pose=hand,
        commanded_tcp_pose=sent,
        gripper_width=width,
    )
    support = _support(later, scene)
    if was_held and not is_held:
        x, y, _ = poses[name].position
        poses[name] = Pose(position=np.array([x, y, support]), quaternion=poses[name].quaternion)
    return replace(later, poses=poses, contacts=_contacts(truth, scene, poses[name], support, is_held))


def _is_between(truth: SceneTruth, scene: Scene, hand: Pose) -> bool:
    grasp = grasp_of(scene.target, truth.poses[scene.target_object], hand_yaw(hand))
    off = hand.position - grasp.position
    return bool(np.hypot(off[0], off[1]) <= _BETWEEN[0] and abs(off[2]) <= _BETWEEN[1])


def _support(truth: SceneTruth, scene: Scene) -> float:
    """Height [m] on which the target comes to rest when it is let go."""
    if not is_above(truth, scene.target_object, scene.target_receptacle):
        return 0.0
    return float(truth.poses[scene.target_receptacle].position[2]) + scene.receptacle.floor


def _contacts(
    truth: SceneTruth, scene: Scene, pose: Pose, support: float, is_held: bool
) -> frozenset[tuple[str, str]]:
    name = scene.target_object
    pairs = {pair for pair in truth.contacts if name not in pair}
    if is_held:
        pairs |= {contact_pair(LEFT_FINGER, name), contact_pair(RIGHT_FINGER, name)}
    if pose.position[2] <= support + _TOUCHING:
        pairs.add(contact_pair(name, scene.target_receptacle if support > 0 else TABLE))
    return frozenset(pairs)
