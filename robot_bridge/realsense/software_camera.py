"""Records a camera that does not exist: synthetic pictures in the file format of a real one.

librealsense cannot stream a software device by its serial, but it can play a recording of one so. Hence
a recording stands in for a camera, and all code from the pipeline upwards is the real one.
"""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from robot_bridge.devices import DepthPicture, Picture
from robot_bridge.realsense.bus import ColourMode
from robot_bridge.realsense.sdk import rs

_FLUSH = 0.3  # [s] the recorder writes in a thread of its own


def record_pictures(
    path: Path,
    serial: str,
    mode: ColourMode,
    pictures: Iterable[Picture],
    *,
    focal_length: float = 610.0,
    depths: Iterable[DepthPicture] | None = None,
    depth_step: float = 0.001,
    depth_camera_right: float = 0.0,
) -> None:
    """Write `pictures` of `mode` to a .db3 file, in real time; `focal_length` in px.

    `depths`, in steps of `depth_step` [m], are of a second sensor that looks the same way and sits
    `depth_camera_right` [m] to the right of the colour sensor.
    """
    device = rs.software_device()
    device.register_info(rs.camera_info.serial_number, serial)
    device.register_info(rs.camera_info.name, "Software D435")
    device.register_info(rs.camera_info.firmware_version, "5.16.0.1")
    device.register_info(rs.camera_info.usb_type_descriptor, "3.2")
    colour = device.add_sensor("RGB Camera")
    streams = [colour.add_video_stream(_video_stream(mode, focal_length, rs.stream.color, rs.format.rgb8, 3))]
    sources = [colour]
    if depths is not None:
        stereo = device.add_sensor("Stereo Module")
        streams.append(
            stereo.add_video_stream(_video_stream(mode, focal_length, rs.stream.depth, rs.format.z16, 2))
        )
        stereo.add_read_only_option(rs.option.depth_units, depth_step)
        sources.append(stereo)
        streams[1].register_extrinsics_to(streams[0], _shift(depth_camera_right))
        streams[0].register_extrinsics_to(streams[1], _shift(-depth_camera_right))
        device.create_matcher(rs.matchers.default)
    recorder = rs.recorder(str(path), device)
    sensors = recorder.query_sensors()
    _start(sensors)
    begin = time.monotonic()
    for index, images in enumerate(
        zip(pictures, depths, strict=True) if depths is not None else _alone(pictures)
    ):
        time.sleep(max(0.0, begin + index / mode.rate_hz - time.monotonic()))
        for source, stream, image in zip(sources, streams, images, strict=True):
            source.on_video_frame(_frame(mode, stream, image, index))
    time.sleep(_FLUSH)
    _stop(sensors)
    del sensors, recorder  # closes the file


def _start(sensors: Any) -> None:
    for sensor in sensors:
        sensor.open(sensor.get_stream_profiles()[0])
        sensor.start(rs.frame_queue(1))


def _stop(sensors: Any) -> None:
    for sensor in sensors:
        sensor.stop()
        sensor.close()


def _alone(pictures: Iterable[Picture]) -> Iterable[tuple[Picture]]:
    return ((picture,) for picture in pictures)


def _frame(mode: ColourMode, stream: Any, image: Picture | DepthPicture, index: int) -> object:
    frame = rs.software_video_frame()
    frame.bpp = image.itemsize * (image.shape[2] if image.ndim == 3 else 1)
    frame.stride, frame.pixels = frame.bpp * mode.width, np.ascontiguousarray(image)
    frame.timestamp = 1000.0 * (1.0 + index / mode.rate_hz)  # [ms]
    frame.frame_number = index + 1
    frame.profile, frame.domain = stream.as_video_stream_profile(), rs.timestamp_domain.hardware_clock
    return frame


def _shift(right: float) -> object:
    """From a sensor's frame to that of one which sits [m] to the left of it."""
    extrinsics = rs.extrinsics()
    extrinsics.rotation = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    extrinsics.translation = [right, 0.0, 0.0]
    return extrinsics


def _video_stream(mode: ColourMode, focal_length: float, kind: Any, pixels: Any, size: int) -> object:
    intrinsics = rs.intrinsics()
    intrinsics.width, intrinsics.height = mode.width, mode.height
    intrinsics.fx = intrinsics.fy = focal_length
    intrinsics.ppx, intrinsics.ppy = mode.width / 2, mode.height / 2
    intrinsics.model, intrinsics.coeffs = rs.distortion.inverse_brown_conrady, [0.0] * 5
    stream = rs.video_stream()
    stream.type, stream.index, stream.uid = kind, 0, size
    stream.width, stream.height, stream.fps = mode.width, mode.height, mode.rate_hz
    stream.bpp, stream.fmt, stream.intrinsics = size, pixels, intrinsics
    return stream
