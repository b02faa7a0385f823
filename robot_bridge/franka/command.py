"""`robot-bridge franka`: what a Franka arm says of itself, and homing its hand."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from robot_bridge.franka.requirements import require_franky
from robot_bridge.rig_file import find_rig, load_rig
from robot_bridge.run_options import RunOptions, with_options
from robot_contract.errors import RigError


@dataclass(frozen=True, kw_only=True)
class Franka:
    """Ask a Franka arm how it is (`look`), or move its hand's fingers from end to end (`home-hand`).

    `look` connects, sets what the rig says (thresholds, load, tool frame), reads, and moves nothing.
    `home-hand` is needed once after the hand was switched on or its fingers were changed; take out what it
    holds first.
    """

    action: Annotated[Literal["look", "home-hand"], tyro.conf.Positional]
    rig: str = "franka"
    """A shipped rig's name or the path of a rig file with driver franka."""
    robot_ip: str = ""
    """Address of the arm instead of the rig's own."""


def run_franka(command: Franka, say: Callable[[str], object]) -> None:
    require_franky()
    rig = with_options(load_rig(find_rig(command.rig)), RunOptions(robot_ip=command.robot_ip))
    if rig.arm.driver != "franka":
        raise RigError(f"{rig.file.name}: its driver is {rig.arm.driver}, this command is for franka")
    from robot_bridge.franka.cell import require_address

    require_address(rig)
    if command.action == "home-hand":
        from robot_bridge.franka.hand import home_hand

        width = home_hand(rig.arm.options["address"])
        say(f"the hand is homed: it opens to {width * 1000:.0f} mm")
        return
    from robot_bridge.franka.look import look_at_arm

    say(look_at_arm(rig))
