"""What the bridge sends to a policy: geometry, instants, skew, and when it sends nothing."""

import dataclasses
import io

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from robot_bridge.devices import Frame
from robot_bridge.history import History, MeasuredState, interpolate_state
from robot_bridge.observation import (
    Ask,
    ObservationRefused,
    cut_and_resize,
    encode_for_policy,
    encode_jpeg,
    make_observation,
)
from robot_bridge.rehearsal import rehearsal_contract
from robot_bridge.rig_file import find_rig, load_rig
from robot_bridge.watchdogs import FrameTrace, camera_problems, trace_frame
from robot_contract.pose import Pose

RIG = load_rig(find_rig("mock"))
CONTRACT = rehearsal_contract(RIG)
PICTURE = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)


def state_at(x: float) -> MeasuredState:
    return MeasuredState(
        tcp_pose=Pose.from_rotation_vector([x, 0, 0], [0, 0, x]),
        joint_position=np.full(7, x),
        gripper_width=x / 10,
    )


def make_ask(external_at: float = 10.0, wrist_at: float = 10.01) -> Ask:
    history: History[MeasuredState] = History(interpolate_state)
    for i in range(50):
        history.add(9.7 + i * 0.01, state_at(i * 0.01))
    frames = {
        "external": Frame(exposed_at=external_at, sequence=3, picture=PICTURE),
        "wrist": Frame(exposed_at=wrist_at, sequence=5, picture=PICTURE),
    }
    return Ask(
        contract=CONTRACT,
        session="s",
        sequence=9,
        asked_at=10.05,
        deadline=0.5,
        instruction="put it down",
        frames=frames,
        measured=history.snapshot(),
        gripper_command=1.0,
    )


def test_state_is_that_of_the_oldest_exposure() -> None:
    observation = make_observation(make_ask(external_at=10.013, wrist_at=10.03))
    assert observation.observed_at == 10.013
    assert observation.tcp_pose.position[0] == pytest.approx(0.313)
    assert observation.tcp_pose.rotation_vector()[2] == pytest.approx(0.313)
    assert observation.joint_position == pytest.approx(np.full(7, 0.313))
    assert observation.gripper_width == pytest.approx(0.0313)
    assert observation.images["wrist"].exposed_at == 10.03
    assert (observation.session, observation.sequence, observation.deadline) == ("s", 9, 0.5)


def test_pictures_have_the_contract_s_size_and_coding() -> None:
    for image in make_observation(make_ask()).images.values():
        height, width, colours, subsampling = simplejpeg.decode_jpeg_header(image.jpeg)
        assert (width, height) == (image.width, image.height) == (128, 128)
        assert (colours, subsampling) == ("YCbCr", "420")


def test_cameras_too_far_apart_make_no_observation() -> None:
    with pytest.raises(ObservationRefused, match="60 ms apart, accepted are 50 ms"):
        make_observation(make_ask(external_at=9.98, wrist_at=10.04))


@pytest.mark.parametrize("exposed_at", [9.0, 10.3])
def test_state_is_never_extrapolated(exposed_at: float) -> None:
    with pytest.raises(ObservationRefused, match="not known"):
        make_observation(make_ask(external_at=exposed_at, wrist_at=exposed_at))


def test_cut_is_the_middle_of_the_picture() -> None:
    camera = dataclasses.replace(CONTRACT.cameras[0], crop_width=0.5, crop_height=0.25, width=240, height=120)
    assert np.array_equal(cut_and_resize(PICTURE, camera), PICTURE[180:300, 200:440])


def test_cut_wider_than_the_picture_is_refused() -> None:
    camera = dataclasses.replace(CONTRACT.cameras[0], crop_width=1.5)
    with pytest.raises(ObservationRefused, match="720 px does not fit a picture 640 px wide"):
        cut_and_resize(PICTURE, camera)


def test_resizing_keeps_a_plain_picture_plain() -> None:
    plain = np.full((480, 640, 3), (10, 200, 90), dtype=np.uint8)
    assert (cut_and_resize(plain, CONTRACT.cameras[0]) == (10, 200, 90)).all()


def traces_of(pictures: list[np.ndarray], period: float = 1 / 30) -> FrameTrace:
    trace = None
    for i, picture in enumerate(pictures):
        trace = trace_frame(trace, Frame(exposed_at=i * period, sequence=i, picture=picture))
    assert trace is not None
    return trace


def test_camera_that_repeats_one_picture_is_frozen() -> None:
    limit = RIG.cameras[0].identical_frames
    other = PICTURE.copy()
    other[0] += 1
    for count, is_frozen in ((limit, False), (limit + 1, True)):
        trace = traces_of([PICTURE] * count)
        problems = camera_problems(RIG, RIG.cameras[:1], {"external": trace}, trace.exposed_at + 0.05)
        assert bool(problems) == is_frozen
    trace = traces_of([PICTURE] * 50 + [other])
    assert trace.repeats == 0
    assert 1 / trace.period == pytest.approx(30)


def test_old_picture_is_a_problem_in_words() -> None:
    camera, trace = RIG.cameras[0], traces_of([PICTURE])
    limit = RIG.camera_age_limit(camera)
    assert limit == pytest.approx(0.03 + 2 / 30 + 0.03)
    assert camera_problems(RIG, [camera], {"external": trace}, limit - 1e-3) == []
    assert camera_problems(RIG, [camera], {"external": trace}, limit + 1e-3) == [
        "camera external: its picture is 128 ms old, accepted are 127 ms"
    ]
    assert camera_problems(RIG, [camera], {"external": trace}, float("nan")) != []
    assert camera_problems(RIG, [camera], {}, 0.0) == ["camera external has sent no picture yet"]


def test_a_picture_for_the_policy_goes_through_the_exact_transform() -> None:
    """Decoded, it is what Pillow's encoder gives; the fast transform of the live view is not."""
    random = np.random.default_rng(0)
    coarse = Image.fromarray(random.integers(0, 256, (12, 12, 3), dtype=np.uint8))
    picture = np.asarray(coarse.resize((96, 96), Image.Resampling.BICUBIC))
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=95, subsampling=2)
    expected = simplejpeg.decode_jpeg(buffer.getvalue())
    np.testing.assert_array_equal(simplejpeg.decode_jpeg(encode_for_policy(picture)), expected)
    assert not np.array_equal(simplejpeg.decode_jpeg(encode_jpeg(picture)), expected)
