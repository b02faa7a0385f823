"""Measures what an answer takes before anything may move: real pictures and server, nothing executed."""

import time

from robot_bridge.ages import Ages
from robot_bridge.asking import Predictor
from robot_bridge.history import MeasuredState
from robot_bridge.observation import Ask, ObservationRefused, make_observation
from robot_bridge.open_devices import Devices
from robot_bridge.rig import Rig
from robot_contract.errors import PolicyUnavailable
from robot_contract.policy_contract import PolicyContract

_PROBES = 8
_PICTURE_SECONDS = 3.0  # [s] to wait for pictures: a scene that was just built has none yet
_STANDING = 60.0  # [s] around now for which the present state is taken as standing
_WARM_UP = 2  # the first answers of a server pay for things that later ones do not


def measure_latency(
    policy_server: Predictor, devices: Devices, rig: Rig, contract: PolicyContract, ages: Ages
) -> list[str]:
    """Add the ages of a few answers; return in words why some are missing."""
    until = time.monotonic() + _PICTURE_SECONDS
    answered = 0
    while answered < _WARM_UP + _PROBES:
        try:
            observation = make_observation(_probe(answered, devices, rig, contract))
            policy_server.predict(observation)
        except PolicyUnavailable as error:
            return [f"latency could not be measured: {error}"]
        except ObservationRefused as error:
            if not time.monotonic() < until:
                return [f"latency could not be measured: {error}"]
            time.sleep(rig.tick_period)
            continue
        answered += 1
        if answered > _WARM_UP:
            ages.add(devices.clock.now() - observation.observed_at)
    return []


def _probe(sequence: int, devices: Devices, rig: Rig, contract: PolicyContract) -> Ask:
    frames = {name: frame for name, camera in devices.cameras.items() if (frame := camera.latest())}
    for camera in contract.cameras:
        if camera.name not in frames:
            raise ObservationRefused(f"camera {camera.name} has sent no picture")
    arm, gripper = devices.arm.read(), devices.gripper.read()
    state = MeasuredState(
        tcp_pose=arm.flange_pose @ contract.flange_from_tcp,
        joint_position=arm.joint_position,
        gripper_width=gripper.width,
    )
    now = devices.clock.now()
    return Ask(
        contract=contract,
        session=f"{rig.name}.latency",
        sequence=sequence,
        asked_at=now,
        deadline=rig.policy_server.deadline,
        instruction="stand still while the latency is measured",
        frames=frames,
        measured=((now - _STANDING, state), (now + _STANDING, state)),
        gripper_command=1.0,
    )
