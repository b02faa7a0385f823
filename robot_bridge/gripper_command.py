"""From a wanted opening to open or closed: the one gripper rule of the bridge and of every simulator.

Hysteresis: between the contract's two thresholds nothing changes. Latch: what was commanded stays so.
Duration: after a change the next one waits for `dwell`, so that a grasp is finished before it is undone.
"""

from dataclasses import dataclass

from robot_contract.policy_contract import GripperContract


@dataclass(frozen=True, kw_only=True)
class GripperCommand:
    closed: bool
    changed_at: float  # [s]; minus infinity when it never changed

    @property
    def opening(self) -> float:
        """0 closed, 1 open."""
        return 0.0 if self.closed else 1.0


def gripper_at_start(opening: float) -> GripperCommand:
    """The command that leaves a gripper of this measured opening 0..1 as it is."""
    return GripperCommand(closed=not opening >= 0.5, changed_at=float("-inf"))


def next_gripper_command(
    wanted: float | None, previous: GripperCommand, contract: GripperContract, *, now: float, dwell: float
) -> GripperCommand:
    """Return what to command now; `wanted` is the policy's opening 0..1, None when it says nothing."""
    if wanted is None or not now - previous.changed_at >= dwell:
        return previous
    if previous.closed and wanted > contract.open_above:
        return GripperCommand(closed=False, changed_at=now)
    if not previous.closed and wanted < contract.close_below:
        return GripperCommand(closed=True, changed_at=now)
    return previous


def gripper_width(command: GripperCommand, contract: GripperContract) -> float:
    """Width [m] to ask the gripper for."""
    return command.opening * contract.max_width
