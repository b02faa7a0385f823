"""Recorded cameras (.db3): plugged into a bus, they are found by their serial like real ones.

A recording plays in real time and then falls silent; the camera's restart plays it again.
"""

from pathlib import Path

from robot_bridge.realsense.bus import CameraBus, read_info
from robot_contract.errors import DeviceFault


def plug_in(bus: CameraBus, recording: Path) -> str:
    """Make the recorded camera appear; returns its serial number."""
    if recording.suffix != ".db3" or not recording.is_file():
        raise DeviceFault(f"{recording}: expected an existing .db3 recording of librealsense 2.59 or newer")
    try:
        device = bus.context.load_device(str(recording))
    except RuntimeError as error:
        raise DeviceFault(f"{recording}: librealsense cannot play it: {error}") from error
    bus.played[recording] = device
    return read_info(device, "serial_number")


def unplug(bus: CameraBus, recording: Path) -> None:
    del bus.played[recording]
    bus.context.unload_device(str(recording))
