"""The control thread and the asking thread on the real clock: how they end, fail, and come back."""

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from robot_bridge.asking import CONNECTED, Answer, Asking
from robot_bridge.bridge import Bridge, Refused
from robot_bridge.clock import MonotonicClock
from robot_bridge.devices import ArmState, Frame
from robot_bridge.drivers.mock_cell import MockCell, mock_cell
from robot_bridge.history import MeasuredState
from robot_bridge.observation import Ask
from robot_bridge.records import NoRecorder, Record, TickRecord
from robot_bridge.rehearsal import RehearsalPolicy, rehearsal_contract, small_circle, with_other_weights
from robot_bridge.rig_file import find_rig, load_rig
from robot_contract.messages import OperatorEvent, TrialSetup
from robot_contract.pose import Pose, distance_between

# Patient, for busy machines: what is timed is the order of things, not their speed.
MOCK = load_rig(find_rig("mock"))
RIG = dataclasses.replace(
    MOCK,
    control_rate_hz=50.0,
    watchdogs=dataclasses.replace(MOCK.watchdogs, missed_ticks=100, camera_margin=0.2),
    limits=dataclasses.replace(MOCK.limits, arm_age=0.1),
)
CONTRACT = rehearsal_contract(RIG)


class Tape(NoRecorder):
    def __init__(self) -> None:
        self.ticks: list[TickRecord] = []
        self.fails_at = 10**9

    def write(self, record: Record) -> None:
        if isinstance(record, TickRecord):
            self.ticks.append(record)
            if len(self.ticks) == self.fails_at:
                raise ZeroDivisionError("a bug in the bridge")


def wait_for(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.fixture
def running() -> Iterator[tuple[Bridge, MockCell, RehearsalPolicy, Tape]]:
    """A bridge whose policy moves the arm."""
    policy = RehearsalPolicy(CONTRACT, small_circle(CONTRACT))
    cell, tape = mock_cell(RIG), Tape()
    bridge = Bridge(RIG, cell.devices(), policy, recorder=tape)
    bridge.start()
    bridge.prepare(
        TrialSetup(
            trial_id="t",
            policy="rehearsal",
            instruction="draw a circle",
            start_pose="home",
            time_limit=600.0,
            record=False,
        )
    )
    for action in ("arm", "start"):
        bridge.send(OperatorEvent(action=action, operator="ann"))  # type: ignore[arg-type]
    wait_for(lambda: bool(tape.ticks) and np.abs(tape.ticks[-1].memory_after.velocity).max() > 0.02)
    yield bridge, cell, policy, tape
    bridge.close()


def test_no_motion_on_exit(running: tuple[Bridge, MockCell, RehearsalPolicy, Tape]) -> None:
    """The anti-pattern: a program that parks, homes or lets go of the arm when it ends. This one brakes."""
    bridge, cell, _, tape = running
    before = tape.ticks[-1]
    bridge.close()
    after = tape.ticks[len(tape.ticks) - 1]
    assert after.memory_after.is_at_rest()
    last = cell.arm.last_target
    assert last is not None
    profile = RIG.limits.profile
    way = 0.25**2 / (2 * profile.acceleration) + 0.25 * profile.acceleration / (2 * profile.jerk)
    assert distance_between(last, before.sent.flange_pose) <= way + 0.25 * 10 * RIG.tick_period
    assert cell.arm.read().fault == "stopped_by_command"
    tracked = cell.arm.tracked
    time.sleep(0.3)
    assert cell.arm.tracked == tracked
    assert not any(thread.name in ("control", "asking") for thread in threading.enumerate())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_bug_in_the_loop_stops_the_arm_and_is_not_hidden(
    running: tuple[Bridge, MockCell, RehearsalPolicy, Tape],
) -> None:
    bridge, cell, _, tape = running
    tape.fails_at = len(tape.ticks) + 3
    wait_for(lambda: bridge.control.problems() != ())
    assert "ZeroDivisionError: a bug in the bridge; restart the bridge" in bridge.control.problems()[0]
    wait_for(lambda: cell.arm.read().fault == "stopped_by_command")
    with pytest.raises(Refused, match="did not answer"):
        bridge.stop(OperatorEvent(action="stop", operator="ann"))


def test_slow_tick_is_counted_and_not_caught_up(
    running: tuple[Bridge, MockCell, RehearsalPolicy, Tape],
) -> None:
    bridge, cell, _, _ = running
    read = cell.arm.read
    slow = iter([0.21])

    def slowly() -> ArmState:
        time.sleep(next(slow, 0.0))
        return read()

    missed, ticks, now = bridge.loop.missed_ticks, bridge.loop.ticks, time.monotonic()
    cell.arm.read = slowly  # type: ignore[method-assign]
    wait_for(lambda: bridge.loop.missed_ticks >= missed + 9)
    time.sleep(0.5)
    elapsed = time.monotonic() - now
    assert bridge.loop.ticks - ticks <= elapsed / RIG.tick_period - 8


def test_dead_server_is_named_and_its_return_lets_the_operator_resume(
    running: tuple[Bridge, MockCell, RehearsalPolicy, Tape],
) -> None:
    bridge, _, policy, _ = running
    policy.is_gone = True
    wait_for(lambda: bridge.status().mode == "HOLDING")
    status = bridge.status()
    assert "no usable chunk" in status.why
    assert "it is gone" in status.server_state
    with pytest.raises(Refused, match="it is gone"):
        bridge.send(OperatorEvent(action="start", operator="ann"))
    policy.is_gone = False
    wait_for(lambda: bridge.status().problems == ())
    bridge.send(OperatorEvent(action="start", operator="ann"))
    asked = len(policy.asked)
    wait_for(lambda: len(policy.asked) > asked)
    assert bridge.status().mode == "RUNNING"


def test_prepare_checks_and_lists_everything() -> None:
    contract = rehearsal_contract(RIG)
    contract = dataclasses.replace(contract, flange_from_tcp=Pose.identity(), max_rotation_per_step=0.09)
    cell = mock_cell(RIG)
    bridge = Bridge(RIG, cell.devices(), RehearsalPolicy(contract, small_circle(contract)))
    bridge.start()
    setup = TrialSetup(
        trial_id="t", policy="rehearsal", instruction="", start_pose="home", time_limit=6.0, record=False
    )
    try:
        with pytest.raises(ValueError, match="no pose 'hom'; did you mean 'home'"):
            bridge.prepare(dataclasses.replace(setup, start_pose="hom"))
        with pytest.raises(Refused, match="without a recorder"):
            bridge.prepare(dataclasses.replace(setup, record=True))
        bridge.prepare(setup)
        wait_for(lambda: len(bridge.status().problems) >= 3)
        with pytest.raises(Refused) as caught:
            bridge.send(OperatorEvent(action="arm", operator="ann"))
        for words in ("no instruction", "the tool differs", "too fast"):
            assert words in str(caught.value)
    finally:
        bridge.close()


def test_next_trial_may_be_prepared_as_soon_as_one_has_ended() -> None:
    policy = RehearsalPolicy(CONTRACT, small_circle(CONTRACT))
    bridge = Bridge(RIG, mock_cell(RIG).devices(), policy)
    bridge.start()
    setup = TrialSetup(
        trial_id="t", policy="rehearsal", instruction="x", start_pose="home", time_limit=1.0, record=False
    )
    try:
        for name in ("first", "second", "third"):
            bridge.prepare(dataclasses.replace(setup, trial_id=name))
            for action in ("arm", "start"):
                if bridge.status().mode != "ARMED" or action == "start":
                    bridge.send(OperatorEvent(action=action, operator="ann"))  # type: ignore[arg-type]
            wait_for(lambda: bridge.status().mode != "RUNNING")
            assert bridge.status().why == "the time limit of 1 s is reached"
    finally:
        bridge.close()


def make_ask(sequence: int, deadline: float = 10.0) -> Ask:
    picture = np.zeros((480, 640, 3), dtype=np.uint8)
    state = MeasuredState(tcp_pose=Pose.identity(), joint_position=np.zeros(7), gripper_width=0.08)
    now = time.monotonic()
    return Ask(
        contract=CONTRACT,
        session="s",
        sequence=sequence,
        asked_at=now,
        deadline=deadline,
        instruction="draw",
        frames={name: Frame(exposed_at=now, sequence=1, picture=picture) for name in ("external", "wrist")},
        measured=((now - 1, state), (now + 1, state)),
        gripper_command=1.0,
    )


@pytest.fixture
def asking() -> Iterator[tuple[Asking, RehearsalPolicy]]:
    policy = RehearsalPolicy(CONTRACT, small_circle(CONTRACT))
    thread = Asking(policy, MonotonicClock())
    thread.start()
    yield thread, policy
    thread.close()


def answer_of(thread: Asking) -> Answer:
    found: list[Answer] = []

    def look() -> bool:
        answer = thread.take(time.monotonic())
        if answer is not None:
            found.append(answer)
        return bool(found)

    wait_for(look)
    return found[0]


def test_answer_carries_its_observation_and_age(asking: tuple[Asking, RehearsalPolicy]) -> None:
    thread, _ = asking
    thread.prepare(CONTRACT)
    wait_for(lambda: thread.state == CONNECTED)
    thread.post(make_ask(1))
    answer = answer_of(thread)
    assert answer.chunk is not None
    assert answer.observation is not None
    assert (answer.session, answer.sequence) == ("s", 1)
    assert thread.ages.quantile(0.5) == pytest.approx(answer.arrived_at - answer.observation.observed_at)


def test_silence_ends_at_the_deadline(asking: tuple[Asking, RehearsalPolicy]) -> None:
    thread, policy = asking
    policy.is_silent = True
    thread.prepare(CONTRACT)
    wait_for(lambda: thread.state == CONNECTED)
    thread.post(make_ask(1, deadline=0.1))
    assert answer_of(thread).refusal == "no answer within 0.10 s"


def test_another_policy_is_found_on_connecting(asking: tuple[Asking, RehearsalPolicy]) -> None:
    thread, policy = asking
    policy.contract = with_other_weights(CONTRACT)
    thread.prepare(CONTRACT)
    wait_for(lambda: "another policy: policy digest" in thread.state)


def test_another_policy_is_found_in_a_chunk(asking: tuple[Asking, RehearsalPolicy]) -> None:
    thread, policy = asking
    thread.prepare(CONTRACT)
    wait_for(lambda: thread.state == CONNECTED)
    policy.contract = with_other_weights(CONTRACT)
    thread.post(make_ask(1))
    assert "another policy" in answer_of(thread).refusal


def test_broken_stream_is_opened_anew(asking: tuple[Asking, RehearsalPolicy]) -> None:
    thread, policy = asking
    thread.prepare(CONTRACT)
    wait_for(lambda: thread.state == CONNECTED)
    policy.is_gone = True
    thread.post(make_ask(1))
    wait_for(lambda: "it is gone" in thread.state)
    policy.is_gone = False
    wait_for(lambda: thread.state == CONNECTED)
    thread.take(time.monotonic())
    thread.post(make_ask(2))
    assert answer_of(thread).chunk is not None
