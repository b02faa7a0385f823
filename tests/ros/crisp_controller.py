"""The stand-in of a crisp controller as a child process, and the rig in front of it."""

import contextlib
import dataclasses
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

from robot_bridge.devices import Arm, ArmState
from robot_bridge.rig import Rig
from robot_bridge.rig_file import find_rig, load_rig
from robot_contract.errors import DeviceFault


@contextlib.contextmanager
def crisp_controller(words: Sequence[str] = ()) -> Iterator[None]:
    command = [sys.executable, "-m", "robot_bridge.ros.crisp_stand_in", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as controller:
        try:
            assert controller.stdout is not None
            assert b"stands in" in controller.stdout.readline()
            yield
        finally:
            controller.terminate()
            assert controller.wait(30.0) == 0


def crisp_rig(**options: str) -> Rig:
    """Without the cameras, which are real ones."""
    rig = load_rig(find_rig("crisp"))
    arm = dataclasses.replace(rig.arm, options={**rig.arm.options, "pose_frame": "flange", **options})
    return dataclasses.replace(rig, arm=arm, cameras=())


def answered(arm: Arm) -> ArmState:
    """A machine with no core to spare falls silent for a moment, and the driver says so."""
    until = time.monotonic() + 30.0
    while True:
        try:
            return arm.read()
        except DeviceFault:
            if time.monotonic() >= until:
                raise
            time.sleep(0.05)
