"""Which camera pictures go into a recording: per camera about ten a second, each once."""

from collections.abc import Iterator, Mapping

from robot_bridge.devices import Frame
from robot_bridge.records import FrameRecord

FRAME_RATE_HZ = 10.0
_EARLY = 0.25  # of a period: a 30 Hz camera gives every third picture, not every fourth


class FrameSampling:
    """Used by the control thread alone; costs a comparison per camera and tick."""

    def __init__(self) -> None:
        self._next_at: dict[str, float] = {}  # [s] exposure, by camera

    def due(self, frames: Mapping[str, Frame]) -> Iterator[FrameRecord]:
        for camera, frame in frames.items():
            if not frame.exposed_at < self._next_at.get(camera, float("-inf")):
                self._next_at[camera] = frame.exposed_at + (1.0 - _EARLY) / FRAME_RATE_HZ
                yield FrameRecord(camera=camera, frame=frame)
