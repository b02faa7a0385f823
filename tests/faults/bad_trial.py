"""One trial that goes wrong: a bridge whose devices fail on request, an operator, and what was recorded.

Times are the bridge's own, from its recording. Bounds are the promise plus the longest pause between two
ticks around it, so that a busy machine changes the figures and not the outcome.
"""

import asyncio
import contextlib
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np

from robot_bridge.recording.decode import Tick
from robot_bridge.recording.reading import Recording, read_recording
from robot_bridge.rig_file import find_rig, load_rig
from robot_contract.client import BlockingPolicyClient, OperatorClient
from robot_contract.errors import BridgeUnavailable
from robot_contract.messages import BridgeStatus, Heartbeat, OperatorAction, OperatorEvent, TrialSetup

HERE = Path(__file__).parent
START_SECONDS = 60.0
TRIES = 40  # to arm: a busy machine measures latencies that are refused
LONGEST_CHUNK_AGE = 0.1  # [s] as the rig has it
SPEED = 0.01  # [m/s] of the stand-in: 1 mm down per step of 0.1 s
RIG_CHANGES = (
    ("control_rate_hz: 100", "control_rate_hz: 50"),
    ("rate_hz: 30", "rate_hz: 15"),
    ("margin: 0.03", "margin: 0.2"),
    ("missed_ticks: 10 ", "missed_ticks: 25 "),
    ("  profile: reduced", "  arm_age: 0.1\n  profile: reduced"),
    ("free_space_floor: 1000000000", "free_space_floor: 0"),
)
WITH_KEY = ("hold_to_run: false", "hold_to_run: true")
Change = tuple[str, str]


def stand_in(folder: Path, *, mark_mm: float = -1.0) -> list[str]:
    """Arguments of a policy server whose policy goes straight down."""
    path = folder / f"stand-in{mark_mm:+g}.json"
    path.write_text(json.dumps({"mark_mm": mark_mm, "chunk_length": 16}))
    return ["--stand-in", "--checkpoints", f"stand-in={path}"]


def write_rig(folder: Path, server: str, changes: Sequence[Change] = ()) -> Path:
    """The mock rig with the stand-in's tool, slower and more patient; `changes` are made to its text."""
    with BlockingPolicyClient(server) as client:
        tool = client.get_contract("stand-in").flange_from_tcp
    mock = load_rig(find_rig("mock")).flange_from_tcp
    text = find_rig("mock").read_text()
    tools = (
        (f"quaternion: {mock.quaternion.tolist()}", f"quaternion: {tool.quaternion.tolist()}"),
        (f"position: {mock.position.tolist()}", f"position: {tool.position.tolist()}"),
    )
    for old, new in (*RIG_CHANGES, *tools, *changes):
        assert old in text, old
        text = text.replace(old, new)
    path = folder / "rig.yaml"
    path.write_text(text)
    return path


class InjectableBridge:
    """`injectable_bridge.py` as a child: `inject` says what shall fail."""

    def __init__(self, rig: Path, server: str, recordings: Path, *arm: str, port: int = 0) -> None:
        self._process = subprocess.Popen(
            [
                *(sys.executable, str(HERE / "injectable_bridge.py")),
                *(str(rig), server, str(recordings), str(port), *arm),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.log = ""
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        found = re.fullmatch(r"port (\d+)", self._line())
        if found is None:
            self.close()
            raise RuntimeError(f"the bridge did not start: {self.log}")
        self.address = f"127.0.0.1:{found[1]}"

    @property
    def pid(self) -> int:
        return self._process.pid

    def inject(self, fault: str) -> float:
        """Let it happen; the bridge's time then."""
        assert self._process.stdin is not None
        self._process.stdin.write(fault + "\n")
        self._process.stdin.flush()
        return float(self._line().removeprefix("done at "))

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self, timeout: float) -> int:
        return self._process.wait(timeout)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(20.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._reader.join(10.0)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):  # of a bridge that was killed
                pipe.close()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def _read_log(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.log += line


class BadTrial:
    """The operator's side of it."""

    def __init__(self, client: OperatorClient, bridge: InjectableBridge) -> None:
        self.client = client
        self.bridge = bridge
        self.press_id = 0  # of the key, where the rig needs one; 0 is released
        self.is_listening = True  # does the page answer?

    async def act(self, action: OperatorAction) -> BridgeStatus:
        return await self.client.send(OperatorEvent(action=action, operator="ann"))

    async def until(self, holds: Callable[[BridgeStatus], bool], seconds: float = 20.0) -> BridgeStatus:
        last: list[BridgeStatus] = []

        async def look() -> BridgeStatus:
            async for status in self.client.watch(20.0):
                last[:] = [status]
                if holds(status):
                    return status
            raise AssertionError("the watch ended")

        try:
            return await asyncio.wait_for(look(), seconds)
        except TimeoutError:
            seen = (last[0].mode, last[0].why, last[0].server_state, last[0].problems) if last else None
            raise AssertionError(f"not within {seconds:g} s; seen last: {seen}") from None

    async def prepare(self) -> BridgeStatus:
        setup = TrialSetup(
            trial_id="t",
            policy="stand-in",
            instruction="move down",
            start_pose="home",
            time_limit=600.0,
            record=True,
        )
        return await self.client.prepare(setup)

    async def arm(self) -> None:
        for attempt in range(TRIES):
            try:
                await self.prepare()
                await self.act("arm")
                return
            except BridgeUnavailable:
                if attempt == TRIES - 1:
                    raise
                await asyncio.sleep(0.2)

    async def run(self, *, moving: bool = True) -> BridgeStatus:
        """Start, and start again whenever a busy machine holds, until the policy moves the arm."""
        async for status in self.client.watch(10.0):
            if status.mode == "RUNNING" and (not moving or status.tcp_speed > SPEED / 2):
                return status
            assert status.mode in ("ARMED", "HOLDING", "RUNNING"), status.why
            if status.mode == "ARMED" or status.needs.startswith("start"):
                if status.hold_required and self.press_id == 0:
                    self.press_id = round(status.at * 1000)
                    continue
                try:
                    await self.act("start")
                except BridgeUnavailable:
                    await asyncio.sleep(0.2)  # something stands against it for a moment
            elif status.mode == "HOLDING" and status.needs.startswith("press"):
                self.press_id = round(status.at * 1000)
            elif status.mode == "HOLDING" and status.hold_required:
                self.press_id = 0
        raise AssertionError("the watch ended")

    async def start(self) -> BridgeStatus:
        await self.arm()
        await self.run()
        await asyncio.sleep(0.5)
        return await self.run()

    @asynccontextmanager
    async def key(self) -> AsyncIterator[None]:
        """A page that answers every nonce while `press_id` is not 0."""

        async def beat() -> None:
            async for state in stream:
                if self.is_listening:
                    held = self.press_id != 0
                    await stream.send(Heartbeat(nonce=state.nonce, press=self.press_id, held=held))

        async with self.client.hold_to_run() as stream:
            task = asyncio.ensure_future(beat())
            try:
                await asyncio.sleep(0.2)
                yield
            finally:
                task.cancel()


Scene = Callable[[BadTrial], Awaitable[None]]


def play(
    folder: Path,
    scene: Scene,
    *,
    server: str,
    through: str = "",
    changes: Sequence[Change] = (),
    arm: Sequence[str] = (),
) -> "Tape":
    """Run the scene on a bridge that asks `server`, by way of `through` where given."""
    recordings = folder / "recordings"
    bridge = InjectableBridge(write_rig(folder, server, changes), through or server, recordings, *arm)

    async def run() -> None:
        async with OperatorClient(bridge.address) as client:
            await scene(BadTrial(client, bridge))

    try:
        asyncio.run(run())
    finally:
        bridge.close()
        sys.stderr.write(bridge.log)  # shown where the test fails
    [path] = [path for path in recordings.iterdir() if ".mcap" in path.name]
    return Tape(read_recording(path, with_pictures=False))


class Tape:
    """What the bridge recorded of the trial."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.ticks = [t for t in recording.ticks if t.why != "bridge: stop"]  # it was asked to end
        assert len(self.ticks) > 10
        assert all(tick.sent.flange_pose.is_finite() for tick in self.ticks)

    def first(self, holds: Callable[[Tick], bool], since: float) -> Tick:
        return next(tick for tick in self.ticks if tick.at >= since and holds(tick))

    def largest_gap(self, since: float, until: float) -> float:
        """[s] between two ticks; what the machine adds to every reaction."""
        near = [(a, b) for a, b in pairwise(self.ticks) if b.at >= since and a.at <= until]
        return max(b.at - a.at for a, b in near)

    def expect_within(self, promise: float, since: float, holds: Callable[[Tick], bool]) -> Tick:
        """The first tick that is like this came as soon as promised [s], late ticks aside."""
        tick = self.first(holds, since)
        assert tick.at - since <= promise + 2 * self.largest_gap(since, tick.at)
        return tick

    def expect_rest_after(self, tick: Tick) -> None:
        """The commanded speed goes down from here on, for good: the arm stays where it stopped."""
        later = [t for t in self.ticks if t.at >= tick.at]
        rest = self.standstill(tick.at)
        braking = 0.25 / 2.0 + 2.0 / 40.0  # [s] v/a + a/j of the reduced profile, from its full speed
        assert rest - tick.at <= braking + 3 * self.largest_gap(tick.at, rest)
        speeds = [_distance(a, b) / (b.at - a.at) for a, b in pairwise(later) if b.at > a.at]
        assert all(speed <= 0.25 * 1.01 for speed in speeds)

    def standstill(self, since: float) -> float:
        """[s] when the last command that differed from the final one was sent, or `since`."""
        final = self.ticks[-1]
        moved = [t.at for t in self.ticks if t.at >= since and _distance(t, final) > 1e-6]
        return max(moved, default=since)

    def expect_no_stale_motion(self) -> None:
        """No tick ran on a chunk that ended longer ago than allowed, nor on an older one again."""
        newest = -1
        for tick in self.ticks:
            if tick.mode != "RUNNING":
                continue
            assert not LONGEST_CHUNK_AGE < tick.chunk_age < np.inf
            if tick.chunk_sequence != -1:
                assert tick.chunk_sequence >= newest
                newest = tick.chunk_sequence


def _distance(a: Tick, b: Tick) -> float:
    return float(np.linalg.norm(a.sent.flange_pose.position - b.sent.flange_pose.position))


def is_not_running(tick: Tick) -> bool:
    return tick.mode != "RUNNING"
