"""The replies of one stream on their way out: many produce, exactly one task writes."""

import asyncio
from collections import deque
from dataclasses import dataclass

import grpc

from policy_server.request import Answer


@dataclass(frozen=True, kw_only=True)
class Ending:
    """Why the server ends a stream."""

    status: grpc.StatusCode
    sentence: str


class Outbox:
    def __init__(self, *, limit: int) -> None:
        self._answers: deque[Answer] = deque()
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._limit = limit
        self._closed = False
        self.ending: Ending | None = None  # None: the client is done

    def put(self, answer: Answer) -> None:
        self._answers.append(answer)
        self._changed.set()
        if len(self._answers) >= self._limit:
            self._room.clear()

    async def take(self) -> Answer | None:
        """The next answer; None when the outbox is closed and empty."""
        while not self._answers:
            if self._closed:
                return None
            self._changed.clear()
            await self._changed.wait()
        answer = self._answers.popleft()
        if len(self._answers) < self._limit:
            self._room.set()
        return answer

    async def wait_for_room(self) -> None:
        """Wait until the peer has taken enough of its replies to be read from again."""
        await self._room.wait()

    def close(self, ending: Ending | None = None) -> None:
        """Nothing more comes; what is inside still goes out."""
        self._closed = True
        self.ending = self.ending or ending
        self._changed.set()
