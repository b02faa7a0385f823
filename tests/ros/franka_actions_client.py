"""The crisp driver with hand and recovery by actions, before `franka_system.py` and the crisp stand-in.

python franka_actions_client.py PID_OF_FRANKA_SYSTEM      ends with 0 when all that it asserts holds
"""

import os
import signal
import sys
import time
from collections.abc import Callable

from crisp_controller import crisp_controller, crisp_rig

from robot_bridge.open_devices import open_devices
from robot_contract.errors import DeviceFault

PATIENCE = 60.0  # [s]


def until(holds: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, f"not within {PATIENCE:g} s: {what}"
        time.sleep(0.02)


def main() -> None:
    rig = crisp_rig(
        gripper="franka_msgs",
        gripper_topic="hand",
        finger_topic="hand_states",
        recovery="franka_msgs",
        recovery_action="recovery",
        robot_state_topic="robot_state",
    )
    with crisp_controller():
        devices = open_devices(rig)
        arm, hand = devices.arm, devices.gripper
        until(lambda: _width(hand) == 0.08, "the hand's width")
        hand.move(0.05)
        assert hand.read().is_moving
        until(lambda: not hand.read().is_moving and abs(hand.read().width - 0.05) < 1e-6, "a move")
        assert not hand.read().is_grasping
        hand.move(0.0)
        until(lambda: hand.read().is_grasping, "a grasp")
        assert abs(hand.read().width - 0.03) < 1e-6, "it holds the object"

        assert arm.read().fault is None
        os.kill(int(sys.argv[1]), signal.SIGUSR1)
        until(lambda: arm.read().fault == "cartesian_reflex", "the reflex by its name")
        arm.recover()
        until(lambda: arm.read().fault is None, "the recovery")
        devices.close()
    print("all holds", flush=True)


def _width(hand) -> float:
    try:
        return round(hand.read().width, 6)
    except DeviceFault:  # it has not been heard yet
        return 0.0


if __name__ == "__main__":
    main()
