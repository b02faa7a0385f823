"""Pictures into an MP4 file that browsers play."""

from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import av
import av.video

from robot_bridge.devices import Picture


class Film:
    def __init__(self, path: Path, width: int, height: int, rate_hz: int) -> None:
        self._container: Any = av.open(str(path), "w", format="mp4")
        self._stream: Any = self._container.add_stream("libx264", rate=rate_hz)
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = "yuv420p"
        self._stream.options = {"crf": "20", "preset": "veryfast"}

    def add(self, picture: Picture) -> None:
        frame = av.video.VideoFrame.from_ndarray(cast(Any, picture), format="rgb24")
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
