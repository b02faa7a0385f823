"""H.264 in MP4, at a constant rate, for data sets: every second picture is a key picture."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from robot_contract.errors import RecordingError

_KEY_EVERY = 2  # pictures: a training loader reads them in any order
_QUALITY = "20"  # x264's constant rate factor; 0 loses nothing, 51 is the worst


class VideoFile:
    def __init__(self, path: Path, *, rate_hz: float, width: int, height: int) -> None:
        if width % 2 or height % 2:
            raise RecordingError(f"{path.name}: H.264 takes even sizes, the pictures are {width}x{height}")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._container = av.open(str(path), "w")
        rate = Fraction(rate_hz).limit_denominator(1000)
        self._stream = self._container.add_stream(
            "libx264", rate=rate, options={"crf": _QUALITY, "g": str(_KEY_EVERY), "bf": "0"}
        )
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.thread_count = 1
        self._size = (height, width, 3)
        self.count = 0

    def add(self, picture: npt.NDArray[np.uint8]) -> None:
        """(height, width, 3), RGB."""
        if picture.shape != self._size:
            raise RecordingError(f"a picture is {picture.shape}, the others are {self._size}")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame.pts = self.count
        frame.time_base = 1 / Fraction(self._stream.codec_context.framerate)
        self._container.mux(self._stream.encode(frame))
        self.count += 1

    def close(self) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()
