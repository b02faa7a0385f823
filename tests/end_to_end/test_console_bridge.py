"""Console, bridge and policy server as processes: whoever disappears, motion ends and the page says so."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from robot_contract.client import OperatorClient
from robot_contract.errors import BridgeUnavailable
from robot_contract.messages import BridgeStatus, OperatorEvent

ROOT = Path(__file__).parents[2]
BEAT_PERIOD = 0.05  # [s]
TRIAL = {
    "policy": "stand-in",
    "instruction": "stay where you are",
    "start_pose": "home",
    "time_limit": 600.0,
    "record": False,
    "scene": None,
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], bool], what: str, *, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"within {seconds:g} s: {what}")
        time.sleep(0.05)


class Chain:
    """A policy server, a mock robot that needs the key to be held, and a console."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.policy_port, self.bridge_port = free_port(), free_port()
        self.link = ""
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *arguments: str) -> None:
        with (self.folder / f"{name}.log").open("wb") as output:
            self._children[name] = subprocess.Popen(
                [sys.executable, "-m", *arguments], cwd=ROOT, stdout=output, stderr=subprocess.STDOUT
            )

    def start_policy_server(self) -> None:
        address = f"127.0.0.1:{self.policy_port}"
        self.start("policy", "policy_server", "serve", "--stand-in", "--address", address)

    def start_bridge(self) -> None:
        rig = (ROOT / "robot_bridge/rigs/mock.yaml").read_text()
        rig = rig.replace("hold_to_run: false", "hold_to_run: true")
        rig = re.sub(r"(flange_from_tcp:.*\n.*\n\s+quaternion: ).*", r"\g<1>[0.0, 0.0, 0.0, 1.0]", rig)
        rig = re.sub(r"(policy_server:\n\s+address: ).*", rf"\g<1>127.0.0.1:{self.policy_port}", rig)
        path = self.folder / "held_mock.yaml"
        path.write_text(rig)
        address = f"127.0.0.1:{self.bridge_port}"
        self.start("bridge", "robot_bridge", "run", "--rig", str(path), "--address", address)
        until(lambda: self.status() is not None, "the bridge answers", seconds=60)

    def start_console(self) -> None:
        bridge = f"127.0.0.1:{self.bridge_port}"
        self.start("console", "operator_console", "serve", "--port", "0", "--bridge", bridge)
        log = self.folder / "console.log"
        until(lambda: "token=" in log.read_text(), "the console prints its link", seconds=60)
        self.link = re.findall(r"http://\S+", log.read_text())[0]

    def signal(self, name: str, number: signal.Signals) -> None:
        self._children[name].send_signal(number)

    def end(self, name: str) -> None:
        child = self._children.pop(name)
        child.kill()
        child.wait()

    def close(self) -> None:
        for name in tuple(self._children):
            self.end(name)

    def status(self) -> BridgeStatus | None:
        """What the bridge says, past the console."""

        async def first() -> BridgeStatus | None:
            async with OperatorClient(f"127.0.0.1:{self.bridge_port}") as client:
                async for status in client.watch():
                    return status
            return None

        try:
            return asyncio.run(first())
        except BridgeUnavailable:
            return None

    def mode(self) -> str:
        status = self.status()
        return status.mode if status is not None else "no bridge"


class Page:
    """Does what the page's script does: echoes the newest nonce at 20 Hz while its key is held."""

    def __init__(self, link: str) -> None:
        base = urlsplit(link)
        self.http = httpx.Client(base_url=f"http://{base.netloc}", timeout=30)
        assert self.http.get(link).status_code == 303
        csrf = next(value for name, value in self.http.cookies.items() if name.endswith("_csrf"))
        cookie = "; ".join(f"{name}={value}" for name, value in self.http.cookies.items())
        self._stack = ExitStack()
        self.socket = self._stack.enter_context(
            connect(
                f"ws://{base.netloc}/ws",
                origin=f"http://{base.netloc}",  # type: ignore[arg-type]
                additional_headers={"Cookie": cookie},
                proxy=None,
                close_timeout=2,
            )
        )
        self.socket.send(json.dumps({"type": "hello", "csrf": csrf}))
        self.http.headers["x-touchdown-csrf"] = csrf
        self.status: dict[str, Any] = {}
        self.nonce = ""
        self.press = int(time.time() * 1000)
        self.held = False
        self._open = True
        self._threads = [threading.Thread(target=self._listen), threading.Thread(target=self._beat)]
        for thread in self._threads:
            thread.start()
        until(lambda: bool(self.nonce), "the page has the lease")

    def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        return self.http.post(path, json=body)

    def act(self, action: str) -> None:
        response = self.post("/api/send", {"action": action, "operator": "operator 1"})
        assert response.status_code == 200, response.text

    def hold(self) -> None:
        self.press += 1
        self.held = True

    def release(self) -> None:
        self.held = False
        self.socket.send(
            json.dumps({"type": "heartbeat", "nonce": self.nonce, "press": self.press, "held": False})
        )

    def close(self) -> None:
        self._open = self.held = False
        self._stack.close()
        for thread in self._threads:
            thread.join(10)
        self.http.close()

    def _listen(self) -> None:
        try:
            while True:
                message = self.socket.recv()
                if isinstance(message, bytes):
                    continue
                document = json.loads(message)
                if document["type"] == "hold":
                    self.nonce = document["nonce"]
                elif document["type"] == "status":
                    self.status = document
                elif document["type"] == "welcome":
                    self.http.headers["x-touchdown-page"] = document["page"]
        except ConnectionClosed:
            return

    def _beat(self) -> None:
        while self._open:
            time.sleep(BEAT_PERIOD)
            if self.held:
                beat = {"type": "heartbeat", "nonce": self.nonce, "press": self.press, "held": True}
                try:
                    self.socket.send(json.dumps(beat))
                except ConnectionClosed:
                    return


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    chain = Chain(tmp_path_factory.mktemp("chain"))
    try:
        chain.start_policy_server()
        chain.start_bridge()
        yield chain
    finally:
        chain.close()


@pytest.fixture
def page(chain: Chain) -> Iterator[Page]:
    """A page in front of an arm that runs because its key is held."""
    chain.start_console()
    page = None
    try:
        page = Page(chain.link)
        for attempt in range(10):  # a busy machine measures a latency that is refused
            setup = {**TRIAL, "trial_id": f"t-{os.getpid()}-{time.monotonic_ns()}"}
            response = page.post("/api/prepare", setup)
            assert response.status_code == 200, response.text
            armed = page.post("/api/send", {"action": "arm"})
            if armed.status_code == 200:
                break
            assert attempt < 9, armed.text
            time.sleep(1)
        page.act("start")
        run(chain, page)
        yield page
    finally:
        if page is not None:
            page.close()
        chain.end("console")
        until(lambda: chain.mode() != "RUNNING", "motion ends with the console")
        if chain.mode() != "IDLE":
            disarm(chain)


def run(chain: Chain, page: Page) -> None:
    """Hold the key until the arm runs; a busy machine may lose a press, and then a new one is due."""
    for _ in range(5):
        page.hold()
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            if chain.mode() == "RUNNING":
                return
            time.sleep(0.05)
        page.release()
    pytest.fail(f"the arm does not run: {page.status['status']['why']}")


def disarm(chain: Chain) -> None:
    """Past the console, which may be gone: the lease is free then."""

    async def send() -> None:
        async with OperatorClient(f"127.0.0.1:{chain.bridge_port}") as client, client.hold_to_run() as hold:
            await hold.receive()
            await client.send(OperatorEvent(action="disarm", operator="test"))

    asyncio.run(send())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_motion_ends_when_the_console_disappears(chain: Chain, page: Page, number: signal.Signals) -> None:
    chain.signal("console", number)
    until(lambda: chain.mode() == "HOLDING", "the arm holds still", seconds=5)
    status = chain.status()
    assert status is not None
    assert not status.held
    if number is signal.SIGSTOP:
        chain.signal("console", signal.SIGCONT)
    time.sleep(0.5)
    assert chain.mode() == "HOLDING", "what the console had kept back must be worth nothing"


def test_motion_ends_when_the_tab_is_closed(chain: Chain, page: Page) -> None:
    page.socket.close()
    until(lambda: chain.mode() == "HOLDING", "the arm holds still", seconds=5)
    until(lambda: (status := chain.status()) is not None and not status.lease_holder, "the lease is free")


def test_the_page_says_that_the_policy_server_died_and_the_operator_goes_on(chain: Chain, page: Page) -> None:
    until(lambda: page.status["status"]["mode"] == "RUNNING", "the page shows RUNNING")
    chain.end("policy")
    until(lambda: page.status["status"]["mode"] == "HOLDING", "the page shows HOLDING")
    until(lambda: page.status["status"]["server_state"] != "connected", "the page says why")
    assert chain.mode() == "HOLDING"
    chain.start_policy_server()
    until(lambda: page.status["status"]["server_state"] == "connected", "the server is back")
    assert chain.mode() == "HOLDING", "nothing moves again by itself"
    page.release()
    until(lambda: not page.status["status"]["held"], "the key is released")
    until(lambda: page.post("/api/send", {"action": "start"}).status_code == 200, "start is accepted")
    run(chain, page)
