"""A real console server in front of a rehearsal bridge, over real sockets, and a real browser."""

import asyncio
import io
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from operator_console.app import create_app
from operator_console.bridge_link import BridgeLink
from operator_console.rehearsal import RehearsalBridge, first_status
from operator_console.security import LOOPBACK_NAMES, Sessions
from operator_console.web_server import web_server
from robot_contract.client import OperatorClient

CHROMIUM = Path("/usr/bin/chromium")
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]


def picture(colour: tuple[int, int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (320, 240), colour).save(buffer, "JPEG")
    return buffer.getvalue()


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, f"within 5 s: {what}"
        time.sleep(0.01)


class Stage:
    """Console and bridge on one event loop in a thread of their own."""

    def __init__(self, *, certificate: Path | None = None, key: Path | None = None) -> None:
        self._certificate, self._key = certificate, key
        self.token = secrets.token_urlsafe(16)
        self.bridge = RehearsalBridge({"front": picture((140, 160, 170)), "wrist": picture((90, 110, 100))})
        self.bridge_port = 0
        self.port = 0
        self._server: uvicorn.Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    @property
    def url(self) -> str:
        return f"{'https' if self._key else 'http'}://127.0.0.1:{self.port}"

    @property
    def link(self) -> str:
        return f"{self.url}/?token={self.token}"

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(20), "the console did not start"

    def on_loop(self, function: Callable[[], Any]) -> Any:
        """Run a coroutine function where bridge and console live, and wait for it."""
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(function(), self._loop).result(20)

    def reset(self) -> None:
        """Make the bridge forget what the last test did with it."""

        async def forget() -> None:
            self.bridge.frozen.clear()
            for seen in (self.bridge.events, self.bridge.setups, self.bridge.heartbeats):
                seen.clear()
            lease = self.bridge.status.lease_holder
            self.bridge.status = replace(
                first_status(tuple(self.bridge.jpegs), hold_required=True), lease_holder=lease
            )

        self.on_loop(forget)

    def close(self) -> None:
        assert self._server is not None
        self._server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive(), "the console did not end"

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.bridge_port = await self.bridge.start()
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        address = f"127.0.0.1:{self.bridge_port}"
        link = BridgeLink(OperatorClient(address), OperatorClient(address))
        sessions = Sessions(
            key=secrets.token_bytes(32), cookie_name=f"touchdown_{self.port}", secure=self._key is not None
        )
        app = create_app(link, token=self.token, sessions=sessions, hosts=LOOPBACK_NAMES)
        self._server = web_server(app, certificate=self._certificate, key=self._key)
        serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        while not self._server.started:
            await asyncio.sleep(0.01)
        self._ready.set()
        await serving
        await self.bridge.close()


@pytest.fixture
def make_stage() -> Iterator[Callable[..., Stage]]:
    """Stages of another make than the usual one."""
    stages: list[Stage] = []

    def make(**options: Any) -> Stage:
        stages.append(Stage(**options))
        stages[-1].start()
        return stages[-1]

    yield make
    for stage in stages:
        stage.close()


@pytest.fixture(scope="module")
def lasting_stage() -> Iterator[Stage]:
    """One for all tests of a module, which reset it."""
    stage = Stage()
    stage.start()
    yield stage
    stage.close()


@pytest.fixture
def stage(lasting_stage: Stage) -> Stage:
    lasting_stage.reset()
    return lasting_stage


@pytest.fixture(scope="module")  # its event loop must be gone before other tests start one
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is missing: apt-get install chromium runs the browser tests")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, stage: Stage) -> Iterator[Page]:
    """The console's page, open and live; an error in its scripts fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if "Content Security" in line.text else None)
    page.goto(stage.link)
    page.wait_for_selector("body[data-live=yes]")
    page.wait_for_selector("#hold[data-hold=ready]")
    yield page
    context.close()
    until(lambda: not stage.bridge.status.lease_holder, "a closed page gives its lease back")
    assert errors == []
