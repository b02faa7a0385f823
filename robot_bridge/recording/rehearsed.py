"""Trials of a policy without a model on the mock arm, in simulated time: for tests and benchmarks.

The real loop runs, and hands its records to whatever recorder it is given.
"""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

from robot_bridge.commands import Command, Preparation
from robot_bridge.direct_asking import DirectAsking
from robot_bridge.drivers.mock_cell import mock_cell
from robot_bridge.loop import ControlLoop
from robot_bridge.recording.recorder import TrialRecorder
from robot_bridge.records import Recorder
from robot_bridge.rehearsal import RehearsalPolicy, rehearsal_contract, small_circle
from robot_bridge.rig import Rig, SimulationRig
from robot_bridge.rig_file import find_rig, load_rig
from robot_bridge.trial import Trial
from robot_contract.messages import OperatorAction, OperatorEvent, TrialSetup

_LATENCY = 0.08  # [s] charged for a chunk


class RehearsedBridge:
    """A loop that is stepped by hand."""

    def __init__(self, recorder: Recorder, *, speed: float = 0.0) -> None:
        self.recorder = recorder
        self.rig = _stepped_mock()
        self._cell = mock_cell(self.rig)
        self._contract = rehearsal_contract(
            self.rig, execution="overlapped", execute_steps=4, trained_delay_steps=2
        )
        policy = RehearsalPolicy(self._contract, small_circle(self._contract))
        answers = DirectAsking(policy, _LATENCY)
        self.loop = ControlLoop(self.rig, self._cell.devices(), answers, recorder, name="rehearsed")
        self._speed = speed  # of simulated time against real time; 0 is as fast as it goes
        self.run(0.1)

    def run(self, seconds: float) -> None:
        """Of simulated time."""
        clock, period = self._cell.clock, self.rig.tick_period
        for _ in range(round(seconds / period)):
            began_at = time.monotonic()
            self.loop.tick()
            clock.sleep_until(clock.now() + period)
            if self._speed > 0.0:
                time.sleep(max(period / self._speed - (time.monotonic() - began_at), 0.0))

    def begin(self, trial_id: str, *, record: bool = True, instruction: str = "draw a circle") -> None:
        setup = TrialSetup(
            trial_id=trial_id,
            policy="rehearsal",
            instruction=instruction,
            start_pose="home",
            time_limit=60.0,
            record=record,
        )
        preparation = Preparation(trial=Trial(setup=setup, contract=self._contract, instruction=instruction))
        self.loop.commands.put(preparation)
        self.run(self.rig.tick_period)
        _expect_no(preparation.done.result(timeout=0))
        self.press("arm")
        self.press("start")

    def press(self, action: OperatorAction) -> None:
        command = Command(event=action, operator=OperatorEvent(action=action, operator="ann"))
        (self.loop.stops if action == "stop" else self.loop.commands).put(command)
        self.run(self.rig.tick_period)
        _expect_no(command.done.result(timeout=0))

    def end(self) -> None:
        """Disarm, and run until the arm stands."""
        self.press("disarm")
        self.run(0.5)


def record_trials(
    folder: Path, trial_ids: tuple[str, ...], *, seconds: float = 3.0, pause_at: float | None = None
) -> list[Path]:
    """Recorded trials of `seconds` each; `pause_at` puts one pause into each."""
    recorder = TrialRecorder(folder, free_space_floor=0)
    bridge = RehearsedBridge(recorder)
    for trial_id in trial_ids:
        bridge.begin(trial_id)
        if pause_at is not None:
            bridge.run(pause_at)
            bridge.press("pause")
            bridge.run(0.3)
            bridge.press("start")
        bridge.run(seconds - (pause_at or 0.0))
        bridge.end()
        wait_for(lambda: not recorder.status().active)
    recorder.close()
    return [folder / f"{trial_id}.mcap" for trial_id in trial_ids]


def _stepped_mock() -> Rig:
    rig = load_rig(find_rig("mock"))
    assert isinstance(rig.simulation, SimulationRig)
    stepped = dataclasses.replace(rig.simulation, clock="stepped", policy_latency=_LATENCY)
    return dataclasses.replace(rig, simulation=stepped)


def _expect_no(problem: str) -> None:
    if problem:
        raise RuntimeError(f"the rehearsed bridge refused: {problem}")


def wait_for(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            raise TimeoutError(f"it did not happen within {seconds:g} s")
        time.sleep(0.01)
