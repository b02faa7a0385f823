"""The expert is a bounded function of the present state that finishes every scene and recovers by itself.

The world here is kinematic: the hand follows with a lag, the fingers stop at the object's width, what is let
go falls straight down. The twin's physics has its own trial.
"""

import dataclasses

import numpy as np
import pytest

from robot_bridge.scene.catalogue import catalogue
from robot_bridge.scene.expert import expert_action
from robot_bridge.scene.foresight import expert_chunk, foresee
from robot_bridge.scene.grasping import grasp_of, hand_yaw, nearest_yaw, pointing_down
from robot_bridge.scene.perturbation import draw_bursts, is_demonstration, perturb
from robot_bridge.scene.protocol import EPISODE_STEPS, MAX_ROTATION, MAX_TRANSLATION, OPEN_WIDTH
from robot_bridge.scene.scene import Placement, Scene
from robot_bridge.scene.splits import draw_scene, split_names
from robot_bridge.scene.success import Progress, Stage, advance
from robot_bridge.scene.truth import TABLE, SceneTruth, contact_pair
from robot_contract.pose import Pose, Vector, quaternion_from_rotation_vector


def upright(x: float, y: float, z: float, yaw: float) -> Pose:
    return Pose(
        position=np.array([x, y, z]), quaternion=quaternion_from_rotation_vector(np.array([0.0, 0.0, yaw]))
    )


class KinematicCell:
    """The expert's own foresight as a world, with somebody who moves things."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        start = scene.start
        hand = Pose(position=np.array([start.x, start.y, start.z]), quaternion=pointing_down(start.yaw))
        placed = [*scene.objects, *scene.receptacles]
        self.truth = SceneTruth(
            time=0.0,
            poses={p.name: upright(p.x, p.y, 0.0, p.yaw) for p in placed},
            speeds=dict.fromkeys([p.name for p in placed], 0.0),
            contacts=frozenset(contact_pair(p.name, TABLE) for p in placed),
            tcp_pose=hand,
            commanded_tcp_pose=hand,
            gripper_width=OPEN_WIDTH,
        )

    @property
    def is_holding(self) -> bool:
        return self.truth.is_grasped(self.scene.target_object)

    def step(self, action: Vector) -> None:
        before = self.truth.time
        self.truth = foresee(self.truth, self.scene, action)
        move = self.scene.move
        if move is not None and before < move.after <= self.truth.time and not self.is_holding:
            there = upright(move.to.x, move.to.y, 0.0, move.to.yaw)
            self.truth = dataclasses.replace(self.truth, poses={**self.truth.poses, move.to.name: there})


def run(scene: Scene, noise_seed: int | None = None, steps: int = EPISODE_STEPS) -> tuple[Progress, int]:
    cell, progress = KinematicCell(scene), Progress()
    bursts = draw_bursts(noise_seed or 0, steps)
    for step in range(steps):
        action = expert_action(cell.truth, scene)
        assert np.linalg.norm(action[:3]) <= MAX_TRANSLATION
        assert np.linalg.norm(action[3:6]) <= MAX_ROTATION
        assert 0.0 <= action[6] <= 1.0
        cell.step(action if noise_seed is None else perturb(action, bursts, step))
        progress = advance(progress, cell.truth, scene)
        if progress.succeeded_at is not None:
            return progress, step + 1
    return progress, steps


@pytest.mark.parametrize("split", split_names())
def test_every_split_is_finished_within_the_episode(split: str) -> None:
    for seed in range(4):
        progress, _ = run(draw_scene(split, seed))
        assert progress.furthest is Stage.PLACE, (split, seed)
        assert progress.first_grasped == draw_scene(split, seed).target_object


def test_noise_bursts_are_recovered_from() -> None:
    placed = [run(draw_scene("train", seed), noise_seed=seed + 1)[0].furthest for seed in range(12)]
    assert placed.count(Stage.PLACE) >= 11


def test_a_dropped_object_is_taken_again() -> None:
    scene = draw_scene("train", 3)
    cell, progress = KinematicCell(scene), Progress()
    dropped = False
    for _ in range(2 * EPISODE_STEPS):
        action = expert_action(cell.truth, scene)
        if progress.furthest is Stage.LIFT and not dropped:
            action = np.array([*action[:6], 1.0])
            dropped = not cell.is_holding
        cell.step(action)
        progress = advance(progress, cell.truth, scene)
    assert dropped
    assert progress.succeeded_at is not None


def test_the_action_depends_on_the_state_alone() -> None:
    scene = draw_scene("train", 5)
    cell = KinematicCell(scene)
    for _ in range(60):
        truth = cell.truth
        action = expert_action(truth, scene)
        assert np.array_equal(action, expert_action(dataclasses.replace(truth, time=99.0), scene))
        cell.step(action)


def test_after_success_the_hand_opens_and_rises_clear() -> None:
    scene = draw_scene("train", 1)
    cell = KinematicCell(scene)
    for _ in range(EPISODE_STEPS):
        cell.step(expert_action(cell.truth, scene))
    truth = cell.truth
    assert truth.gripper_width == pytest.approx(OPEN_WIDTH)
    assert truth.tcp_pose.position[2] > truth.poses[scene.target_object].position[2] + 0.10
    assert expert_action(truth, scene)[:6] == pytest.approx(np.zeros(6), abs=1e-6)


def test_a_fallen_can_is_taken_across_its_middle() -> None:
    can = catalogue().object("soup_can")
    lying = Pose(
        position=np.array([0.5, 0.1, 0.031]),
        quaternion=quaternion_from_rotation_vector(np.array([0.0, np.pi / 2, 0.0])),
    )
    grasp = grasp_of(can, lying, 0.0)
    assert grasp.position == pytest.approx([0.5 + can.height / 2, 0.1, 0.031])
    assert grasp.yaw == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("wanted", "repeat", "present", "expected"),
    [(1.4, np.pi / 2, 0.0, 1.4 - np.pi / 2), (3.0, np.pi, 0.0, 3.0 - np.pi), (1.6, np.pi, -1.5, 1.6 - np.pi)],
)
def test_the_nearest_equal_yaw_is_chosen(
    wanted: float, repeat: float, present: float, expected: float
) -> None:
    assert nearest_yaw(wanted, repeat, present) == pytest.approx(expected)


def test_the_hand_points_down_at_the_given_yaw() -> None:
    pose = Pose(position=np.zeros(3), quaternion=pointing_down(0.4))
    assert pose.matrix()[:3, 2] == pytest.approx([0, 0, -1])
    assert hand_yaw(pose) == pytest.approx(0.4)


def test_bursts_are_seeded_bounded_and_marked() -> None:
    bursts = draw_bursts(7, 400)
    assert np.array_equal(bursts.pushes, draw_bursts(7, 400).pushes)
    assert not np.array_equal(bursts.pushes, draw_bursts(8, 400).pushes)
    assert bursts.is_active.any()
    assert not bursts.pushes[~bursts.is_active].any()
    assert not bursts.flips_gripper[~bursts.is_active].any()
    full = np.array([MAX_TRANSLATION, 0, 0, 0, 0, MAX_ROTATION, 0.0])
    for step in range(400):
        action = perturb(full, bursts, step)
        assert np.array_equal(action, full) == (not bursts.is_active[step])
        assert np.linalg.norm(action[:3]) <= MAX_TRANSLATION
        assert np.linalg.norm(action[3:6]) <= MAX_ROTATION
        assert action[6] == float(bursts.flips_gripper[step])
    kept = is_demonstration(bursts.is_active, 8)
    for step in range(400):
        assert kept[step] == (not bursts.is_active[step : step + 8].any())


def test_a_neighbour_is_cleared_while_flying() -> None:
    scene = draw_scene("train", 0)
    tall = Placement(name="milk_carton", x=0.50, y=0.0, yaw=0.0)
    near = Placement(name="butter", x=0.50, y=0.19, yaw=0.0)
    plate = dataclasses.replace(scene.receptacles[0], name="white_plate", x=0.50, y=-0.20)
    scene = dataclasses.replace(
        scene,
        objects=(tall, near),
        receptacles=(plate,),
        target_object="butter",
        target_receptacle="white_plate",
    )
    cell, progress = KinematicCell(scene), Progress()
    for _ in range(EPISODE_STEPS):
        cell.step(expert_action(cell.truth, scene))
        progress = advance(progress, cell.truth, scene)
        over = np.abs(cell.truth.poses["butter"].position[:2] - [0.50, 0.0]) < [0.08, 0.06]
        if over.all():
            assert cell.truth.poses["butter"].position[2] > catalogue().object("milk_carton").height
    assert progress.furthest is Stage.PLACE


def test_a_chunk_is_what_the_expert_would_do_step_by_step() -> None:
    scene = draw_scene("train", 2)
    cell, progress = KinematicCell(scene), Progress()
    chunk = expert_chunk(cell.truth, scene, 5)
    assert chunk.shape == (5, 7)
    for action in chunk:
        assert np.array_equal(action, expert_action(cell.truth, scene))
        cell.step(action)
    for _ in range(EPISODE_STEPS // 8):
        for action in expert_chunk(cell.truth, scene, 8):
            cell.step(action)
            progress = advance(progress, cell.truth, scene)
    assert progress.furthest is Stage.PLACE
