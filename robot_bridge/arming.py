"""May this policy drive this robot? Every mismatch is listed at once, in words; one is enough to refuse.

Contract against rig, calibration, measured latency, and the policy's own speed against the safety profile.
"""

from collections.abc import Mapping

import numpy as np

from robot_bridge.ages import Ages
from robot_bridge.observation import crop_size
from robot_bridge.rig import CameraRig, Rig
from robot_contract.calibration import CameraCalibration
from robot_contract.policy_contract import CameraContract, PolicyContract
from robot_contract.pose import Vector, angle_between, distance_between

_SAME_DISTANCE = 0.001  # [m] two descriptions of one tool may differ by this
_SAME_ANGLE = 0.01  # [rad]
_SAME_VIEW = 0.03  # relative difference of two fields of view
_TICKS_PER_STEP = 2.0  # the loop must run at least so much faster than the policy
_ENOUGH_AGES = 5  # answers before a latency counts as measured


def policy_problems(
    rig: Rig, contract: PolicyContract, calibrations: Mapping[str, CameraCalibration], ages: Ages
) -> list[str]:
    """Everything that stands against it; empty when nothing does."""
    problems = [*_tool_problems(rig, contract), *_speed_problems(rig, contract)]
    for camera in contract.cameras:
        problems += _camera_problems(rig, camera, calibrations)
    problems += _rate_problems(rig, contract)
    problems += latency_problems(rig, contract, ages)
    return problems


def _tool_problems(rig: Rig, contract: PolicyContract) -> list[str]:
    problems: list[str] = []
    distance = distance_between(rig.flange_from_tcp, contract.flange_from_tcp)
    angle = angle_between(rig.flange_from_tcp, contract.flange_from_tcp)
    if not (distance <= _SAME_DISTANCE and angle <= _SAME_ANGLE):
        problems.append(
            f"the tool differs: the policy's flange_from_tcp is {distance * 1000:.1f} mm and {angle:.3f} rad"
            f" from the rig's, accepted are {_SAME_DISTANCE * 1000:g} mm and {_SAME_ANGLE:g} rad"
        )
    if not abs(rig.gripper.max_width - contract.gripper.max_width) <= _SAME_DISTANCE:
        problems.append(
            f"the gripper differs: the policy means {contract.gripper.max_width * 1000:.0f} mm when it says"
            f" open, the rig's opens {rig.gripper.max_width * 1000:.0f} mm"
        )
    return problems


def greatest_speed(rig: Rig, contract: PolicyContract) -> tuple[float, str, float]:
    """([m/s], at which tool point, [rad/s]) that the contract's bounds allow, lever arms included."""
    period = contract.step_period * contract.time_stretch
    turning = contract.max_rotation_per_step / period
    tcp: Vector = contract.flange_from_tcp.position
    fastest, where = contract.max_translation_per_step / period, "TCP"
    for point in rig.limits.tool_points:
        lever = float(np.linalg.norm(point.position - tcp))
        speed = contract.max_translation_per_step / period + turning * lever
        if speed > fastest:
            fastest, where = speed, point.name
    return fastest, where, turning


def _speed_problems(rig: Rig, contract: PolicyContract) -> list[str]:
    problems: list[str] = []
    profile = rig.limits.profile
    speed, where, turning = greatest_speed(rig, contract)
    stretch = max(speed / profile.speed, turning / profile.angular_speed) * contract.time_stretch
    advice = (
        f"; a time_stretch of {stretch:.2f}, evaluated in simulation and declared in the contract, would fit"
    )
    if not speed <= profile.speed:
        problems.append(
            f"too fast: the policy may move {where} at {speed:.3f} m/s, profile {profile.name} allows"
            f" {profile.speed:g} m/s{advice}"
        )
    if not turning <= profile.angular_speed:
        problems.append(
            f"too fast: the policy may turn at {turning:.3f} rad/s, profile {profile.name} allows"
            f" {profile.angular_speed:g} rad/s{advice}"
        )
    return problems


def _camera_problems(
    rig: Rig, camera: CameraContract, calibrations: Mapping[str, CameraCalibration]
) -> list[str]:
    found = [candidate for candidate in rig.cameras if candidate.name == camera.name]
    if not found:
        names = ", ".join(candidate.name for candidate in rig.cameras)
        return [f"the policy wants camera {camera.name!r}, the rig has {names}"]
    problems = _view_problems(found[0], camera)
    calibration = calibrations.get(camera.name)
    if calibration is not None:
        problems += _calibration_problems(found[0], calibration)
    elif found[0].driver == "realsense":
        problems.append(f"camera {camera.name} is not calibrated; `calibrate` makes the file the rig names")
    return problems


def _view_problems(rig: CameraRig, camera: CameraContract) -> list[str]:
    problems: list[str] = []
    if rig.mount != camera.mount:
        problems.append(
            f"camera {rig.name}: the policy wants it mounted {camera.mount!r}, the rig's is {rig.mount!r}"
        )
    height, width = crop_size(rig.height, camera)
    if width > rig.width:
        problems.append(
            f"camera {rig.name}: the policy's cut of {width} x {height} px does not fit {rig.width} x"
            f" {rig.height} px"
        )
    view = 2 * np.arctan(camera.crop_height * np.tan(rig.vertical_field_of_view / 2))
    if not abs(view / camera.vertical_field_of_view - 1) <= _SAME_VIEW:
        problems.append(
            f"camera {rig.name}: after the cut its vertical field of view is {view:.3f} rad, the policy was"
            f" trained with {camera.vertical_field_of_view:.3f} rad"
        )
    return problems


def _calibration_problems(rig: CameraRig, calibration: CameraCalibration) -> list[str]:
    problems: list[str] = []
    if calibration.serial != rig.serial:
        problems.append(
            f"camera {rig.name}: calibrated was serial {calibration.serial}, the rig names {rig.serial}"
        )
    if (calibration.width, calibration.height) != (rig.width, rig.height):
        problems.append(
            f"camera {rig.name}: calibrated at {calibration.width} x {calibration.height} px, the rig runs"
            f" it at {rig.width} x {rig.height} px"
        )
    parent = "base" if rig.mount == "external" else "flange"
    if calibration.parent != parent:
        problems.append(
            f"camera {rig.name}: calibrated in the {calibration.parent}, mounted {rig.mount} it belongs to"
            f" the {parent}"
        )
    return problems


def _rate_problems(rig: Rig, contract: PolicyContract) -> list[str]:
    if rig.control_rate_hz >= _TICKS_PER_STEP * contract.control_rate_hz:
        return []
    needed = _TICKS_PER_STEP * contract.control_rate_hz
    return [f"the loop runs at {rig.control_rate_hz:g} Hz, this policy needs at least {needed:g} Hz"]


def latency_problems(rig: Rig, contract: PolicyContract, ages: Ages) -> list[str]:
    """Is what was measured, observation to arrival, what this policy can live with?"""
    if len(ages) < _ENOUGH_AGES:
        return [f"latency: {len(ages)} answers measured, at least {_ENOUGH_AGES} are needed"]
    age = ages.quantile(0.99)
    step = contract.step_period * contract.time_stretch
    if contract.execution == "synchronous":
        if not age <= rig.policy_server.deadline:
            return [
                f"latency: answers take up to {age:.3f} s, the rig waits {rig.policy_server.deadline:g} s"
            ]
        return []
    problems: list[str] = []
    if not contract.execute_steps * step >= age + step:
        problems.append(
            f"latency: answers are up to {age * 1000:.0f} ms old (p99), with one step of {step * 1000:.0f} ms"
            f" that is more than the {contract.execute_steps} steps that a chunk lasts"
        )
    trained = contract.trained_delay_steps * step
    if not age <= trained + step:
        problems.append(
            f"latency: answers are up to {age * 1000:.0f} ms old (p99), the policy was trained with"
            f" {contract.trained_delay_steps} steps of delay ({trained * 1000:.0f} ms)"
        )
    return problems
