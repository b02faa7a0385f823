"""The whole loop on the stepped clock: what it does when something is missing, and what it never does."""

import ast
import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import robot_bridge
from robot_bridge.commands import Command, Preparation
from robot_bridge.direct_asking import DirectAsking
from robot_bridge.drivers.mock_cell import mock_cell
from robot_bridge.loop import ControlLoop
from robot_bridge.modes import Event, State
from robot_bridge.records import (
    ChunkRecord,
    EventRecord,
    NoRecorder,
    Record,
    TickRecord,
    TrialBegins,
    TrialEnds,
)
from robot_bridge.rehearsal import RehearsalPolicy, rehearsal_contract, small_circle, with_other_weights
from robot_bridge.rig import Rig
from robot_bridge.rig_file import find_rig, load_rig
from robot_bridge.safety import Memory, RobotState, filter_action
from robot_bridge.trial import Trial
from robot_contract.messages import Heartbeat, OperatorEvent, TrialSetup
from robot_contract.pose import distance_between

MOCK = load_rig(find_rig("mock"))
TICK = 0.01  # [s]
LATENCY = 0.08  # [s] charged for a chunk


class Notebook(NoRecorder):
    def __init__(self) -> None:
        self.records: list[Record] = []

    def write(self, record: Record) -> None:
        self.records.append(record)

    @property
    def ticks(self) -> list[TickRecord]:
        return [record for record in self.records if isinstance(record, TickRecord)]


class Bench:
    """A loop on the mock arm, a policy in process, and simulated time."""

    def __init__(
        self,
        *,
        hold_to_run: bool = False,
        latency: float = LATENCY,
        time_limit: float = 60.0,
        **contract: object,
    ) -> None:
        assert MOCK.simulation is not None
        stepped = dataclasses.replace(MOCK.simulation, clock="stepped", policy_latency=latency)
        self.rig: Rig = dataclasses.replace(MOCK, simulation=stepped)
        self.cell = mock_cell(self.rig)
        if hold_to_run:  # a stepped clock has no key; a test may still give it one
            object.__setattr__(self.rig, "hold_to_run", True)
        self.contract = rehearsal_contract(self.rig, **contract)  # type: ignore[arg-type]
        self.policy = RehearsalPolicy(self.contract, small_circle(self.contract))
        self.answers = DirectAsking(self.policy, latency)
        self.notes = Notebook()
        self.loop = ControlLoop(self.rig, self.cell.devices(), self.answers, self.notes, name="bench")
        self.time_limit = time_limit
        self.run(0.1)

    def run(self, seconds: float) -> None:
        clock = self.cell.clock
        for _ in range(round(seconds / TICK)):
            self.loop.tick()
            clock.sleep_until(clock.now() + TICK)

    def prepare(self, name: str = "t") -> None:
        setup = TrialSetup(
            trial_id=name,
            policy="rehearsal",
            instruction="draw a circle",
            start_pose="home",
            time_limit=self.time_limit,
            record=False,
        )
        preparation = Preparation(
            trial=Trial(setup=setup, contract=self.contract, instruction="draw a circle")
        )
        self.loop.commands.put(preparation)
        self.run(TICK)
        assert preparation.done.result(timeout=0) == ""

    def press(self, event: Event, goal: tuple[float, ...] = ()) -> str:
        action = "start" if event == "move" else event
        command = Command(
            event=event,
            operator=OperatorEvent(action=action, operator="ann"),  # type: ignore[arg-type]
            goal=goal,
        )
        (self.loop.stops if event == "stop" else self.loop.commands).put(command)
        self.run(TICK)
        return command.done.result(timeout=0)

    def start(self) -> "Bench":
        self.prepare()
        assert self.press("arm") == ""
        assert self.press("start") == ""
        return self

    @property
    def state(self) -> State:
        return self.loop.modes.state

    @property
    def why(self) -> str:
        return self.loop.modes.why

    def sent_speed(self) -> float:
        """[m/s] of the newest command."""
        a, b = self.notes.ticks[-2:]
        return distance_between(a.sent.flange_pose, b.sent.flange_pose) / (b.at - a.at)

    def run_until(self, holds: Callable[[], bool], seconds: float = 5.0) -> float:
        started = self.cell.clock.now()
        while not holds():
            assert self.cell.clock.now() - started < seconds, self.why
            self.run(TICK)
        return self.cell.clock.now() - started


def test_trial_runs_and_ends_at_its_limit() -> None:
    bench = Bench(time_limit=3.0).start()
    bench.run(2.0)
    assert bench.state is State.RUNNING
    assert bench.sent_speed() > 0.02
    bench.run(1.5)
    assert bench.state is State.ARMED
    assert bench.why == "the time limit of 3 s is reached"
    assert bench.sent_speed() == 0.0
    begins = [record for record in bench.notes.records if isinstance(record, TrialBegins)]
    ends = [record for record in bench.notes.records if isinstance(record, TrialEnds)]
    assert [record.setup.trial_id for record in begins] == ["t"]
    assert [sum(record.verdict_counts.values()) for record in ends] == [pytest.approx(300, abs=2)]
    assert bench.press("start") == "this trial has ended; prepare the next one"


@pytest.mark.parametrize("reference", ["commanded_chain", "measured_each_step"])
@pytest.mark.parametrize("execution", ["synchronous", "overlapped"])
def test_every_semantics_drives_the_arm(reference: str, execution: str) -> None:
    shape = {"execute_steps": 4, "trained_delay_steps": 2} if execution == "overlapped" else {}
    bench = Bench(reference=reference, execution=execution, **shape).start()
    bench.run(3.0)
    assert bench.state is State.RUNNING
    used = [
        record for record in bench.notes.records if isinstance(record, ChunkRecord) and not record.refusal
    ]
    assert len(used) >= 3
    assert {record.chunk_step for record in bench.notes.ticks[-150:]} >= {2, 3}
    path = [record.sent.flange_pose.position for record in bench.notes.ticks]
    assert np.ptp(np.array(path), axis=0)[:2].min() > 0.01


def test_synchronous_chunks_end_where_their_deltas_add_up_to() -> None:
    """Through filter, jerk limits and all: the displacement is that of the deltas, each of them once."""
    bench = Bench(chunk_length=4, execute_steps=3)
    step = np.zeros((4, 7))
    step[:, 0], step[:, 1] = 0.006, -0.004
    bench.policy.script = lambda observation: step
    before = bench.cell.arm.read().flange_pose
    bench.start()
    bench.run_until(lambda: len(bench.policy.asked) == 5, 20.0)
    used = 4 * 3  # the fifth question is asked when four chunks have been carried out
    moved = bench.notes.ticks[-1].sent.flange_pose.position - before.position
    assert moved == pytest.approx(np.array([0.006 * used, -0.004 * used, 0.0]), abs=0.0006)


def test_released_key_holds_and_a_new_press_resumes_with_a_new_session() -> None:
    bench = Bench(hold_to_run=True)
    hold = bench.loop.conduct.hold_to_run

    def beat(press: int, seconds: float) -> None:
        for _ in range(round(seconds / TICK)):
            now = bench.cell.clock.now()
            hold.beat(Heartbeat(nonce=hold.issue(now).nonce, press=press, held=press != 0), now)
            bench.run(TICK)

    beat(1, 0.05)
    bench.prepare()
    bench.press("arm")
    beat(1, 0.05)
    bench.press("start")
    beat(1, 1.0)
    assert bench.state is State.RUNNING
    sessions = {bench.notes.ticks[-1].session}
    seconds = bench.run_until(lambda: bench.state is State.HOLDING_FOR_PRESS)
    assert seconds <= 0.25 + 2 * TICK, "the heartbeats simply stop"
    bench.run(0.5)
    assert bench.sent_speed() == 0.0
    beat(1, 0.2)
    assert bench.state is State.HOLDING_FOR_PRESS, "a lost press stays lost"
    beat(2, 0.1)
    assert bench.state is State.RUNNING
    sessions.add(bench.notes.ticks[-1].session)
    assert len(sessions) == 2
    beat(0, TICK)
    assert bench.state is State.HOLDING_FOR_PRESS, "a release counts at once"


def test_start_without_the_key_waits_for_it() -> None:
    bench = Bench(hold_to_run=True)
    bench.start()
    bench.run(1.0)
    assert bench.state is State.HOLDING_FOR_PRESS
    assert bench.sent_speed() == 0.0


def test_silent_server_ends_in_holding_and_start_resumes() -> None:
    """The anti-pattern of a swallowed RPC error: a dead server must not look like a policy that stands."""
    bench = Bench().start()
    bench.run(1.0)
    bench.policy.is_gone = True
    bench.run_until(lambda: bench.state is State.HOLDING_FOR_START, 6.0)
    assert "no usable chunk" in bench.why
    assert "it is gone" in bench.why
    assert "it is gone" in bench.answers.state
    bench.run(0.5)
    assert bench.sent_speed() == 0.0
    bench.policy.is_gone = False
    assert bench.press("start") == ""
    bench.run(1.0)
    assert bench.state is State.RUNNING
    assert bench.sent_speed() > 0.0


def test_overlapped_policy_holds_100_ms_after_the_last_valid_target() -> None:
    bench = Bench(execution="overlapped", execute_steps=4, trained_delay_steps=2).start()
    bench.run(1.5)
    bench.policy.is_gone = True
    bench.run_until(lambda: bench.state is not State.RUNNING)
    ages = [record.chunk_age for record in bench.notes.ticks if record.mode == "RUNNING"]
    bench.run(TICK)
    assert bench.state is State.HOLDING_FOR_START
    assert "past and no newer chunk has come" in bench.why
    assert 0.1 - 2 * TICK <= ages[-1] <= 0.1 + TICK


def test_other_weights_under_the_same_name_are_refused() -> None:
    bench = Bench().start()
    bench.run(1.0)
    bench.policy.contract = with_other_weights(bench.contract)
    bench.run_until(lambda: bench.state is not State.RUNNING, 6.0)
    assert "another policy" in bench.why


def test_late_chunks_of_a_session_that_ended_are_foreign() -> None:
    """A chunk asked for before a pause must not be executed after it."""
    bench = Bench(latency=0.4).start()
    bench.run(0.2)
    assert bench.press("pause") == ""
    assert bench.press("start") == ""
    asked = len(bench.policy.asked)
    bench.run(0.3)
    assert all(record.chunk_sequence == -1 for record in bench.notes.ticks[-25:])
    bench.run(0.5)
    sequences = {record.chunk_sequence for record in bench.notes.ticks[-20:]}
    assert sequences == {bench.policy.asked[asked].sequence if asked < len(bench.policy.asked) else asked}


@pytest.mark.parametrize(
    ("inject", "words"),
    [
        (lambda bench: setattr(bench.cell.faults, "link_down", True), "does not answer"),
        (lambda bench: bench.cell.arm.trip("cartesian_reflex"), "cartesian_reflex"),
        (lambda bench: setattr(bench.cell.faults, "joint_nan", True), "not finite"),
        (lambda bench: bench.press("stop"), "ann: stop"),
    ],
)
def test_faults_latch_and_name_themselves(inject: Callable[[Bench], object], words: str) -> None:
    bench = Bench().start()
    bench.run(1.0)
    inject(bench)
    bench.run(TICK)
    assert bench.state is State.FAULT
    assert words in bench.why
    bench.run(3.0)
    assert bench.state is State.FAULT, "nothing clears it but a person"
    for event in ("arm", "start", "disarm", "pause"):
        assert "not possible in FAULT" in bench.press(event)  # type: ignore[arg-type]


def test_clear_is_refused_before_the_cool_down_and_while_the_arm_does_not_recover() -> None:
    bench = Bench().start()
    bench.run(0.5)
    bench.press("stop")
    bench.run(0.3)
    assert "0.5 s after the newest fault" in bench.press("clear")
    bench.run(0.5)
    bench.cell.faults.link_down = True
    bench.run(TICK)
    bench.run(1.0)
    assert "does not recover" in bench.press("clear")
    bench.cell.faults.link_down = False
    bench.run(0.6)
    assert bench.press("clear") == ""
    bench.run(0.5)
    assert bench.state is State.IDLE, "and the old report of the arm does not count against it"


def test_no_fault_is_cleared_before_a_command() -> None:
    """The anti-pattern: recovery before every command pushes again within one step."""
    bench = Bench().start()
    recovered: list[float] = []
    recover = bench.cell.arm.recover
    bench.cell.arm.recover = lambda: (recovered.append(bench.cell.clock.now()), recover())[1]  # type: ignore[method-assign]
    bench.run(0.5)
    tracked = bench.cell.arm.tracked
    bench.cell.arm.trip("cartesian_reflex")
    bench.run(2.0)
    assert recovered == []
    assert bench.cell.arm.tracked <= tracked + 1
    bench.press("clear")
    assert len(recovered) == 1


def test_stop_decelerates_along_the_path_and_goes_nowhere_else() -> None:
    bench = Bench()
    straight = np.zeros((8, 7))
    straight[:, 1] = 0.015
    bench.policy.script = lambda observation: straight
    bench.start()
    bench.run_until(lambda: len(bench.notes.ticks) > 20 and bench.sent_speed() > 0.1)
    start = bench.notes.ticks[-1].sent.flange_pose.position
    assert bench.press("stop") == ""
    seconds = bench.run_until(lambda: bench.loop.is_at_rest)
    profile = bench.rig.limits.profile
    assert seconds <= 0.25 / profile.acceleration + profile.acceleration / profile.jerk + 3 * TICK
    ticks = bench.notes.ticks
    path = np.array([record.sent.flange_pose.position for record in ticks[-round(seconds / TICK) :]]) - start
    assert (np.diff(path[:, 1]) >= -1e-9).all(), "it never goes back"
    assert np.abs(path[:, [0, 2]]).max() < 1e-4, "nor aside"
    bench.run(0.2)
    tracked, last = bench.cell.arm.tracked, bench.cell.arm.last_target
    bench.run(2.0)
    assert bench.cell.arm.tracked == tracked, "and then the arm is left alone"
    assert bench.cell.arm.last_target is last
    assert bench.cell.arm.read().fault == "stopped_by_command"


@pytest.mark.parametrize(
    ("fault", "words"), [("silent_cameras", "its picture is"), ("frozen_cameras", "equal pictures")]
)
def test_missing_pictures_hold_and_then_need_the_operator(fault: str, words: str) -> None:
    """Cameras are watched on the real clock; here the same rules, on a rig whose stepped flag is hidden."""
    bench = Bench()
    assert bench.rig.simulation is not None
    object.__setattr__(bench.rig, "simulation", dataclasses.replace(bench.rig.simulation, clock="real"))
    bench.start()
    bench.run(1.0)
    getattr(bench.cell.faults, fault).add("wrist")
    bench.run_until(lambda: bench.notes.ticks[-1].verdict.kind == "HOLD")
    assert bench.state is State.RUNNING, "a HOLD may clear by itself"
    snapshot = bench.loop.snapshot.peek()
    assert snapshot is not None
    assert words in snapshot.missing, "and the operator sees at once why"
    bench.run_until(lambda: bench.state is State.HOLDING_FOR_START)
    assert words in bench.why
    getattr(bench.cell.faults, fault).clear()
    bench.run(1.0)
    assert bench.state is State.HOLDING_FOR_START, "not by itself any more"
    assert bench.press("start") == ""
    bench.run(0.5)
    assert bench.state is State.RUNNING


def test_frozen_arm_state_holds() -> None:
    bench = Bench().start()
    bench.run(1.0)
    bench.cell.faults.state_frozen = True
    bench.run(0.05 + 2 * TICK)
    assert bench.notes.ticks[-1].verdict.kind == "HOLD"
    bench.run(0.6)
    assert bench.state is State.HOLDING_FOR_START
    assert "old" in bench.why


def test_missed_ticks_hold() -> None:
    bench = Bench().start()
    bench.run(1.0)
    bench.loop.missed_in_a_row = 11
    bench.run(2 * TICK)
    assert bench.state is State.HOLDING_FOR_START
    assert bench.why == "the control thread missed 11 ticks in a row"


def test_pressing_on_a_wall_ends_in_a_fault() -> None:
    bench = Bench()
    down = np.zeros((8, 7))
    down[:, 2] = -0.015
    bench.policy.script = lambda observation: down
    bench.start()
    bench.run_until(lambda: bench.state is State.FAULT, 30.0)
    assert "pressed against a limit for more than 5 s" in bench.why
    tips = [point.position[2] for point in bench.rig.limits.tool_points]
    lowest = bench.notes.ticks[-1].sent.flange_pose.position[2] - max(tips)
    assert lowest >= bench.rig.limits.table_height - 1e-6


def test_move_goes_to_its_pose_and_stops_there() -> None:
    bench = Bench()
    bench.press("arm")
    assert bench.press("move", bench.rig.pose("ready")) == ""
    bench.run_until(lambda: bench.state is not State.RUNNING, 20.0)
    assert bench.state is State.ARMED
    assert bench.why == "the arm has arrived"
    assert not any(record.verdict.kind == "STOP" for record in bench.notes.ticks)


def test_gripper_moves_only_while_running_and_once_per_change() -> None:
    bench = Bench()
    closing = np.zeros((8, 7))
    bench.policy.script = lambda observation: closing
    bench.prepare()
    bench.press("arm")
    bench.run(0.5)
    assert bench.cell.gripper.moves == 0
    bench.press("start")
    bench.run(2.0)
    assert bench.cell.gripper.moves == 2, "opened at the start, closed once"
    assert bench.cell.gripper.read().width == pytest.approx(0.0)


def test_dry_run_moves_nothing() -> None:
    bench = Bench()
    bench.loop = ControlLoop(
        bench.rig, bench.cell.devices(), bench.answers, bench.notes, name="dry", dry_run=True
    )
    straight = np.zeros((8, 7))
    straight[:, 1] = 0.01
    bench.policy.script = lambda observation: straight
    bench.run(0.1)
    bench.start()
    bench.run(8.0)
    assert bench.state is State.RUNNING, "though the arm stays behind for good"
    assert bench.cell.arm.tracked == 0
    assert bench.cell.gripper.moves == 0
    assert any(record.proposed is not None for record in bench.notes.ticks)


def test_recorded_ticks_can_be_judged_again() -> None:
    bench = Bench().start()
    bench.run(1.5)
    bench.press("stop")
    bench.run(0.5)
    for record in bench.notes.ticks:
        target, verdict, memory = filter_action(
            record.state,
            record.proposed,
            bench.rig.limits,
            record.memory_before,
            now=record.at,
            stopping=record.stopping,
        )
        assert verdict == record.verdict
        assert target.flange_pose == record.sent.flange_pose
        assert isinstance(memory, Memory)
        assert isinstance(record.state, RobotState)


def test_stepped_runs_are_the_same_bit_for_bit() -> None:
    def run() -> list[bytes]:
        bench = Bench(execution="overlapped", execute_steps=4, trained_delay_steps=2).start()
        bench.run(1.5)
        return [record.sent.flange_pose.position.tobytes() for record in bench.notes.ticks]

    assert run() == run()


def test_refused_events_are_recorded_too() -> None:
    bench = Bench()
    assert bench.press("start") != ""
    event = next(record for record in bench.notes.records if isinstance(record, EventRecord))
    assert "start is not possible in IDLE" in event.refusal
    assert (event.mode_before, event.mode_after) == ("IDLE", "IDLE")


events = st.sampled_from(
    ["arm", "disarm", "start", "pause", "stop", "clear", "release", "gone", "back", "reflex"]
)


@settings(max_examples=12, deadline=None)
@given(steps=st.lists(st.tuples(events, st.integers(1, 40)), min_size=5, max_size=20))
def test_nothing_moves_unless_running_or_braking(steps: list[tuple[str, int]]) -> None:
    """Over any history: outside RUNNING the commanded speed only falls."""
    bench = Bench()
    bench.prepare()
    for event, ticks in steps:
        match event:
            case "gone" | "back":
                bench.policy.is_gone = event == "gone"
            case "reflex":
                bench.cell.arm.trip("reflex")
            case "release":
                bench.prepare("again") if bench.state is State.IDLE else None
            case _:
                bench.press(event)  # type: ignore[arg-type]
        bench.run(ticks * TICK)
    profile = bench.rig.limits.profile
    slack = profile.jerk * TICK**2 + 1e-6  # what an acceleration under way may still add
    before = None
    for record in bench.notes.ticks:
        if before is not None and "RUNNING" not in (record.mode, before.mode) and record.was_tracked:
            faster = np.linalg.norm(record.memory_after.velocity[0])
            slower = np.linalg.norm(record.memory_before.velocity[0])
            assert faster <= slower + profile.acceleration * TICK + slack
            if before.verdict.kind == record.verdict.kind and record.at - bench.notes.ticks[0].at > 1.0:
                assert faster <= 0.25 * 1.001
        before = record
    bench.press("stop")
    bench.run(0.6)
    assert bench.loop.is_at_rest


def test_one_clock() -> None:
    """The anti-pattern of two clocks: nothing in the bridge but a record's label looks at the wall clock."""
    found: list[str] = []
    for path in Path(robot_bridge.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            is_time = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
            if is_time and (node.value.id, node.attr) in {("time", "time"), ("datetime", "now")}:
                found.append(path.name)
    assert found == ["trial.py"], "only the first record of a trial says what time it was"


def test_hold_drops_the_rest_of_the_chunk() -> None:
    """After a HOLD the policy is asked anew; targets from before it, by then far ahead, are not caught up."""
    bench = Bench(execution="overlapped", chunk_length=16, execute_steps=8, trained_delay_steps=2).start()
    bench.run(2.0)
    before = bench.notes.ticks[-1].chunk_sequence
    bench.cell.faults.state_frozen = True
    bench.run(0.3)
    assert bench.notes.ticks[-1].verdict.kind == "HOLD"
    bench.cell.faults.state_frozen = False
    bench.run(0.5)
    assert bench.state is State.RUNNING, "it clears by itself within half a second"
    after = [record.chunk_sequence for record in bench.notes.ticks[-50:] if record.verdict.kind != "HOLD"]
    assert after[0] == -1, "the arm stands until a new chunk comes"
    assert after[-1] > before
