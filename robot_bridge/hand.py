"""The gripper as the loop uses it: told once when its command changes, and never blended."""

from robot_bridge.devices import Gripper, GripperState
from robot_bridge.gripper_command import (
    GripperCommand,
    gripper_at_start,
    gripper_width,
    next_gripper_command,
)
from robot_bridge.rig import GripperRig
from robot_contract.policy_contract import GripperContract


class Hand:
    def __init__(self, gripper: Gripper, rig: GripperRig, state: GripperState, *, dry_run: bool) -> None:
        self._gripper = gripper
        self._rig = rig
        self._dry_run = dry_run
        self._command = gripper_at_start(state.width / rig.max_width)

    @property
    def opening(self) -> float:
        """As commanded, 0..1."""
        return self._command.opening

    def begin_trial(self, contract: GripperContract, now: float) -> None:
        """A trial begins with the gripper open, as episodes in training do."""
        self._send(GripperCommand(closed=False, changed_at=now), contract)

    def follow(self, wanted: float, contract: GripperContract, now: float) -> None:
        following = next_gripper_command(wanted, self._command, contract, now=now, dwell=self._rig.dwell)
        if following is not self._command:
            self._send(following, contract)

    def _send(self, command: GripperCommand, contract: GripperContract) -> None:
        self._command = command
        if not self._dry_run:
            self._gripper.move(gripper_width(command, contract))
