"""`robot-bridge cameras`: what is connected, and rig lines for it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from robot_bridge.realsense.requirements import require_sdk


@dataclass(frozen=True, kw_only=True)
class Cameras:
    """List the connected RealSense cameras with firmware and USB type, and suggest lines for a rig file."""

    playback: tuple[Path, ...] = ()
    """Recordings (.db3) to list as if they were connected."""


def run_cameras(command: Cameras, say: Callable[[str], object]) -> None:
    require_sdk()
    from robot_bridge.realsense.bus import CameraBus
    from robot_bridge.realsense.listing import list_connected, listing_for_people
    from robot_bridge.realsense.playback import plug_in

    bus = CameraBus()
    for recording in command.playback:
        plug_in(bus, recording)
    say(listing_for_people(list_connected(bus)))
