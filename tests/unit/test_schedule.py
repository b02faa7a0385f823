"""Chunks as functions of time: each delta is used exactly once, whatever ticks, delays and orders do."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_bridge.rehearsal import rehearsal_contract
from robot_bridge.rig_file import find_rig, load_rig
from robot_bridge.schedule import ChunkSchedule, PolicyTarget
from robot_contract.messages import ActionChunk, Timings
from robot_contract.policy_contract import PolicyContract
from robot_contract.pose import Pose, angle_between, apply_delta, distance_between

RIG = load_rig(find_rig("mock"))
# Strong enough that no chain needs more time at its ends.
STRONG = dataclasses.replace(RIG.limits.profile, acceleration=1e3, jerk=1e6)
HOME = Pose(position=np.array([0.5, 0.0, 0.3]), quaternion=np.array([1.0, 0.0, 0.0, 0.0]))
TIMINGS = Timings(queue=0.0, preprocess=0.0, model=0.0, total=0.0, batch_size=1)
STEP = 0.1  # [s]


def make_contract(**changes: object) -> PolicyContract:
    return rehearsal_contract(RIG, step_period=STEP, **changes)  # type: ignore[arg-type]


def make_chunk(
    contract: PolicyContract, sequence: int, actions: np.ndarray, observed_at: float = 0.0, session: str = "s"
) -> ActionChunk:
    return ActionChunk(
        session=session,
        sequence=sequence,
        observed_at=observed_at,
        actions=actions,
        interface_digest=contract.interface_digest,
        policy_digest=contract.policy_digest,
        timings=TIMINGS,
    )


def random_actions(seed: int, length: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    actions = rng.uniform(-1, 1, (length, 7)) * np.array([0.018] * 3 + [0.04] * 3 + [0.0])
    actions[:, 6] = rng.uniform(0, 1, length)
    return actions


def begun(
    contract: PolicyContract, *, arm_latency: float = 0.0, gripper_latency: float = 0.0
) -> ChunkSchedule:
    schedule = ChunkSchedule(contract, STRONG, arm_latency=arm_latency, gripper_latency=gripper_latency)
    schedule.begin("s")
    return schedule


def offer(schedule: ChunkSchedule, chunk: ActionChunk, now: float, sent: Pose = HOME) -> str | None:
    return schedule.offer(chunk, now=now, sent_then=sent, sent_now=sent)


def composed(actions: np.ndarray, anchor: Pose = HOME) -> Pose:
    for action in actions:
        anchor = apply_delta(anchor, action[:3], action[3:6], "base")
    return anchor


def assert_same(a: Pose, b: Pose, tolerance: float = 1e-9) -> None:
    assert distance_between(a, b) < tolerance
    assert angle_between(a, b) < tolerance * 100


def drive(schedule: ChunkSchedule, start: float, stop: float, periods: list[float]) -> Pose:
    """Tick with these periods in turn, with a perfect arm; the last pose sent."""
    sent, now, i = HOME, start, 0
    while now <= stop:
        target = schedule.target_at(now, measured=sent, sent=sent, sent_speed=0.0)
        if target is not None:
            sent = target.tcp_pose
        now += periods[i % len(periods)]
        i += 1
    return sent


periods_of_ticks = st.lists(st.floats(0.002, 0.09), min_size=1, max_size=6)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), periods=periods_of_ticks, delay=st.floats(0.0, 1.5))
def test_synchronous_chain_uses_each_delta_once(seed: int, periods: list[float], delay: float) -> None:
    contract = make_contract(execution="synchronous", chunk_length=8, execute_steps=5)
    actions = random_actions(seed, 8)
    schedule = begun(contract)
    chunk = make_chunk(contract, 1, actions)
    assert offer(schedule, chunk, delay) is None
    for _ in range(3):  # duplicates
        assert offer(schedule, chunk, delay) is not None
    last = drive(schedule, delay, delay + 0.5 + 2 * max(periods), periods)
    assert_same(last, composed(actions[:5]))
    assert_same(drive(schedule, delay + 3.0, delay + 4.0, periods), composed(actions[:5]))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), periods=periods_of_ticks, order=st.permutations([1, 2, 3, 4]))
def test_synchronous_chunks_add_up_whatever_their_order(
    seed: int, periods: list[float], order: list[int]
) -> None:
    """Of reordered chunks only newer ones count; those that count are executed whole, one after the other."""
    contract = make_contract(execution="synchronous", chunk_length=4, execute_steps=4)
    schedule = begun(contract)
    sent, now, newest, expected = HOME, 0.0, 0, HOME
    for sequence in order:
        actions = random_actions(seed + sequence, 4)
        problem = offer(schedule, make_chunk(contract, sequence, actions), now)
        assert (problem is None) == (sequence > newest)
        if problem is None:
            newest = sequence
            expected = composed(actions, expected)
        end = now + 0.4 + 2 * max(periods)
        while now <= end:
            target = schedule.target_at(now, measured=sent, sent=sent, sent_speed=0.0)
            assert target is not None
            sent = target.tcp_pose
            now += periods[0]
    assert_same(sent, expected, 1e-8)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), period=st.floats(0.002, 0.099), jump=st.floats(0.0, 0.02))
def test_measured_reference_uses_each_delta_once_from_where_the_arm_is(
    seed: int, period: float, jump: float
) -> None:
    """Each step starts from the measured pose at its beginning, which here is not where the arm was sent."""
    contract = make_contract(reference="measured_each_step", chunk_length=8, execute_steps=6)
    actions = random_actions(seed, 8)
    schedule = begun(contract)
    assert offer(schedule, make_chunk(contract, 1, actions), 0.0) is None
    used: list[PolicyTarget] = []
    measured, now = HOME, 0.0
    while now < 1.0:
        target = schedule.target_at(now, measured=measured, sent=measured, sent_speed=0.0)
        assert target is not None
        if not used or used[-1].step != target.step:
            action = actions[target.step]
            assert_same(target.tcp_pose, apply_delta(measured, action[:3], action[3:6], "base"))
            used.append(target)
        else:
            assert target.tcp_pose is used[-1].tcp_pose, "a standing target is not composed again"
        measured = Pose(position=measured.position + jump, quaternion=measured.quaternion)
        now += period
    assert [target.step for target in used] == list(range(6))
    assert schedule.skipped_steps == 0


def test_measured_reference_counts_steps_without_a_tick() -> None:
    contract = make_contract(reference="measured_each_step", chunk_length=8, execute_steps=8)
    schedule = begun(contract)
    offer(schedule, make_chunk(contract, 1, random_actions(0, 8)), 0.0)
    schedule.target_at(0.0, measured=HOME, sent=HOME, sent_speed=0.0)
    schedule.target_at(0.35, measured=HOME, sent=HOME, sent_speed=0.0)
    assert schedule.skipped_steps == 2


OVERLAPPED = {"execution": "overlapped", "chunk_length": 8, "execute_steps": 4, "trained_delay_steps": 2}


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), age=st.floats(0.0, 0.75), periods=periods_of_ticks)
def test_overlapped_chain_ends_on_the_composition_from_the_anchor(
    seed: int, age: float, periods: list[float]
) -> None:
    """However late it comes, all deltas are in the targets, each of them once."""
    contract = make_contract(**OVERLAPPED)
    actions = random_actions(seed, 8)
    schedule = begun(contract)
    assert offer(schedule, make_chunk(contract, 1, actions, observed_at=10.0), 10.0 + age) is None
    assert schedule.ends_at == pytest.approx(10.8)
    last = drive(schedule, 10.0 + age, 12.5 + 20 * STEP, periods)
    assert_same(last, composed(actions))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), arrivals=st.lists(st.floats(0.02, 0.35), min_size=2, max_size=6))
def test_overlapping_chunks_never_jump(seed: int, arrivals: list[float]) -> None:
    """From tick to tick the target moves no faster than plan plus blend may: no chunk change is a jump."""
    contract = make_contract(**OVERLAPPED)
    schedule = begun(contract)
    tick, now, sent = 0.01, 5.0, HOME
    previous = sent
    for number, gap in enumerate(arrivals):
        anchor, actions = sent, random_actions(seed + number, 8)
        offer(schedule, make_chunk(contract, number + 1, actions, observed_at=now - 0.1), now, anchor)
        for _ in range(round(gap / tick)):
            target = schedule.target_at(now, measured=sent, sent=sent, sent_speed=0.1)
            assert target is not None
            sent = target.tcp_pose
            assert distance_between(previous, sent) < 0.018 * np.sqrt(3) * 4 * tick / STEP + 1e-9
            previous = sent
            now += tick


def test_overlapped_chunk_that_is_all_past_is_refused() -> None:
    contract = make_contract(**OVERLAPPED)
    schedule = begun(contract)
    problem = offer(schedule, make_chunk(contract, 1, random_actions(0, 8), observed_at=1.0), 1.81)
    assert problem is not None
    assert "all of it is past" in problem
    assert schedule.target_at(1.82, measured=HOME, sent=HOME, sent_speed=0.0) is None


def test_overlapped_measured_reference_starts_with_the_next_whole_step() -> None:
    contract = make_contract(**OVERLAPPED, reference="measured_each_step")
    schedule = begun(contract)
    offer(schedule, make_chunk(contract, 1, random_actions(0, 8), observed_at=1.0), 1.25)
    assert schedule.target_at(1.26, measured=HOME, sent=HOME, sent_speed=0.0) is None
    target = schedule.target_at(1.30, measured=HOME, sent=HOME, sent_speed=0.0)
    assert target is not None
    assert target.step == 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"session": "other"}, "session"),
        ({"sequence": 0}, "not newer"),
        ({"policy_digest": "f" * 64}, "another policy"),
        ({"interface_digest": "f" * 64}, "another policy"),
        ({"actions": np.zeros((7, 7))}, "8 x 7"),
        ({"actions": np.full((8, 7), np.nan)}, "finite"),
    ],
)
def test_what_does_not_belong_here_is_refused(changes: dict[str, object], words: str) -> None:
    contract = make_contract()
    schedule = begun(contract)
    assert offer(schedule, make_chunk(contract, 1, np.zeros((8, 7))), 0.0) is None
    chunk = dataclasses.replace(make_chunk(contract, 2, random_actions(1, 8)), **changes)  # type: ignore[arg-type]
    problem = offer(schedule, chunk, 0.0)
    assert problem is not None
    assert words in problem
    assert_same(drive(schedule, 0.0, 2.0, [0.01]), HOME)


def test_delta_is_not_sent_again_while_stale() -> None:
    """The anti-pattern: a relative command that is re-sent while stale is composed again in each tick."""
    contract = make_contract(reference="measured_each_step", chunk_length=1, execute_steps=1)
    schedule = begun(contract)
    actions = np.array([[0.01, 0, 0, 0, 0, 0, 1.0]])
    offer(schedule, make_chunk(contract, 1, actions), 0.0)
    measured = HOME
    for tick in range(500):  # five seconds without another chunk, and an arm that follows perfectly
        target = schedule.target_at(tick * 0.01, measured=measured, sent=measured, sent_speed=0.0)
        assert target is not None
        measured = target.tcp_pose
    assert distance_between(measured, HOME) == pytest.approx(0.01)


def test_interruption_drops_what_was_not_executed() -> None:
    contract = make_contract()
    schedule = begun(contract)
    actions = random_actions(3, 8)
    offer(schedule, make_chunk(contract, 1, actions), 0.0)
    drive(schedule, 0.0, 0.35, [0.01])
    schedule.interrupt()
    assert schedule.target_at(0.4, measured=HOME, sent=HOME, sent_speed=0.0) is None
    assert offer(schedule, make_chunk(contract, 1, actions), 0.4) is not None, "nor does it come back"


def test_next_chain_waits_until_the_arm_stands() -> None:
    """A lagging filter must not eat a part of a delta: the next chain begins on the last target."""
    contract = make_contract(chunk_length=1, execute_steps=1)
    schedule = begun(contract)
    step = np.array([[0.018, 0, 0, 0, 0, 0, 1.0]])
    offer(schedule, make_chunk(contract, 1, step), 0.0)
    drive(schedule, 0.0, 0.1, [0.01])
    first = composed(step)
    lagging = Pose(position=first.position - [0.005, 0, 0], quaternion=first.quaternion)
    offer(schedule, make_chunk(contract, 2, step), 0.11)
    held = schedule.target_at(0.12, measured=lagging, sent=lagging, sent_speed=0.05)
    assert held is not None
    assert_same(held.tcp_pose, first)
    schedule.target_at(0.2, measured=first, sent=first, sent_speed=0.05)
    done = schedule.target_at(0.4, measured=first, sent=first, sent_speed=0.0)
    assert done is not None
    assert_same(done.tcp_pose, composed(np.vstack([step, step])))


def test_next_chain_begins_at_the_wall_that_holds_the_arm() -> None:
    """Where a limit keeps the sent pose from its target for good, the chain goes on from what was sent."""
    contract = make_contract(chunk_length=1, execute_steps=1)
    schedule = begun(contract)
    step = np.array([[0.018, 0, 0, 0, 0, 0, 1.0]])
    offer(schedule, make_chunk(contract, 1, step), 0.0)
    drive(schedule, 0.0, 0.1, [0.01])
    offer(schedule, make_chunk(contract, 2, -step), 0.2)
    schedule.target_at(0.2, measured=HOME, sent=HOME, sent_speed=0.0)
    schedule.target_at(0.3, measured=HOME, sent=HOME, sent_speed=0.0)
    target = schedule.target_at(0.5, measured=HOME, sent=HOME, sent_speed=0.0)
    assert target is not None
    assert_same(target.tcp_pose, composed(-step))


def test_next_chain_does_not_begin_where_an_overshoot_turns_back() -> None:
    """The sent pose stands for one instant beyond its target; the chain still goes on from the target."""
    contract = make_contract(chunk_length=1, execute_steps=1)
    schedule = begun(contract)
    step = np.array([[0.018, 0, 0, 0, 0, 0, 1.0]])
    offer(schedule, make_chunk(contract, 1, step), 0.0)
    drive(schedule, 0.0, 0.1, [0.01])
    beyond, there = (apply_delta(HOME, np.array([x, 0.0, 0.0]), np.zeros(3), "base") for x in (0.03, 0.018))
    offer(schedule, make_chunk(contract, 2, step), 0.2)
    for now, sent, speed in [
        (0.2, beyond, 0.0),
        (0.21, beyond, 0.05),
        (0.25, beyond, 0.0),
        (0.3, there, 0.1),
    ]:
        schedule.target_at(now, measured=sent, sent=sent, sent_speed=speed)
    target = schedule.target_at(0.6, measured=there, sent=there, sent_speed=0.0)
    assert target is not None
    assert_same(target.tcp_pose, composed(np.vstack([step, step])))


def test_arm_and_gripper_are_sampled_at_their_own_latencies() -> None:
    contract = make_contract(**OVERLAPPED)
    actions = np.zeros((8, 7))
    actions[:, 6] = [1, 1, 0, 0, 0, 0, 0, 0]
    actions[:, 0] = 0.01
    plain, early = begun(contract), begun(contract, arm_latency=0.1, gripper_latency=0.2)
    for schedule in (plain, early):
        offer(schedule, make_chunk(contract, 1, actions, observed_at=0.0), 0.0)
    for schedule in (plain, early):  # past the blend from standing
        schedule.target_at(0.55, measured=HOME, sent=HOME, sent_speed=0.0)
    a = plain.target_at(0.65, measured=HOME, sent=HOME, sent_speed=0.0)
    b = early.target_at(0.55, measured=HOME, sent=HOME, sent_speed=0.0)
    assert a is not None
    assert b is not None
    assert_same(a.tcp_pose, b.tcp_pose)
    openings = [
        schedule.target_at(t, measured=HOME, sent=HOME, sent_speed=0.0)
        for schedule, t in ((plain, 0.19), (plain, 0.21), (early, 0.01))
    ]
    assert [target.opening for target in openings if target is not None] == [1.0, 0.0, 0.0]


def test_gripper_is_never_blended() -> None:
    contract = make_contract(**OVERLAPPED)
    schedule = begun(contract)
    opened, closed = np.zeros((8, 7)), np.zeros((8, 7))
    opened[:, 6] = 1.0
    offer(schedule, make_chunk(contract, 1, opened, observed_at=0.0), 0.0)
    offer(schedule, make_chunk(contract, 2, closed, observed_at=0.1), 0.1)
    target = schedule.target_at(0.11, measured=HOME, sent=HOME, sent_speed=0.0)
    assert target is not None
    assert target.opening == 0.0


def test_time_stretch_slows_every_step() -> None:
    contract = dataclasses.replace(make_contract(), time_stretch=2.0)
    schedule = begun(contract)
    actions = random_actions(5, 8)
    offer(schedule, make_chunk(contract, 1, actions), 0.0)
    schedule.target_at(0.0, measured=HOME, sent=HOME, sent_speed=0.0)
    target = schedule.target_at(0.6, measured=HOME, sent=HOME, sent_speed=0.0)
    assert target is not None
    assert target.step == 3
    assert schedule.ends_at == pytest.approx(1.6)


def test_there_is_no_extrapolation() -> None:
    contract = make_contract()
    schedule = begun(contract)
    actions = random_actions(7, 8)
    offer(schedule, make_chunk(contract, 1, actions), 0.0)
    schedule.target_at(0.0, measured=HOME, sent=HOME, sent_speed=0.0)
    for now in (0.8, 0.9, 5.0, 1e6):
        target = schedule.target_at(now, measured=HOME, sent=HOME, sent_speed=0.0)
        assert target is not None
        assert_same(target.tcp_pose, composed(actions))
