"""Another vendor's DDS reads what we publish, and we read and command an arm that speaks only that."""

import dataclasses
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from crisp_controller import answered
from running_node import RunningNode
from workspace import CYCLONE, clean_environment

from robot_bridge.kinematics import flange_pose
from robot_bridge.open_devices import open_devices
from robot_bridge.rig_file import find_rig, load_rig
from robot_contract.pose import apply_delta, distance_between

RIG = load_rig(find_rig("crisp"))
JOINTS = np.array(RIG.pose("home"))
TCP = flange_pose(JOINTS) @ RIG.flange_from_tcp

pytestmark = pytest.mark.skipif(
    not CYCLONE.exists(), reason="no .envs/cyclonedds; scripts/ros-env.sh makes it"
)


class CycloneArm:
    def __init__(self) -> None:
        numbers = [*TCP.position.tolist(), *TCP.quaternion.tolist(), *JOINTS.tolist()]
        self._process = subprocess.Popen(
            [
                *(str(CYCLONE), str(Path(__file__).parent / "cyclone_arm.py")),
                *(os.environ["ROS_DOMAIN_ID"], *(repr(number) for number in numbers)),
            ],
            stdout=subprocess.PIPE,
            text=True,
            env=clean_environment(),
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def heard(self, topic: str, seconds: float = 60.0) -> list[str]:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = [line for line in self.lines if line.startswith(f"{topic} ")]
            if len(found) >= 5:
                return found
            time.sleep(0.05)
        raise AssertionError(f"nothing of {topic} was heard: {self.lines[-3:]}")

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(20.0)
        self._reader.join(10.0)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.strip())


@pytest.fixture(scope="module")
def arm() -> Iterator[CycloneArm]:
    arm = CycloneArm()
    yield arm
    arm.close()


def test_it_reads_the_pose_that_the_node_publishes(tmp_path: Path, arm: CycloneArm) -> None:
    with RunningNode(tmp_path, {"rig": "mock", "image_rate_hz": 0.0}) as node:
        assert node.address()
        line = arm.heard("robot_bridge/tcp_pose")[-1]
    words = line.split()
    assert words[1] == "fr3_link0"
    assert [float(word) for word in words[2:]] == pytest.approx(TCP.position.tolist(), abs=1e-6)


def test_the_crisp_driver_reads_its_pose_and_commands_it(arm: CycloneArm) -> None:
    devices = open_devices(dataclasses.replace(RIG, cameras=()))
    try:
        state = answered(devices.arm)
        assert distance_between(state.flange_pose @ RIG.flange_from_tcp, TCP) < 1e-6
        assert state.joint_position.tolist() == pytest.approx(JOINTS.tolist())
        assert devices.gripper.read().width == pytest.approx(0.08)
        target = apply_delta(state.flange_pose, np.array([0.0, 0.01, 0.0]), np.zeros(3), "base")
        until = time.monotonic() + 30.0
        while time.monotonic() < until and not any(re.match("target_pose", line) for line in arm.lines):
            devices.arm.track(target, None)
            time.sleep(0.05)
        devices.arm.track(target, None)
        word = next(line for line in arm.lines if line.startswith("target_pose ")).split()
        expected = (target @ RIG.flange_from_tcp).position.tolist()
        assert [float(number) for number in word[2:]] == pytest.approx(expected, abs=1e-6)
    finally:
        devices.close()
