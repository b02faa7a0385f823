"""How quick and how strict the bridge is: filter, tick, time to hold per fault, time and way to stop.

python benchmarks/bridge.py [--quick] [--json FILE]

filter_*           `filter_action` alone, over the ticks of a trial on the mock rig, with the control thread's
                   priority; processor time
tick_*             a whole tick on the mock rig, all threads of the bridge running, without what its devices
                   take; time on the wall
tick_work_*        the same, the control thread's own processor time: what a quiet core would show
tick_with_mock_*   time on the wall with the mock's devices, whose kinematics a real arm computes elsewhere
hold_ms            per fault: milliseconds from the fault to the onset of deceleration, and the promise; for
                   the server's faults from the last valid target, as the promise has it
stop_ms_max        from the stop's arrival to a commanded velocity of zero, in motion at the profile's speed;
                   stop_ms_promised is two ticks for the decision, then v/a + a/j
stop_travel_mm     way of the TCP from the profile's full speed to rest, after a reaction of so many ms
random_ticks       of random abuse of the filter, and limit_violations in them
Each fault is injected in process on the mock arm while a policy drives it; promises are in the safety manual.
"""

import gc
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from filter import print_stop_table, stop_figures
from mock_trial import Trial, rig_with_key, started
from report import parser, report

from robot_bridge.commands import Command
from robot_bridge.control_thread import ask_for_realtime_priority
from robot_bridge.records import TickRecord
from robot_bridge.rig import Rig
from robot_bridge.rig_file import find_rig, load_rig
from robot_bridge.safety import filter_action
from robot_bridge.safety.soak import soak
from robot_contract.messages import OperatorEvent

TICK = 10.0  # [ms]
LONGEST_REST = 1.0  # [s]


Fault = tuple[str, float, Callable[[Trial], None], bool]  # name, promise [ms], injection, is the key held on?


def faults(rig: Rig) -> list[Fault]:
    camera = rig.cameras[0]
    picture = 1000 * (rig.camera_age_limit(camera) + 1 / camera.rate_hz)
    frozen = 1000 * ((camera.identical_frames + 1) / camera.rate_hz + camera.latency)
    return [
        ("server_killed", 100 + TICK, lambda t: setattr(t.policy, "is_gone", True), True),
        ("server_hangs", 100 + TICK, lambda t: setattr(t.policy, "is_silent", True), True),
        ("camera_silent", picture + TICK, lambda t: t.cell.faults.silent_cameras.add("wrist"), True),
        ("camera_frozen", frozen + TICK, lambda t: t.cell.faults.frozen_cameras.add("wrist"), True),
        ("arm_state_stale", 50 + 2 * TICK, lambda t: setattr(t.cell.faults, "state_frozen", True), True),
        ("arm_link_lost", 2 * TICK, lambda t: setattr(t.cell.faults, "link_down", True), True),
        ("arm_reflex", 2 * TICK, lambda t: t.cell.arm.trip("cartesian_reflex"), True),
        ("key_released", 2 * TICK, lambda t: t.release(), False),
        ("heartbeats_stop", 250 + 2 * TICK, lambda t: None, False),
        ("stop_pressed", 2 * TICK, press_stop, False),
    ]


def press_stop(trial: Trial) -> None:
    trial.bridge.loop.stops.put(
        Command(event="stop", operator=OperatorEvent(action="stop", operator="benchmark"))
    )


def hold_milliseconds(rig: Rig, fault: Fault, repeats: int) -> float:
    """The largest of a few."""
    name, _, inject, beating = fault
    found: list[float] = []
    for i in range(repeats):
        trial = started(rig, 0.9 + 0.137 * i)
        try:
            since = trial.cell.clock.now()
            inject(trial)
            record = trial.onset(since, beating=beating)
            valid_until = trial.last_valid_target(record) if name.startswith("server") else since
            found.append(1000 * (record.at - valid_until))
        finally:
            trial.close()
    return max(found)


def stop_milliseconds(rig: Rig, repeats: int) -> float:
    found: list[float] = []
    for i in range(repeats):
        trial = started(rig, 0.8 + 0.05 * i)
        try:
            since = trial.cell.clock.now()
            press_stop(trial)
            time.sleep(LONGEST_REST)
            rest = next(
                record.at
                for record in trial.tape.ticks
                if record.at > since and record.memory_after.is_at_rest()
            )
            found.append(1000 * (rest - since))
        finally:
            trial.close()
    return max(found)


class TickTimes:
    """Times every tick, and in it every call of a device; [s] on the wall and of the thread's own work."""

    def __init__(self, trial: Trial) -> None:
        self.whole: list[tuple[float, float]] = []
        self.devices: list[tuple[float, float]] = []
        self._now = [0.0, 0.0]  # of the devices in the present tick
        cell = trial.cell
        for device, names in (
            (cell.arm, ("read", "track")),
            (cell.gripper, ("read", "move")),
            *((camera, ("latest",)) for camera in cell.cameras.values()),
        ):
            for name in names:
                setattr(device, name, self._timed(getattr(device, name)))
        self._tick = trial.bridge.loop.tick
        trial.bridge.loop.tick = self._timed_tick  # type: ignore[method-assign]

    def _timed(self, call: Callable[..., object]) -> Callable[..., object]:
        def timed(*arguments: object) -> object:
            wall, work = time.perf_counter(), time.thread_time()
            try:
                return call(*arguments)
            finally:
                self._now[0] += time.perf_counter() - wall
                self._now[1] += time.thread_time() - work

        return timed

    def _timed_tick(self) -> None:
        self._now = [0.0, 0.0]
        wall, work = time.perf_counter(), time.thread_time()
        self._tick()
        self.whole.append((time.perf_counter() - wall, time.thread_time() - work))
        self.devices.append((self._now[0], self._now[1]))

    def figures(self) -> tuple[dict[str, object], dict[str, int]]:
        whole, devices = np.array(self.whole) * 1e3, np.array(self.devices) * 1e3
        without = whole - devices
        found: dict[str, object] = {}
        for name, values in (
            ("tick", without[:, 0]),
            ("tick_work", without[:, 1]),
            ("tick_with_mock", whole[:, 0]),
        ):
            found[f"{name}_p50_ms"] = float(np.quantile(values, 0.5))
            found[f"{name}_p99_ms"] = float(np.quantile(values, 0.99))
        return found, dict.fromkeys(found, len(whole))


def time_ticks(rig: Rig, seconds: float) -> tuple[TickTimes, list[TickRecord]]:
    trial = started(rig, 1.0)
    times = TickTimes(trial)
    time.sleep(seconds)
    trial.close()
    return times, trial.tape.ticks


def filter_seconds(rig: Rig, ticks: list[TickRecord]) -> list[float]:
    found: list[float] = []
    for record in ticks:
        began = time.thread_time()
        filter_action(
            record.state,
            record.proposed,
            rig.limits,
            record.memory_before,
            now=record.at,
            stopping=record.stopping,
        )
        found.append(time.thread_time() - began)
    return found


def main() -> None:
    arguments = parser(__doc__).parse_args()
    rig, with_key = load_rig(find_rig("mock")), rig_with_key()
    repeats, seconds, ticks = (2, 8.0, 5_000) if arguments.quick else (10, 60.0, 100_000)
    times, records = time_ticks(rig, seconds)
    figures, n = times.figures()
    gc.collect()
    gc.freeze()  # as the control thread does: the tape is not looked at again
    with ThreadPoolExecutor(max_workers=1, initializer=ask_for_realtime_priority) as control:
        filtered = control.submit(filter_seconds, rig, [r for r in records if r.mode == "RUNNING"]).result()
    for label, quantile in (("p50", 0.5), ("p99", 0.99)):
        figures[f"filter_{label}_ms"] = 1000 * float(np.quantile(filtered, quantile))
        n[f"filter_{label}_ms"] = len(filtered)
    held: dict[str, list[float]] = {}
    for fault in faults(rig):
        needs_key = fault[0] in ("key_released", "heartbeats_stop")
        held[fault[0]] = [hold_milliseconds(with_key if needs_key else rig, fault, repeats), fault[1]]
    figures["hold_ms"] = {name: [round(value, 1) for value in pair] for name, pair in held.items()}
    figures["hold_ms_max_over_promise"] = max(measured / promised for measured, promised in held.values())
    n["hold_ms"] = repeats
    figures["stop_ms_max"] = stop_milliseconds(rig, 2 * repeats)
    n["stop_ms_max"] = 2 * repeats
    profile = rig.limits.profile
    promised = 2 * TICK + 1000 * (profile.speed / profile.acceleration + profile.acceleration / profile.jerk)
    figures["stop_ms_promised"] = promised
    print_stop_table()
    figures["stop_travel_mm"] = stop_figures()["stop_travel_mm"]
    outcome = soak(ticks, seed=int(time.time()))
    figures["random_ticks"] = outcome.ticks
    figures["limit_violations"] = sum(outcome.violations.values())
    report(figures, n=n, packages=("numpy", "grpcio"), json_to=arguments.json)


if __name__ == "__main__":
    main()
