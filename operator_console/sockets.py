"""The page's WebSocket: status, hold states and pictures down; heartbeats, confirmations and STOP up.

Host, Origin and session were checked before the handshake; the first message must carry the CSRF value.
When the socket closes, for whatever reason, the page's hold stream closes with it.
"""

import asyncio
import json
import logging
import secrets
import struct
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from operator_console.bridge_link import BridgeLink, Picture
from operator_console.control import Control
from operator_console.hold_relay import HoldRelay
from operator_console.page_feed import PageFeed
from operator_console.security import Sessions
from operator_console.status_document import as_json
from robot_contract.errors import BridgeUnavailable, WireError
from robot_contract.messages import Heartbeat, HoldState

HELLO_SECONDS = 5.0
QUIET_PERIOD = 0.25  # [s] between two messages at most, so that the page knows that it is connected
MAX_NUMBER = 2**64

log = logging.getLogger(__name__)


class PageSocket:
    """One open page."""

    def __init__(self, socket: WebSocket, link: BridgeLink, control: Control) -> None:
        self.name = secrets.token_urlsafe(12)
        self._socket = socket
        self._link = link
        self._control = control
        self._feed = PageFeed(link, clock=link.clock)
        self._relay = HoldRelay(link.client, is_required=lambda: link.is_hold_required, say=self._feed.say)
        self._holding: asyncio.Task[None] | None = None
        self._stopping: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        await self._socket.send_text(json.dumps({"type": "welcome", "page": self.name}))
        self._link.listen(self._feed.heard_from_link)
        self._control.join(self)
        sending = asyncio.create_task(self._send())
        receiving = asyncio.create_task(self._receive())
        try:
            done, _ = await asyncio.wait((sending, receiving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._control.leave(self)
            self._link.forget(self._feed.heard_from_link)
            for task in (sending, receiving):
                task.cancel()
            await asyncio.gather(sending, receiving, return_exceptions=True)
        for task in done:
            await task  # raises what ended it

    def control_gained(self) -> None:
        self._holding = asyncio.create_task(self._relay.run(self._heard_hold_state))

    def control_lost(self) -> None:
        if self._holding is not None:
            self._holding.cancel()
            self._holding = None
            self._feed.say({"type": "hold_closed", "sentence": "this page has no control"})

    def control_changed(self) -> None:
        self._feed.heard_from_link(None)

    def _heard_hold_state(self, state: HoldState) -> None:
        # A nonce may be larger than the numbers that a browser counts exactly: it travels as text.
        self._feed.hold_state({"type": "hold", **as_json(state), "nonce": str(state.nonce)})

    async def _send(self) -> None:
        while True:
            for message in self._feed.take_messages():
                await self._socket.send_text(json.dumps(message))
            if self._feed.take_status_due():
                await self._socket.send_text(json.dumps(self._status_message()))
            for picture in self._feed.take_pictures():
                await self._socket.send_bytes(self._picture_message(picture))
            await self._feed.wait(QUIET_PERIOD)

    def _status_message(self) -> dict[str, Any]:
        sentence = self._link.sentence
        return {
            "type": "status",
            "bridge": {"connected": not sentence, "address": self._link.address, "sentence": sentence},
            "control": {
                "mine": self._control.is_held_by(self.name),
                "sentence": self._control.sentence_for(self),
            },
            "status_age": as_json(self._link.status_age),
            "status": as_json(self._link.status),
        }

    def _picture_message(self, picture: Picture) -> bytes:
        frame = picture.frame
        header = {
            "camera": frame.camera,
            "sequence": picture.sequence,
            "age": picture.age(self._link.clock()) + self._feed.transit,
        }
        encoded = json.dumps(header).encode()
        return struct.pack(">I", len(encoded)) + encoded + frame.image.jpeg

    async def _receive(self) -> None:
        while True:
            message = json.loads(await self._socket.receive_text())
            match message["type"]:
                case "heartbeat":
                    self._relay.beat(heartbeat_from_page(message))
                case "seen":
                    self._feed.confirm(str(message["camera"]), int(message["sequence"]))
                case "stop":
                    task = asyncio.create_task(self._stop(str(message.get("operator", ""))[:200]))
                    self._stopping.add(task)
                    task.add_done_callback(self._stopping.discard)
                case "take_control":
                    self._control.take(self)
                case other:
                    raise WireError(
                        f"message type is {other!r}, expected heartbeat, seen, stop or take_control"
                    )

    async def _stop(self, operator: str) -> None:
        try:
            await self._link.stop(operator)
        except (BridgeUnavailable, WireError) as error:
            log.error("STOP did not reach the bridge: %s", error)  # noqa: TRY400  the sentence says it all


def heartbeat_from_page(message: dict[str, Any]) -> Heartbeat:
    """A heartbeat exactly as the page made it, or WireError."""
    nonce, press, held = message.get("nonce"), message.get("press"), message.get("held")
    if not (isinstance(nonce, str) and nonce.isdecimal() and int(nonce) < MAX_NUMBER):
        raise WireError(f"nonce is {nonce!r}, expected the bridge's number as text")
    if not (isinstance(press, int) and not isinstance(press, bool) and 0 <= press < MAX_NUMBER):
        raise WireError(f"press is {press!r}, expected a whole number from 0")
    if not isinstance(held, bool):
        raise WireError(f"held is {held!r}, expected true or false")
    return Heartbeat(nonce=int(nonce), press=press, held=held)


async def serve_page(socket: WebSocket, link: BridgeLink, control: Control, sessions: Sessions) -> None:
    session = sessions.from_headers(socket.headers)
    await socket.accept()
    try:
        async with asyncio.timeout(HELLO_SECONDS):
            hello = json.loads(await socket.receive_text())
        csrf = hello.get("csrf", "") if isinstance(hello, dict) else ""
        if session is None or not isinstance(csrf, str) or not sessions.csrf_matches(session, csrf):
            await socket.close(1008, "open the console with the link that it printed")
            return
        await PageSocket(socket, link, control).serve()
    except WebSocketDisconnect:
        pass
    except TimeoutError:
        await socket.close(1008, f"the page said nothing for {HELLO_SECONDS:.0f} s")
    except (ValueError, KeyError, TypeError) as error:
        log.warning("a page was closed, it sent something wrong: %s", error)
        await socket.close(1008, f"the page sent something wrong: {error}"[:120])
