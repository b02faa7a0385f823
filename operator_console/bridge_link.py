"""The console's connection to the bridge, shared by all pages: status and pictures in, operator events out.

It reconnects for ever and always has a sentence for why there is no bridge. STOP has a connection of its
own, so that nothing which fills the other one can delay it.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc

from robot_contract.client import OperatorClient
from robot_contract.errors import BridgeUnavailable, WireError
from robot_contract.messages import BridgeStatus, CameraFrame, OperatorEvent

STATUS_RATE_HZ = 10.0
PICTURE_RATE_HZ = 10.0
RETRY_SECONDS = 1.0
SILENT_AFTER = 1.0  # [s] without a status
STOP_SECONDS = 2.0  # [s] to wait for the bridge's answer to a stop

_BROKEN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)

log = logging.getLogger(__name__)


def said_by_bridge(error: Exception) -> str:
    """A refusal in the bridge's own words; for a broken connection, which one and how."""
    cause: Any = error.__cause__
    if isinstance(cause, grpc.RpcError) and cause.code() not in _BROKEN:  # pyright: ignore[reportAttributeAccessIssue]
        return str(cause.details())  # pyright: ignore[reportAttributeAccessIssue]
    return str(error)


@dataclass(frozen=True, kw_only=True)
class Picture:
    frame: CameraFrame
    received_at: float  # [s], console's monotonic clock
    sequence: int

    def age(self, now: float) -> float:
        """[s] since exposure."""
        return self.frame.age + (now - self.received_at)


class BridgeLink:
    def __init__(
        self,
        client: OperatorClient,
        stop_client: OperatorClient,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.client = client
        self.clock = clock
        self.status: BridgeStatus | None = None
        self.pictures: dict[str, Picture] = {}
        self._stop_client = stop_client
        self._status_at = -float("inf")
        self._problem = f"the bridge {client.address} has not answered yet"
        self._listeners: set[Callable[[str | None], None]] = set()
        self._watched = asyncio.Event()  # set while a page is open
        self._sequence = 0

    @property
    def address(self) -> str:
        return self.client.address

    @property
    def status_age(self) -> float:
        """[s] since the newest status came."""
        return self.clock() - self._status_at

    @property
    def sentence(self) -> str:
        """Why there is no live bridge; empty while there is one."""
        if self._problem:
            return f"No bridge: {self._problem}. Trying again every second."
        if not self.status_age <= SILENT_AFTER:
            return f"The bridge has said nothing for {self.status_age:.0f} s."
        return ""

    @property
    def is_hold_required(self) -> bool:
        """Does the rig that is connected now want a key to be held?"""
        return self.status is not None and not self.sentence and self.status.hold_required

    def listen(self, listener: Callable[[str | None], None]) -> None:
        """`listener(None)` is called for a new status, `listener(camera)` for a new picture."""
        self._listeners.add(listener)
        self._watched.set()

    def forget(self, listener: Callable[[str | None], None]) -> None:
        self._listeners.discard(listener)
        if not self._listeners:
            self._watched.clear()

    async def run(self) -> None:
        """Watch the bridge until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep(self._watch, says_why=True))
            group.create_task(self._keep(self._look, says_why=False))

    async def stop(self, operator: str) -> BridgeStatus:
        """Send STOP; it needs no lease and no control of the page."""
        log.warning("STOP, pressed by %r", operator)
        event = OperatorEvent(action="stop", operator=operator)
        return await self._stop_client.send(event, timeout=STOP_SECONDS)

    async def close(self) -> None:
        await self.client.close()
        await self._stop_client.close()

    async def _keep(self, read: Callable[[], Awaitable[None]], *, says_why: bool) -> None:
        while True:
            try:
                await read()
                problem = f"the bridge {self.address} ended the connection"
            except (BridgeUnavailable, WireError) as error:
                problem = said_by_bridge(error)
            if says_why:
                if problem != self._problem:
                    log.warning("%s", problem)
                self._problem = problem
                self._tell(None)
            await asyncio.sleep(RETRY_SECONDS)

    async def _watch(self) -> None:
        async for status in self.client.watch(STATUS_RATE_HZ):
            self.status = status
            self._status_at = self.clock()
            self._problem = ""
            self._tell(None)

    async def _look(self) -> None:
        """Ask for pictures while somebody looks: they cost the robot's computer something."""
        await self._watched.wait()
        async for frame in self.client.images(rate_hz=PICTURE_RATE_HZ):
            self._sequence += 1
            self.pictures[frame.camera] = Picture(
                frame=frame, received_at=self.clock(), sequence=self._sequence
            )
            self._tell(frame.camera)
            if not self._watched.is_set():
                return

    def _tell(self, camera: str | None) -> None:
        for listener in tuple(self._listeners):
            listener(camera)
