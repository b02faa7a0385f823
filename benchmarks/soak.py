"""Does the bridge stay as it was? Trial after trial with a stand-in policy; memory, descriptors, loop rate.

python benchmarks/soak.py [--quick] [--minutes M] [--rig mock|twin] [--camera-rate HZ] [--json FILE]

Each trial is prepared, armed, recorded, driven for some seconds, ended, and the arm moved back to its home.
soak_bridge_rss_mib, soak_recorder_rss_mib, soak_server_rss_mib   [early, late]: medians of the second and the
                                   last tenth of the soak
soak_bridge_fds, soak_bridge_threads, soak_server_fds             likewise, with the arm at home
soak_loop_rate_hz                  likewise, ticks per second
soak_bridge_growth_percent_per_h   of the bridge's resident memory, by a line through the later nine tenths
soak_recorder_growth_percent_per_h likewise
soak_ticks, soak_missed_ticks, soak_trials, soak_holdings, soak_faults   counted over all of it
soak_load                          [median, largest] load of the machine meanwhile, over one minute each
A rig's watchdogs are set to be patient and the policy takes late pictures, so that a busy machine ends fewer
trials early. Where it cannot draw the twin's pictures in time, --camera-rate asks for fewer of them; the age
that is accepted grows with their period.
"""

import asyncio
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from report import parser, report

from policy_server.server_process import ServerProcess
from robot_bridge.bridge_process import BridgeProcess
from robot_bridge.rig_file import find_rig, load_rig
from robot_contract.client import BlockingPolicyClient, OperatorClient
from robot_contract.errors import BridgeUnavailable
from robot_contract.messages import BridgeStatus, JointGoal, OperatorAction, OperatorEvent, TrialSetup

TRIAL_SECONDS = 20.0
TRIES = 300  # to arm on a machine that is too busy for a while
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, kw_only=True)
class Sample:
    at: float  # [s] bridge clock
    ticks: int
    bridge_rss: float  # [MiB]
    recorder_rss: float  # [MiB]
    server_rss: float  # [MiB]
    bridge_fds: int
    bridge_threads: int
    server_fds: int
    load: float  # of the machine, over one minute


@dataclass(kw_only=True)
class Diary:
    samples: list[Sample] = field(default_factory=list)
    trials: int = 0
    holdings: int = 0
    faults: int = 0


def resident(pid: int) -> float:
    """[MiB]"""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / 2**20


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(word) for path in found for word in path.read_text().split()]


def soak_rig(name: str, server: str, folder: Path, camera_rate: float | None) -> Path:
    """The shipped rig with the stand-in's tool, and watchdogs for a busy machine."""
    with BlockingPolicyClient(server) as client:
        tool = client.get_contract("stand-in").flange_from_tcp
    text, shipped = find_rig(name).read_text(), load_rig(find_rig(name))
    rate = shipped.cameras[0].rate_hz
    for old, new in (
        (f"rate_hz: {rate:g}", f"rate_hz: {camera_rate or rate:g}"),
        ("camera_margin: 0.03", "camera_margin: 0.2"),
        ("missed_ticks: 10 ", "missed_ticks: 100 "),
        ("deadline: 2.0", "deadline: 10.0"),
        ("  profile: reduced", "  arm_age: 0.1\n  profile: reduced"),
        (
            f"quaternion: {shipped.flange_from_tcp.quaternion.tolist()}",
            f"quaternion: {tool.quaternion.tolist()}",
        ),
        (f"position: {shipped.flange_from_tcp.position.tolist()}", f"position: {tool.position.tolist()}"),
    ):
        if old not in text:
            raise RuntimeError(f"rig {name} has no {old!r}")
        text = text.replace(old, new)
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return path


class Operator:
    """Runs trials and looks at the processes between them."""

    def __init__(self, client: OperatorClient, bridge: int, server: int, diary: Diary) -> None:
        self._client, self._bridge, self._server, self._diary = client, bridge, server, diary

    async def press(self, action: OperatorAction) -> BridgeStatus:
        return await self._client.send(OperatorEvent(action=action, operator="soak"))

    async def watch(self, seconds: float, is_over: Callable[[BridgeStatus], bool]) -> BridgeStatus:
        """Resume what holds, until it is over or the time is."""
        until, status = time.monotonic() + seconds, None
        async for status in self._client.watch(5.0):
            if is_over(status) or time.monotonic() > until:
                break
            if status.mode == "HOLDING" and status.needs.startswith("start"):
                self._diary.holdings += 1
                try:
                    await self.press("start")
                except BridgeUnavailable:
                    await asyncio.sleep(0.5)
        if status is None:
            raise RuntimeError("the bridge ended the watch")
        return status

    async def arm(self, setup: TrialSetup) -> None:
        for attempt in range(TRIES):
            try:
                await self._client.prepare(setup)
                await self.press("arm")
                return
            except BridgeUnavailable as error:
                if attempt == TRIES - 1:
                    raise
                print(f"once more: {error}", flush=True)
                await asyncio.sleep(1.0)

    async def press_patiently(self, action: OperatorAction) -> BridgeStatus:
        """A busy machine's pictures may be too old for a moment."""
        for _ in range(TRIES):
            try:
                return await self.press(action)
            except BridgeUnavailable as error:
                print(f"once more: {error}", flush=True)
                await asyncio.sleep(1.0)
        return await self.press(action)

    async def clear(self, why: str) -> None:
        """After a fault: look at it, clear it, go on. It is counted."""
        print(f"fault: {why}", flush=True)
        self._diary.faults += 1
        await asyncio.sleep(1.0)
        await self.press_patiently("clear")

    async def trial(self, number: int) -> None:
        setup = TrialSetup(
            trial_id=f"soak-{number}",
            policy="stand-in",
            instruction="move down",
            start_pose="home",
            time_limit=TRIAL_SECONDS,
            record=True,
        )
        await self.arm(setup)
        await self.press_patiently("start")
        status = await self.watch(3 * TRIAL_SECONDS, lambda s: s.mode in ("ARMED", "IDLE", "FAULT"))
        if status.mode == "FAULT":
            await self.clear(f"trial {number}: {status.why}")
        if status.mode != "ARMED":
            await self.press("disarm")
            await self.press_patiently("arm")
        async for status in self._client.move_to(JointGoal(name="home")):
            if status.mode == "HOLDING":
                break
        await self.press("disarm")
        self._diary.trials += 1

    async def sample(self) -> None:
        await asyncio.sleep(1.0)  # the recorder ends its file
        status = await self.watch(1.0, lambda s: True)
        self._diary.samples.append(
            Sample(
                at=status.at,
                ticks=status.ticks,
                bridge_rss=resident(self._bridge),
                recorder_rss=sum(resident(pid) for pid in children(self._bridge)),
                server_rss=resident(self._server),
                bridge_fds=descriptors(self._bridge),
                bridge_threads=threads(self._bridge),
                server_fds=descriptors(self._server),
                load=os.getloadavg()[0],
            )
        )


def soak(minutes: float, rig: str, camera_rate: float | None = None) -> tuple[Diary, BridgeStatus]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        policy = folder / "stand-in.json"
        policy.write_text(json.dumps({"mark_mm": -0.3, "chunk_length": 16, "delay_steps": 6}))
        arguments = ["--stand-in", "--checkpoints", f"stand-in={policy}"]
        with ServerProcess(arguments) as server:
            path = soak_rig(rig, server.address, folder, camera_rate)
            recordings = folder / "recordings"
            with BridgeProcess(
                [
                    *("--rig", str(path), "--policy-server", server.address),
                    *("--recordings", str(recordings), "--log-level", "warning"),
                ]
            ) as bridge:
                return asyncio.run(_trials(bridge, server.pid, recordings, minutes))


async def _trials(
    bridge: BridgeProcess, server_pid: int, recordings: Path, minutes: float
) -> tuple[Diary, BridgeStatus]:
    diary = Diary()
    async with OperatorClient(bridge.address) as client:
        operator = Operator(client, bridge.pid, server_pid, diary)
        ends_at = time.monotonic() + 60.0 * minutes
        while time.monotonic() < ends_at or len(diary.samples) < 3:
            await operator.trial(diary.trials)
            await operator.sample()
            newest = diary.samples[-1]
            print(
                f"trial {diary.trials}: {newest.bridge_rss:.1f} and {newest.recorder_rss:.1f} MiB,"
                f" {newest.bridge_fds} descriptors, {newest.ticks} ticks, load {newest.load:.1f}",
                flush=True,
            )
            shutil.rmtree(recordings)
        return diary, await operator.watch(1.0, lambda s: True)


def early_and_late(values: list[float]) -> list[float]:
    """Medians of the second tenth and of the last one."""
    tenth = max(1, len(values) // 10)
    early = values[tenth : 2 * tenth] or values[:1]
    return [round(float(np.median(part)), 2) for part in (early, values[-tenth:])]


def growth_percent_per_hour(at: list[float], values: list[float]) -> float:
    """By a line through the later nine tenths; `at` in [s]."""
    first = max(1, len(values) // 10)
    slope = np.polyfit(np.array(at[first:]) / 3600, values[first:], 1)[0]
    return float(100 * slope / values[first])


def figures_of(diary: Diary, last: BridgeStatus) -> dict[str, object]:
    samples = diary.samples
    at = [s.at for s in samples]
    rates = [(b.ticks - a.ticks) / (b.at - a.at) for a, b in pairwise(samples)]
    loads = [s.load for s in samples]
    return {
        "soak_minutes": round((samples[-1].at - samples[0].at) / 60, 1),
        "soak_bridge_rss_mib": early_and_late([s.bridge_rss for s in samples]),
        "soak_recorder_rss_mib": early_and_late([s.recorder_rss for s in samples]),
        "soak_server_rss_mib": early_and_late([s.server_rss for s in samples]),
        "soak_bridge_growth_percent_per_h": growth_percent_per_hour(at, [s.bridge_rss for s in samples]),
        "soak_recorder_growth_percent_per_h": growth_percent_per_hour(at, [s.recorder_rss for s in samples]),
        "soak_bridge_fds": early_and_late([s.bridge_fds for s in samples]),
        "soak_bridge_threads": early_and_late([s.bridge_threads for s in samples]),
        "soak_server_fds": early_and_late([s.server_fds for s in samples]),
        "soak_loop_rate_hz": early_and_late(rates),
        "soak_ticks": last.ticks,
        "soak_missed_ticks": last.missed_ticks,
        "soak_trials": diary.trials,
        "soak_holdings": diary.holdings,
        "soak_faults": diary.faults,
        "soak_load": [round(float(np.median(loads)), 2), round(max(loads), 2)],
    }


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--minutes", type=float, help="30, or 2 with --quick")
    arguments.add_argument("--rig", default="mock", choices=("mock", "twin"))
    arguments.add_argument("--camera-rate", type=float, metavar="HZ", help="instead of the rig's own")
    chosen = arguments.parse_args()
    minutes = chosen.minutes or (2.0 if chosen.quick else 30.0)
    diary, last = soak(minutes, chosen.rig, chosen.camera_rate)
    figures = figures_of(diary, last)
    n = dict.fromkeys((name for name in figures if name.endswith(("mib", "fds", "hz"))), len(diary.samples))
    report(figures, n=n, packages=("numpy", "grpcio"), json_to=chosen.json)


if __name__ == "__main__":
    main()
