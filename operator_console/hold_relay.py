"""Carries heartbeats from one page to the bridge and nonces back. It never makes a heartbeat itself.

The open stream is the lease: it is opened for the page that has control and closed with it. A rig without
hold-to-run leaves its lease free, so that an unattended study can command it.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from operator_console.bridge_link import said_by_bridge
from robot_contract.client import HoldStream, OperatorClient
from robot_contract.errors import BridgeUnavailable, WireError
from robot_contract.messages import Heartbeat, HoldState

RETRY_SECONDS = 1.0
LOOK_SECONDS = 0.1  # [s] between two looks whether the rig wants a key to be held


class HoldRelay:
    def __init__(
        self,
        client: OperatorClient,
        *,
        is_required: Callable[[], bool],
        say: Callable[[dict[str, Any]], None],
    ) -> None:
        self._client = client
        self._is_required = is_required
        self._say = say
        self._newest: Heartbeat | None = None
        self._wake = asyncio.Event()

    def beat(self, heartbeat: Heartbeat) -> None:
        """Pass one heartbeat of the page on; one that is still waiting is replaced by it."""
        self._newest = heartbeat
        self._wake.set()

    async def run(self, hold_state: Callable[[HoldState], None]) -> None:
        """Keep a hold stream open until cancelled."""
        while True:
            while not self._is_required():
                await asyncio.sleep(LOOK_SECONDS)
            self._newest = None
            try:
                async with self._client.hold_to_run() as stream:
                    sending = asyncio.create_task(self._send(stream))
                    try:
                        async for state in stream:
                            hold_state(state)
                    finally:
                        sending.cancel()
                sentence = "the bridge ended the hold stream"
            except (BridgeUnavailable, WireError) as error:
                sentence = said_by_bridge(error)
            self._say({"type": "hold_closed", "sentence": sentence})
            await asyncio.sleep(RETRY_SECONDS)

    async def _send(self, stream: HoldStream) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                heartbeat, self._newest = self._newest, None
                if heartbeat is not None:
                    await stream.send(heartbeat)
        except BridgeUnavailable:
            return  # the receiving side meets the same end and says why
