"""Success and stages mean the same for every world that reports a truth."""

import dataclasses

import numpy as np
import pytest

from robot_bridge.scene.scene import Placement, Scene
from robot_bridge.scene.splits import draw_scene
from robot_bridge.scene.success import Progress, Stage, advance, is_above, is_success, stage
from robot_bridge.scene.truth import ARM, LEFT_FINGER, RIGHT_FINGER, TABLE, SceneTruth, contact_pair
from robot_contract.pose import Pose, quaternion_from_rotation_vector

DOWN = np.array([1.0, 0.0, 0.0, 0.0])
UPRIGHT = np.array([0.0, 0.0, 0.0, 1.0])
HELD = frozenset({contact_pair(LEFT_FINGER, "apple"), contact_pair(RIGHT_FINGER, "apple")})
PLATE = (0.55, -0.10)


@pytest.fixture
def scene() -> Scene:
    drawn = draw_scene("train", 0)
    return dataclasses.replace(
        drawn,
        objects=(
            Placement(name="apple", x=0.45, y=0.10, yaw=0.0),
            Placement(name="butter", x=0.60, y=0.15, yaw=0.0),
        ),
        receptacles=(Placement(name="white_plate", x=PLATE[0], y=PLATE[1], yaw=0.3),),
        target_object="apple",
        target_receptacle="white_plate",
        instruction="put the apple on the white plate",
    )


def truth(
    apple: tuple[float, float, float] = (0.45, 0.10, 0.0),
    contacts: frozenset[tuple[str, str]] = frozenset({contact_pair("apple", TABLE)}),
    speed: float = 0.0,
    tcp: tuple[float, float, float] = (0.36, 0.0, 0.26),
    time: float = 0.0,
) -> SceneTruth:
    hand = Pose(position=np.array(tcp), quaternion=DOWN)
    return SceneTruth(
        time=time,
        poses={
            "apple": Pose(position=np.array(apple), quaternion=UPRIGHT),
            "butter": Pose(position=np.array([0.60, 0.15, 0.0]), quaternion=UPRIGHT),
            "white_plate": Pose(
                position=np.array([*PLATE, 0.0]),
                quaternion=quaternion_from_rotation_vector(np.array([0.0, 0.0, 0.3])),
            ),
        },
        speeds={"apple": speed, "butter": 0.0, "white_plate": 0.0},
        contacts=contacts,
        tcp_pose=hand,
        commanded_tcp_pose=hand,
        gripper_width=0.08,
    )


ON_PLATE = frozenset({contact_pair("apple", "white_plate")})
LYING = (*PLATE, 0.008)


def test_success_is_on_the_named_receptacle_released_and_at_rest(scene: Scene) -> None:
    assert is_success(truth(LYING, ON_PLATE), scene)


@pytest.mark.parametrize(
    "failing",
    [
        truth(LYING, ON_PLATE, speed=0.05),
        truth(LYING, ON_PLATE, speed=float("nan")),
        truth(LYING, ON_PLATE | {contact_pair(LEFT_FINGER, "apple")}),
        truth(LYING, ON_PLATE | {contact_pair(ARM, "apple")}),
        truth(LYING, ON_PLATE | {contact_pair("apple", TABLE)}),
        truth(LYING, frozenset()),
        truth((PLATE[0] + 0.08, PLATE[1], 0.01), ON_PLATE),
        truth((*PLATE, -0.10), ON_PLATE),
    ],
    ids=[
        "moving",
        "speed unknown",
        "held",
        "pressed",
        "on the table too",
        "in the air",
        "off the side",
        "below",
    ],
)
def test_anything_less_is_not_success(failing: SceneTruth, scene: Scene) -> None:
    assert not is_success(failing, scene)


def test_inside_follows_the_receptacles_shape_and_turn() -> None:
    turned = Pose(
        position=np.array([0.5, 0.0, 0.0]),
        quaternion=quaternion_from_rotation_vector(np.array([0.0, 0.0, np.pi / 2])),
    )
    corner = truth((0.5, 0.0, 0.0))
    poses = {**corner.poses, "wooden_tray": turned}
    for x, y, expected in [(0.09, 0.0, True), (0.0, 0.09, False), (0.09, 0.065, True), (0.11, 0.0, False)]:
        moved = {**poses, "apple": Pose(position=np.array([0.5 + x, y, 0.02]), quaternion=UPRIGHT)}
        assert is_above(dataclasses.replace(corner, poses=moved), "apple", "wooden_tray") is expected


def test_stages_follow_each_other(scene: Scene) -> None:
    on_table = frozenset({contact_pair("apple", TABLE)})
    grasp_point = (0.45, 0.10, 0.03)
    episode = [
        (truth(), Stage.START),
        (truth(tcp=grasp_point), Stage.REACH),
        (truth(contacts=HELD | on_table, tcp=grasp_point), Stage.GRASP),
        (truth((0.45, 0.10, 0.05), HELD), Stage.LIFT),
        (truth((*PLATE, 0.05), HELD), Stage.OVER),
        (truth(LYING, ON_PLATE), Stage.PLACE),
    ]
    progress = Progress()
    for number, (instant, expected) in enumerate(episode):
        assert stage(instant, scene) is expected
        progress = advance(progress, dataclasses.replace(instant, time=float(number)), scene)
        assert progress.furthest is expected
    assert progress.succeeded_at == 5.0
    assert progress.first_grasped == "apple"
    assert not progress.is_wrong_object(scene)
    later = advance(progress, truth(time=6.0), scene)
    assert later.furthest is Stage.PLACE
    assert later.succeeded_at == 5.0


def test_lifting_another_object_first_is_the_wrong_one(scene: Scene) -> None:
    on_table = frozenset({contact_pair("apple", TABLE)})
    butter = frozenset({contact_pair(LEFT_FINGER, "butter"), contact_pair(RIGHT_FINGER, "butter")})
    pinched = advance(Progress(), truth(contacts=on_table | butter | {contact_pair("butter", TABLE)}), scene)
    assert pinched.first_grasped is None
    lifted = advance(pinched, truth(contacts=on_table | butter), scene)
    assert lifted.is_wrong_object(scene)
    afterwards = advance(lifted, truth((0.45, 0.10, 0.05), HELD), scene)
    assert afterwards.is_wrong_object(scene)
