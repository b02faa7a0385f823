"""The arming check: every mismatch is named, all of them at once, and a policy that fits passes."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from robot_bridge.ages import Ages
from robot_bridge.arming import greatest_speed, latency_problems, policy_problems
from robot_bridge.rehearsal import rehearsal_contract
from robot_bridge.rig_file import find_rig, load_rig
from robot_contract.calibration import CameraCalibration
from robot_contract.policy_contract import PolicyContract
from robot_contract.pose import Pose

RIG = load_rig(find_rig("mock"))
CONTRACT = rehearsal_contract(RIG)
OVERLAPPED = rehearsal_contract(RIG, execution="overlapped", execute_steps=4, trained_delay_steps=2)


def ages_of(seconds: float, count: int = 20) -> Ages:
    ages = Ages()
    for _ in range(count):
        ages.add(seconds)
    return ages


def problems_of(contract: PolicyContract, ages: Ages | None = None) -> list[str]:
    return policy_problems(RIG, contract, {}, ages or ages_of(0.1))


def changed(**changes: object) -> PolicyContract:
    return dataclasses.replace(CONTRACT, **changes)  # type: ignore[arg-type]


def camera(**changes: object) -> PolicyContract:
    first = dataclasses.replace(CONTRACT.cameras[0], **changes)  # type: ignore[arg-type]
    return changed(cameras=(first, *CONTRACT.cameras[1:]))


def test_a_policy_that_fits_has_no_problems() -> None:
    assert problems_of(CONTRACT) == []
    assert problems_of(OVERLAPPED) == []


@pytest.mark.parametrize(
    ("contract", "words"),
    [
        (
            changed(flange_from_tcp=Pose.identity()),
            "the tool differs: the policy's flange_from_tcp is 103.4 mm",
        ),
        (changed(gripper=dataclasses.replace(CONTRACT.gripper, max_width=0.1)), "the gripper differs"),
        (changed(max_translation_per_step=0.03), "too fast: the policy may move"),
        (changed(max_rotation_per_step=0.06), "too fast: the policy may turn at 0.600 rad/s"),
        (
            changed(step_period=0.015, max_translation_per_step=1e-3, max_rotation_per_step=1e-3),
            "loop runs at 100 Hz",
        ),
        (camera(name="roof"), "the policy wants camera 'roof', the rig has external, wrist"),
        (camera(mount="wrist"), "the policy wants it mounted 'wrist'"),
        (camera(vertical_field_of_view=1.2), "trained with 1.200 rad"),
        (camera(crop_width=1.5), "does not fit 640 x 480 px"),
    ],
)
def test_each_mismatch_is_named(contract: PolicyContract, words: str) -> None:
    problems = problems_of(contract)
    assert any(words in problem for problem in problems), problems


def test_all_mismatches_are_listed_at_once() -> None:
    contract = dataclasses.replace(
        camera(mount="wrist"), flange_from_tcp=Pose.identity(), max_rotation_per_step=0.06
    )
    assert len(problems_of(contract, ages_of(5.0))) >= 4


def test_speed_counts_the_lever_arms_of_all_tool_points() -> None:
    speed, where, turning = greatest_speed(RIG, CONTRACT)
    tcp = CONTRACT.flange_from_tcp.position
    farthest = max(float(np.linalg.norm(point.position - tcp)) for point in RIG.limits.tool_points)
    assert speed == pytest.approx(0.18 + 0.4 * farthest)
    assert turning == pytest.approx(0.4)
    assert where.startswith("hand")


def test_a_declared_time_stretch_makes_a_fast_policy_fit() -> None:
    fast = changed(max_translation_per_step=0.03, max_rotation_per_step=0.06)
    problems = problems_of(fast)
    assert any("a time_stretch of" in problem for problem in problems)
    assert problems_of(dataclasses.replace(fast, time_stretch=1.6)) == []


@pytest.mark.parametrize(
    ("contract", "age", "words"),
    [
        (OVERLAPPED, 0.29, ""),
        (OVERLAPPED, 0.31, "more than the 4 steps that a chunk lasts"),
        (dataclasses.replace(OVERLAPPED, trained_delay_steps=0), 0.15, "trained with 0 steps of delay"),
        (CONTRACT, 1.9, ""),
        (CONTRACT, 2.1, "the rig waits 2 s"),
    ],
)
def test_measured_latency_must_be_what_the_policy_can_live_with(
    contract: PolicyContract, age: float, words: str
) -> None:
    problems = latency_problems(RIG, contract, ages_of(age))
    assert (problems == []) if not words else any(words in problem for problem in problems), problems


def test_the_worst_answers_decide() -> None:
    ages = ages_of(0.1, 60)
    ages.add(0.5)
    assert latency_problems(RIG, OVERLAPPED, ages) != []


def test_latency_that_was_not_measured_is_a_problem() -> None:
    assert "0 answers measured" in latency_problems(RIG, CONTRACT, Ages())[0]


CALIBRATION = CameraCalibration(
    camera="external",
    serial="mock-external",
    width=640,
    height=480,
    matrix=np.diag([600.0, 600.0, 1.0]),
    distortion=np.zeros(5),
    parent="base",
    parent_from_camera=Pose.identity(),
    covariance=np.eye(6),
    latency=0.03,
    calibrated_on="2026-01-01",
    held_out_millimetres=1.0,
    held_out_pixels=0.3,
)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c, ""),
        (lambda c: dataclasses.replace(c, serial="other"), "calibrated was serial other"),
        (lambda c: dataclasses.replace(c, width=1280), "calibrated at 1280 x 480"),
        (lambda c: dataclasses.replace(c, parent="flange"), "belongs to the base"),
    ],
)
def test_calibration_must_be_that_of_this_camera(
    change: Callable[[CameraCalibration], CameraCalibration], words: str
) -> None:
    problems = policy_problems(RIG, CONTRACT, {"external": change(CALIBRATION)}, ages_of(0.1))
    assert (problems == []) if not words else any(words in problem for problem in problems), problems


def test_real_camera_without_calibration_is_refused() -> None:
    cameras = tuple(dataclasses.replace(camera, driver="realsense") for camera in RIG.cameras)
    problems = policy_problems(
        dataclasses.replace(RIG, cameras=cameras), CONTRACT, {"external": CALIBRATION}, ages_of(0.1)
    )
    assert [problem for problem in problems if "not calibrated" in problem] != []
    assert all("external" not in problem for problem in problems)
