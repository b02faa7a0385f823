"""A camera of the twin: exposes on its own schedule, delivers later, as a RealSense does.

At the exposure instant only the state is kept. It is drawn in the drawing thread: at once when the clock is
real, when somebody asks for it when the clock is stepped.
"""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from robot_bridge.devices import Frame, Picture
from robot_bridge.scene.scene import Scene
from robot_bridge.twin.drawing import Drawing
from robot_bridge.twin.settings import CameraSettings
from robot_contract.pose import Vector

_KEPT = 32  # exposures on their way


@dataclass(kw_only=True, eq=False)
class _Exposure:
    sequence: int
    exposed_at: float  # [s], bridge clock
    delivered: float  # [s], simulated
    draw: Callable[[], Picture]
    result: Future[Picture] | None = None
    frame: Frame | None = field(default=None, repr=False)


class TwinCamera:
    def __init__(
        self, name: str, settings: CameraSettings, drawing: Drawing, *, now: Callable[[], float], eager: bool
    ) -> None:
        self.name = name
        self.settings = settings
        self._frozen: Picture | None = None
        self.fault: Literal["silent", "frozen", "black"] | None = None
        self.dropped = 0  # exposures skipped because the one before was still being drawn
        self._drawing = drawing
        self._now = now  # simulated time
        self._eager = eager
        self._lock = threading.Lock()
        self._sequence = 0
        self._exposures: deque[_Exposure] = deque(maxlen=_KEPT)
        self._newest: _Exposure | None = None

    def restart(self, scene: Scene, time: float) -> None:
        """Begin a new scene: its first picture is due now, pictures of the old one are forgotten."""
        with self._lock:
            self._exposures.clear()
            self._newest = None
            self._scene = scene
            self._seed = [abs(scene.seed), *self.name.encode()]
            self._index = 0  # since the scene began
            self._start = time
            self.due = time  # [s], simulated, of the next exposure

    def expose(self, time: float, exposed_at: float, position: Vector) -> None:
        """Keep the state of this instant and set the next one; called by the thread that steps."""
        s, index = self.settings, self._index
        rng = np.random.default_rng([*self._seed, index])
        instant, wait, gain = np.clip(rng.standard_normal(3), -2, 2).tolist()
        self._index += 1
        self.due = self._start + (index + 1) / s.frame_rate_hz + max(0.0, instant) * s.exposure_jitter
        scene = self._scene
        with self._lock:
            before = self._exposures[-1] if self._exposures else None
            if self._eager and before is not None and before.result is not None and not before.result.done():
                self.dropped += 1
                return
            self._sequence += 1

            def draw() -> Picture:
                return self._drawing.picture(
                    self.name,
                    s,
                    scene,
                    position,
                    gain=s.gain * (1 + gain * s.gain_drift),
                    index=index,
                    rng=rng,
                )

            exposure = _Exposure(
                sequence=self._sequence,
                exposed_at=exposed_at,
                delivered=time + (0.0 if index == 0 else s.latency + wait * s.latency_jitter),
                draw=draw,
            )
            if self._eager:
                exposure.result = self._drawing.submit(draw)
                if self.fault != "silent":
                    self._take_delivered()  # so that pictures that nobody asks for do not pile up
            self._exposures.append(exposure)

    def latest(self) -> Frame | None:
        with self._lock:
            if self.fault != "silent":
                self._take_delivered()
            newest = self._newest
            if newest is not None and newest.result is None:
                newest.result = self._drawing.submit(newest.draw)
        if newest is None or newest.result is None:
            return None
        if newest.frame is None:
            picture = newest.result.result()
            if self.fault == "black":
                picture = np.zeros_like(picture)
            if self.fault == "frozen" and self._frozen is not None:
                picture = self._frozen
            self._frozen = picture
            picture.setflags(write=False)
            newest.frame = Frame(exposed_at=newest.exposed_at, sequence=newest.sequence, picture=picture)
        return newest.frame

    def close(self) -> None:
        """Nothing of its own to give back; the world closes the drawing thread."""

    def _take_delivered(self) -> None:
        now = self._now()
        while self._exposures and self._exposures[0].delivered <= now:
            first = self._exposures[0]
            if first.result is not None and not first.result.done():
                break
            self._newest = self._exposures.popleft()
