"""Every watchdog changes what happens: a number in the rig file that nothing reads would fail here."""

import dataclasses
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from robot_bridge.commands import Command, Preparation
from robot_bridge.direct_asking import DirectAsking
from robot_bridge.drivers.mock_cell import mock_cell
from robot_bridge.loop import ControlLoop
from robot_bridge.modes import Event, State
from robot_bridge.records import NoRecorder
from robot_bridge.rehearsal import RehearsalPolicy, rehearsal_contract, small_circle
from robot_bridge.rig import Rig, WatchdogRig
from robot_bridge.rig_file import find_rig, load_rig
from robot_bridge.trial import Trial
from robot_bridge.watchdogs import camera_problems, chunk_problem, tick_problem, trace_frame
from robot_contract.messages import OperatorEvent, TrialSetup

RIG = load_rig(find_rig("mock"))
TICK = 0.01  # [s]


class Bench:
    """The loop on the mock arm in simulated time, with a policy in process."""

    def __init__(self, rig: Rig) -> None:
        assert rig.simulation is not None
        stepped = dataclasses.replace(rig.simulation, clock="stepped", policy_latency=0.05)
        self.rig = dataclasses.replace(rig, simulation=stepped)
        self.cell = mock_cell(self.rig)
        self.contract = rehearsal_contract(self.rig)
        self.policy = RehearsalPolicy(self.contract, small_circle(self.contract))
        answers = DirectAsking(self.policy, 0.05)
        self.loop = ControlLoop(self.rig, self.cell.devices(), answers, NoRecorder(), name="bench")

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> float:
        began = self.cell.clock.now()
        while self.cell.clock.now() - began < seconds and not until():
            self.loop.tick()
            self.cell.clock.sleep_until(self.cell.clock.now() + TICK)
        return self.cell.clock.now() - began

    def start(self) -> None:
        setup = TrialSetup(
            trial_id="t",
            policy="rehearsal",
            instruction="move",
            start_pose="home",
            time_limit=60.0,
            record=False,
        )
        self.run(0.1)
        self.loop.commands.put(
            Preparation(trial=Trial(setup=setup, contract=self.contract, instruction="move"))
        )
        self.run(TICK)
        for event in ("arm", "start"):
            self.press(event)  # type: ignore[arg-type]

    def press(self, event: Event) -> None:
        operator = OperatorEvent(action=event, operator="ann")  # type: ignore[arg-type]
        self.loop.commands.put(Command(event=event, operator=operator))
        self.run(TICK)

    def is_running(self) -> bool:
        return self.loop.modes.state is State.RUNNING


def with_watchdog(name: str, value: float) -> Rig:
    return dataclasses.replace(RIG, watchdogs=dataclasses.replace(RIG.watchdogs, **{name: value}))


def of_an_old_picture(rig: Rig) -> Any:
    frame = mock_cell(rig).cameras["wrist"].latest()
    assert frame is not None
    traces = {"wrist": trace_frame(None, frame)}
    return camera_problems(rig, [rig.camera("wrist")], traces, frame.exposed_at + 0.15) == []


def of_a_chunk_that_ended(rig: Rig) -> Any:
    contract = rehearsal_contract(rig, execution="overlapped", execute_steps=4, trained_delay_steps=2)
    return chunk_problem(rig, contract, chunk_age=0.08, starving=0.08) == ""


def of_a_long_hold(rig: Rig) -> Any:
    bench = Bench(rig)
    bench.start()
    bench.run(1.0)
    bench.cell.faults.state_frozen = True
    return bench.run(2.0, lambda: not bench.is_running()) > 0.3


def of_pressing_on_the_table(rig: Rig) -> Any:
    bench = Bench(rig)
    down = np.zeros((8, 7))
    down[:, 2] = -0.015
    bench.policy.script = lambda observation: down
    bench.start()
    return bench.run(30.0, lambda: not bench.is_running())


WATCHED: dict[str, tuple[Callable[[Rig], Any], float, float]] = {
    "camera_margin": (of_an_old_picture, 0.03, 0.1),
    "chunk": (of_a_chunk_that_ended, 0.05, 0.1),
    "longest_hold": (of_a_long_hold, 0.1, 0.4),
    "longest_clamp": (of_pressing_on_the_table, 0.5, 2.0),
    "missed_ticks": (lambda rig: tick_problem(rig, missed_in_a_row=8) == "", 5, 10),
}


def test_every_watchdog_is_in_this_table() -> None:
    assert set(WATCHED) == {field.name for field in fields(WatchdogRig)}


@pytest.mark.parametrize("name", WATCHED)
def test_every_watchdog_changes_what_happens(name: str) -> None:
    outcome, strict, patient = WATCHED[name]
    assert outcome(with_watchdog(name, strict)) != outcome(with_watchdog(name, patient))


def test_frozen_pictures_are_counted_as_the_rig_says() -> None:
    trace = dataclasses.replace(
        trace_frame(None, mock_cell(RIG).cameras["wrist"].latest()),  # type: ignore[arg-type]
        repeats=5,
    )
    for accepted, problems in ((4, 1), (8, 0)):
        camera = dataclasses.replace(RIG.camera("wrist"), identical_frames=accepted)
        assert len(camera_problems(RIG, [camera], {"wrist": trace}, trace.exposed_at)) == problems
