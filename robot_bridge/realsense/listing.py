"""Which RealSense cameras are connected, and the lines that a rig would need for them."""

import math
from dataclasses import dataclass
from typing import Any

from robot_bridge.realsense.bus import (
    CameraBus,
    ColourMode,
    colour_profiles,
    colour_sensor,
    depth_modes,
    read_info,
)

_NAMES = ("external", "wrist")  # suggested for the first two


@dataclass(frozen=True, kw_only=True)
class Connected:
    serial: str
    name: str
    firmware: str
    recommended_firmware: str  # empty where the camera does not say
    usb: str  # such as 3.2
    modes: tuple[ColourMode, ...]
    suggested: ColourMode | None
    vertical_field_of_view: float | None  # [rad] in the suggested mode
    has_depth: bool  # in the suggested mode


def list_connected(bus: CameraBus) -> list[Connected]:
    return [_connected(serial, device) for serial, device in sorted(bus.devices().items())]


def suggest_mode(modes: tuple[ColourMode, ...]) -> ColourMode | None:
    """640x480 at 60 Hz, which has half the delay of 30; else 30; else the nearest size at its best rate."""

    def badness(mode: ColourMode) -> tuple[int, int]:
        size = abs(mode.width * mode.height - 640 * 480)
        rate = {60: 0, 30: 1}.get(mode.rate_hz, 2 + abs(mode.rate_hz - 60))
        return size, rate

    return min(modes, key=badness, default=None)


def _connected(serial: str, device: Any) -> Connected:
    sensor = colour_sensor(device)
    profiles = colour_profiles(sensor) if sensor is not None else {}
    suggested = suggest_mode(tuple(sorted(profiles)))
    angle = None
    if suggested is not None:
        intrinsics = profiles[suggested].get_intrinsics()
        angle = 2.0 * math.atan2(suggested.height / 2.0, intrinsics.fy)
    return Connected(
        serial=serial,
        name=read_info(device, "name"),
        firmware=read_info(device, "firmware_version"),
        recommended_firmware=read_info(device, "recommended_firmware_version"),
        usb=read_info(device, "usb_type_descriptor"),
        modes=tuple(sorted(profiles)),
        suggested=suggested,
        vertical_field_of_view=angle,
        has_depth=suggested in depth_modes(device),
    )


def listing_for_people(cameras: list[Connected]) -> str:
    if not cameras:
        return "no RealSense camera is connected; look at the cable, and at the udev rules of librealsense"
    lines = [_line(camera) for camera in cameras]
    usable = [camera for camera in cameras if camera.suggested is not None]
    if usable:
        lines += ["", "for the rig file; set names and mounts as they stand on the table:", "cameras:"]
    for index, camera in enumerate(usable):
        name = _NAMES[index] if index < len(_NAMES) else f"camera_{index + 1}"
        lines += _rig_lines(name, camera)
    return "\n".join(lines)


def _line(camera: Connected) -> str:
    firmware = camera.firmware or "unknown"
    if camera.recommended_firmware not in ("", camera.firmware):
        firmware += f" (recommended: {camera.recommended_firmware})"
    line = f"{camera.serial}  {camera.name}  firmware {firmware}  USB {camera.usb or 'unknown'}"
    if camera.usb.startswith("2"):
        line += "  -- on USB 2: fewer sizes and rates; use a USB 3 port and cable"
    return line if camera.suggested is not None else line + "  -- gives no colour"


def _rig_lines(name: str, camera: Connected) -> list[str]:
    mode, angle = camera.suggested, camera.vertical_field_of_view
    assert mode is not None
    assert angle is not None
    mount = "wrist" if name == "wrist" else "external"
    return [
        f"  {name}:",
        "    driver: realsense",
        f'    serial: "{camera.serial}"',
        f"    mount: {mount}",
        f"    vertical_field_of_view: {angle:.4f}   # [rad] of the whole picture",
        f"    width: {mode.width}",
        f"    height: {mode.height}",
        f"    rate_hz: {mode.rate_hz}",
        "    latency: MEASURE      # [s] from exposure to arrival; a rig is read once a number stands here",
        "    identical_frames: 10  # so many equal pictures in a row mean a frozen camera",
        *(
            ["    # depth: true         # record depth too, aligned to the picture"]
            if camera.has_depth
            else []
        ),
    ]
