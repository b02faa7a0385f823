"""Records a camera that does not exist: synthetic pictures in the file format of a real one.

librealsense cannot stream a software device by its serial, but it can play a recording of one so. Hence
a recording stands in for a camera, and all code from the pipeline upwards is the real one.
"""

import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from robot_bridge.devices import Picture
from robot_bridge.realsense.bus import ColourMode
from robot_bridge.realsense.sdk import rs

_FLUSH = 0.3  # [s] the recorder writes in a thread of its own


def record_pictures(
    path: Path, serial: str, mode: ColourMode, pictures: Iterable[Picture], *, focal_length: float = 610.0
) -> None:
    """Write `pictures` of `mode` to a .db3 file, in real time; `focal_length` in px."""
    device = rs.software_device()
    device.register_info(rs.camera_info.serial_number, serial)
    device.register_info(rs.camera_info.name, "Software D435")
    device.register_info(rs.camera_info.firmware_version, "5.16.0.1")
    device.register_info(rs.camera_info.usb_type_descriptor, "3.2")
    source = device.add_sensor("RGB Camera")
    profile = source.add_video_stream(_colour_stream(mode, focal_length)).as_video_stream_profile()
    recorder = rs.recorder(str(path), device)
    sensor = recorder.query_sensors()[0]
    sensor.open(sensor.get_stream_profiles()[0])
    sensor.start(rs.frame_queue(1))
    begin = time.monotonic()
    for index, picture in enumerate(pictures):
        time.sleep(max(0.0, begin + index / mode.rate_hz - time.monotonic()))
        frame = rs.software_video_frame()
        frame.bpp, frame.stride, frame.pixels = 3, 3 * mode.width, np.ascontiguousarray(picture)
        frame.timestamp = 1000.0 * (1.0 + index / mode.rate_hz)  # [ms]
        frame.frame_number = index + 1
        frame.profile, frame.domain = profile, rs.timestamp_domain.hardware_clock
        source.on_video_frame(frame)
    time.sleep(_FLUSH)
    sensor.stop()
    sensor.close()
    del sensor, recorder  # closes the file


def _colour_stream(mode: ColourMode, focal_length: float) -> object:
    intrinsics = rs.intrinsics()
    intrinsics.width, intrinsics.height = mode.width, mode.height
    intrinsics.fx = intrinsics.fy = focal_length
    intrinsics.ppx, intrinsics.ppy = mode.width / 2, mode.height / 2
    intrinsics.model, intrinsics.coeffs = rs.distortion.inverse_brown_conrady, [0.0] * 5
    stream = rs.video_stream()
    stream.type, stream.index, stream.uid = rs.stream.color, 0, 1
    stream.width, stream.height, stream.fps = mode.width, mode.height, mode.rate_hz
    stream.bpp, stream.fmt, stream.intrinsics = 3, rs.format.rgb8, intrinsics
    return stream
