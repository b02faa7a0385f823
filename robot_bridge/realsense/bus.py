"""What is plugged in: one librealsense context for the process, asked by serial number."""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robot_bridge.realsense.sdk import rs


@dataclass(frozen=True, order=True, kw_only=True)
class ColourMode:
    """Size and rate of a stream; depth, where it is wanted, runs in the mode of the colour."""

    width: int  # [px]
    height: int  # [px]
    rate_hz: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height} at {self.rate_hz} Hz"


class CameraBus:
    """`changes` counts what was plugged in or out; librealsense's own thread counts it."""

    def __init__(self) -> None:
        self.context: Any = rs.context()
        self.played: dict[Path, Any] = {}  # recordings, which librealsense forgets when nobody holds them
        self._lock = threading.Lock()
        self._changes = 0
        self.context.set_devices_changed_callback(self._count)

    @property
    def changes(self) -> int:
        with self._lock:
            return self._changes

    def devices(self) -> dict[str, Any]:
        """The devices by serial number. On real hardware this takes a while: never in the control thread."""
        found: dict[str, Any] = {}
        for device in self.context.query_devices():
            try:
                found[read_info(device, "serial_number")] = device
            except RuntimeError:  # unplugged between the list and the question
                continue
        return found

    def _count(self, _: object) -> None:
        with self._lock:
            self._changes += 1


def read_info(device: Any, name: str) -> str:
    """One line that a device says about itself, such as `firmware_version`; empty where it has none."""
    key = getattr(rs.camera_info, name)
    return str(device.get_info(key)) if device.supports(key) else ""


def colour_sensor(device: Any) -> Any | None:
    """The sensor that gives colour; on a D405 that is the stereo module."""
    for sensor in device.query_sensors():
        if colour_profiles(sensor):
            return sensor
    return None


def colour_profiles(sensor: Any) -> dict[ColourMode, Any]:
    return _profiles(sensor, rs.stream.color, rs.format.rgb8)


def depth_modes(device: Any) -> list[ColourMode]:
    """Those in which the device measures depth; none where it cannot."""
    found: set[ColourMode] = set()
    for sensor in device.query_sensors():
        found |= _profiles(sensor, rs.stream.depth, rs.format.z16).keys()
    return sorted(found)


def _profiles(sensor: Any, kind: Any, pixels: Any) -> dict[ColourMode, Any]:
    found: dict[ColourMode, Any] = {}
    for profile in sensor.get_stream_profiles():
        if profile.stream_type() == kind and profile.format() == pixels:
            video = profile.as_video_stream_profile()
            mode = ColourMode(width=video.width(), height=video.height(), rate_hz=video.fps())
            found[mode] = video
    return found
