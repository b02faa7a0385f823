"""What one page has not been sent yet: the newest of each thing, never a queue.

A page confirms every picture; the next one of that camera waits for it, so that a slow network shows
fewer pictures and not older ones.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from operator_console.bridge_link import BridgeLink, Picture


class PageFeed:
    def __init__(self, link: BridgeLink, *, clock: Callable[[], float]) -> None:
        self._link = link
        self._clock = clock
        self._wake = asyncio.Event()
        self._messages: list[dict[str, Any]] = []
        self._hold: dict[str, Any] | None = None
        self._status_due = True
        self._sent_at: dict[str, float] = {}  # pictures that the page has not confirmed
        self._sent_sequence: dict[str, int] = {}
        self.transit = 0.0  # [s] from sending the last picture to its confirmation

    def heard_from_link(self, camera: str | None) -> None:
        if camera is None:
            self._status_due = True
        self._wake.set()

    def take_status_due(self) -> bool:
        due, self._status_due = self._status_due, False
        return due

    def say(self, message: dict[str, Any]) -> None:
        """Something that must not be dropped."""
        self._messages.append(message)
        self._wake.set()

    def hold_state(self, message: dict[str, Any]) -> None:
        """Only the newest nonce is worth anything."""
        self._hold = message
        self._wake.set()

    def confirm(self, camera: str, sequence: int) -> None:
        if self._sent_sequence.get(camera) == sequence and camera in self._sent_at:
            self.transit = self._clock() - self._sent_at.pop(camera)
            self._wake.set()

    async def wait(self, period: float) -> None:
        """Return when there is something to send, or after `period` [s] in which nothing came."""
        try:
            async with asyncio.timeout(period):
                await self._wake.wait()
        except TimeoutError:
            self._status_due = True
        self._wake.clear()

    def take_messages(self) -> list[dict[str, Any]]:
        messages, self._messages = self._messages, []
        if self._hold is not None:
            messages.append(self._hold)
            self._hold = None
        return messages

    def take_pictures(self) -> list[Picture]:
        """The newest picture of each camera that the page is ready for and has not had."""
        due = [
            picture
            for camera, picture in self._link.pictures.items()
            if camera not in self._sent_at and self._sent_sequence.get(camera) != picture.sequence
        ]
        for picture in due:
            self._sent_at[picture.frame.camera] = self._clock()
            self._sent_sequence[picture.frame.camera] = picture.sequence
        return due
