"""One running stream: opened by serial with a fresh configuration, read frame by frame, closed.

Colour, and depth where it is wanted: librealsense joins the two by their stamps and moves the depth onto the
colour's pixels, which costs some milliseconds a picture, in the camera's own thread.
"""

import logging
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from robot_bridge.devices import DepthPicture, Picture
from robot_bridge.realsense.bus import (
    CameraBus,
    ColourMode,
    colour_profiles,
    colour_sensor,
    depth_modes,
    read_info,
)
from robot_bridge.realsense.sdk import rs
from robot_contract.errors import DeviceFault

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class Shot:
    arrived_at: float  # [s], monotonic
    stamp: float  # [s], by the camera's clock
    domain: str  # which clock that is
    number: int  # the camera's own count
    picture: Picture
    depth_mm: DepthPicture | None = None  # none where it was not asked for, or did not come with the colour


class Stream:
    def __init__(self, bus: CameraBus, serial: str, mode: ColourMode, *, with_depth: bool = False) -> None:
        devices = bus.devices()
        if serial not in devices:
            connected = ", ".join(sorted(devices)) or "none"
            raise DeviceFault(f"no RealSense camera with serial {serial}; connected: {connected}")
        sensor = colour_sensor(devices[serial])
        offered = sorted(colour_profiles(sensor)) if sensor is not None else []
        if mode not in offered:
            usb = read_info(devices[serial], "usb_type_descriptor") or "unknown"
            raise DeviceFault(
                f"RealSense {serial} on USB {usb} has no colour {mode}; it has"
                f" {', '.join(str(one) for one in offered) or 'no colour at all'}"
            )
        if with_depth and mode not in (measured := depth_modes(devices[serial])):
            raise DeviceFault(
                f"RealSense {serial} has no depth {mode}; it has"
                f" {', '.join(str(one) for one in measured) or 'no depth at all'}"
            )
        # A configuration remembers the device that it once found, unplugged or not: never use one twice.
        config = rs.config()
        config.enable_device(serial)
        config.enable_stream(rs.stream.color, mode.width, mode.height, rs.format.rgb8, mode.rate_hz)
        if with_depth:
            config.enable_stream(rs.stream.depth, mode.width, mode.height, rs.format.z16, mode.rate_hz)
        self._align: Any = rs.align(rs.stream.color) if with_depth else None
        self._pipeline: Any = rs.pipeline(bus.context)
        try:
            device = self._pipeline.start(config).get_device()
        except RuntimeError as error:
            raise DeviceFault(f"RealSense {serial} does not start with colour {mode}: {error}") from error
        self.sensor: Any = colour_sensor(device)
        _log.info(
            "RealSense %s streams %s %s: %s, firmware %s, USB %s",
            serial,
            "colour and depth" if with_depth else "colour",
            mode,
            read_info(device, "name"),
            read_info(device, "firmware_version") or "unknown",
            read_info(device, "usb_type_descriptor") or "unknown",
        )

    def read(self, timeout: float) -> Shot | None:
        """The newest frame, copied so that the camera has its buffer back; None when none came in time."""
        arrived, frames = self._pipeline.try_wait_for_frames(int(1000 * timeout))
        now = time.monotonic()
        frame = frames.get_color_frame() if arrived else None
        if not frame:
            return None
        picture = np.array(np.asanyarray(frame.get_data()), dtype=np.uint8)  # copies
        picture.setflags(write=False)
        return Shot(
            arrived_at=now,
            stamp=frame.get_timestamp() / 1000.0,
            domain=frame.get_frame_timestamp_domain().name,
            number=frame.get_frame_number(),
            picture=picture,
            depth_mm=self._depth(frames) if self._align is not None else None,
        )

    def _depth(self, frames: Any) -> DepthPicture | None:
        """[mm] on the colour's pixels; librealsense gives colour alone where the depth was lost."""
        if not frames.get_depth_frame():
            return None
        frame = self._align.process(frames).get_depth_frame()
        return in_millimetres(np.asanyarray(frame.get_data()), frame.get_units())

    def close(self) -> None:
        try:
            self._pipeline.stop()
        except RuntimeError as error:  # the camera is gone already
            _log.info("closing a RealSense stream: %s", error)


def in_millimetres(steps: DepthPicture, step: float) -> DepthPicture:
    """A copy, from the camera's own steps of `step` [m]; what is farther than 65.5 m was not measured."""
    if round(step, 9) == 0.001:
        depth = steps.copy()
    else:
        exact = np.rint(steps * (1000.0 * step))
        depth = np.where(exact <= np.iinfo(np.uint16).max, exact, 0.0).astype(np.uint16)
    depth.setflags(write=False)
    return depth
