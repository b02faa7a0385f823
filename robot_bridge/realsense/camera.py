"""A RealSense colour camera as a `Camera`: its own thread, and a slot with the newest frame.

The control thread only looks into the slot. A stalled or unplugged camera leaves its last frame there, which
grows old; meanwhile the camera's thread starts it anew as often as it takes.
"""

import logging
import threading
import time
from dataclasses import dataclass

from robot_bridge.devices import Frame
from robot_bridge.latest import Latest
from robot_bridge.realsense.bus import CameraBus, ColourMode
from robot_bridge.realsense.frame_times import FrameTimes
from robot_bridge.realsense.look import Look, adjusts_itself, begin_look, lock_look, read_look
from robot_bridge.realsense.stream import Shot, Stream
from robot_contract.errors import DeviceFault

_log = logging.getLogger(__name__)
_WAIT = 0.1  # [s] at most between two looks at what else is to do


@dataclass(frozen=True, kw_only=True)
class Patience:
    warm_up: float = 2.0  # [s] of pictures in which the camera finds its exposure; none of them is shown
    restart_after: float = 5.0  # [s] of silence from a camera that is plugged in
    retry_period: float = 0.5  # [s] between two looks for a camera that is not


class RealSenseCamera:
    """Opens the camera at once, or raises `DeviceFault`; from then on it keeps itself open."""

    def __init__(
        self,
        bus: CameraBus,
        serial: str,
        mode: ColourMode,
        *,
        latency: float,
        with_depth: bool = False,
        patience: Patience | None = None,
    ) -> None:
        self.serial = serial
        self.restarts = 0
        self.look: Look | None = None  # locked; the same after a restart
        self._bus = bus
        self._mode = mode
        self._with_depth = with_depth
        self._patience = patience or Patience()
        self._times = FrameTimes(latency=latency)
        self._slot = Latest[Frame]()
        self._sequence = 0
        self._domain = ""
        self._ending = threading.Event()
        self._changes = bus.changes
        self._stream: Stream | None = self._open()
        self._thread = threading.Thread(target=self._run, name=f"realsense-{serial}", daemon=True)
        self._thread.start()

    def latest(self) -> Frame | None:
        return self._slot.peek()

    @property
    def is_streaming(self) -> bool:
        return self._stream is not None

    def close(self) -> None:
        self._ending.set()
        self._thread.join()

    def _open(self) -> Stream:
        stream = Stream(self._bus, self.serial, self._mode, with_depth=self._with_depth)
        try:
            if self.look is None:
                begin_look(stream.sensor)
            else:
                lock_look(stream.sensor, self.look)
        except RuntimeError as error:
            stream.close()
            raise DeviceFault(f"RealSense {self.serial} takes no settings: {error}") from error
        self._times.forget()
        self._number = -1
        self._heard_at = self._started_at = time.monotonic()
        return stream

    def _run(self) -> None:
        while not self._ending.is_set():
            if self._stream is None:
                self._reopen()
                continue
            try:
                trouble = self._follow(self._stream)
            except RuntimeError as error:  # librealsense's own
                trouble = str(error)
            if trouble:
                _log.warning("RealSense %s: %s; starting it anew", self.serial, trouble)
                self._stream.close()
                self._stream = None
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _follow(self, stream: Stream) -> str:
        """Take the next frame; returns why the stream must be opened anew, or nothing."""
        changes = self._bus.changes
        if changes != self._changes:
            self._changes = changes
            if self.serial not in self._bus.devices():
                return "was unplugged"
        shot = stream.read(_WAIT)
        if shot is None:
            silent = time.monotonic() - self._heard_at
            return "" if silent <= self._patience.restart_after else f"has been silent for {silent:.1f} s"
        self._heard_at = shot.arrived_at
        self._show(stream, shot)
        return ""

    def _show(self, stream: Stream, shot: Shot) -> None:
        if shot.number == self._number:  # delivered twice
            return
        self._number = shot.number
        exposed_at = self._times.exposed_at(stamp=shot.stamp, arrived_at=shot.arrived_at, domain=shot.domain)
        if shot.domain != self._domain:
            self._domain = shot.domain
            _log.info("RealSense %s stamps its frames by %s", self.serial, shot.domain)
        if self.look is None and adjusts_itself(stream.sensor):
            if shot.arrived_at - self._started_at < self._patience.warm_up:
                return
            self.look = read_look(stream.sensor)
            lock_look(stream.sensor, self.look)
            _log.info("RealSense %s is locked to %s", self.serial, dict(self.look))
            return
        self._sequence += 1
        self._slot.put(
            Frame(
                exposed_at=exposed_at,
                sequence=self._sequence,
                picture=shot.picture,
                depth_mm=shot.depth_mm,
            )
        )

    def _reopen(self) -> None:
        self._changes = self._bus.changes
        try:
            self._stream = self._open()
            self.restarts += 1
        except (DeviceFault, RuntimeError) as error:
            _log.debug("RealSense %s: %s", self.serial, error)
            self._ending.wait(self._patience.retry_period)
