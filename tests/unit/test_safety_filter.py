"""What the filter promises: unchanged when safe, exact and calm at the goal, a stop that only stops."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from robot_bridge.safety import ARM_TABLES, PROFILES, Box, SafetyLimits, ToolPoint
from robot_bridge.safety.motion import motion_of
from robot_bridge.safety.recount import used_shares
from robot_bridge.safety.rehearsal import FLANGE_FROM_TCP, Rehearsal
from robot_contract.pose import Pose, apply_delta, distance_between

ROOM = Box(name="room", low=np.array([0.0, -0.7, 0.0]), high=np.array([0.8, 0.7, 1.0]))
LIMITS = SafetyLimits(profile=PROFILES["reduced"], arm=ARM_TABLES["fr3"], workspace=ROOM, table_height=0.0)


def moved(start: Pose, way: list[float], turn: list[float] | None = None) -> Pose:
    """A flange pose whose TCP is moved and turned in the base frame."""
    tcp = apply_delta(start @ FLANGE_FROM_TCP, np.array(way), np.array(turn or [0.0, 0.0, 0.0]), "base")
    return tcp @ FLANGE_FROM_TCP.inverse()


def sway(start: Pose, time: float) -> Pose:
    """A safe stream of targets: smooth, slow, from rest."""
    a = 1 - np.cos(2 * time)
    return moved(start, [0.05 * a, 0.04 * a * np.sin(time), 0.0], [0.0, 0.05 * a, 0.1 * a])


def speeds(run: Rehearsal, since: int = 0) -> np.ndarray:
    poses = run.tcp_poses()[since:]
    times = [tick.now for tick in run.ticks[since:]]
    return np.array(
        [distance_between(a, b) / (t1 - t0) for a, b, t0, t1 in zip(poses, poses[1:], times, times[1:])]
    )


@pytest.mark.parametrize("irregular", [False, True])
def test_a_safe_stream_passes_unchanged(irregular: bool) -> None:
    run, rng = Rehearsal(LIMITS), np.random.default_rng(1)
    for _ in range(300):
        dt = float(rng.uniform(0.003, 0.03)) if irregular else 0.01
        proposed = sway(run.start, run.now + dt)
        verdict = run.tick(proposed, dt=dt)
        assert verdict.kind == "PASS", verdict
        assert run.sent == proposed
    assert run.memory.clamp_count == 0


@pytest.mark.parametrize("side", [-0.15, 0.15])
@pytest.mark.parametrize("turn", [-0.19, 0.19])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_point_on_one_side_of_the_tool_is_fast_on_that_side(side: float, turn: float, axis: int) -> None:
    """Its lever turns with the tool: judged in the tool's own frame, the wrong side would be slow."""
    lever = np.array([side * (axis == 0), side * (axis == 1), 0.05])
    tcp_lever = FLANGE_FROM_TCP.matrix()[:3, :3] @ lever
    camera = ToolPoint(name="camera", position=tcp_lever)  # along an axis of the tool
    run = Rehearsal(replace(LIMITS, tool_points=(camera,)))
    for k in range(1, 140):
        a = 1 - np.cos(2.2 * 0.01 * k)  # 0.22 m/s and 0.42 rad/s at most: each within its limit
        run.tick(moved(run.start, [0.1 * a * (axis == 1), 0.1 * a * (axis == 0), 0.0], [0.0, 0.0, turn * a]))
    assert used_shares(run)["point_speed"] <= 1 + 1e-6


def test_what_was_sent_passes_again() -> None:
    run = Rehearsal(LIMITS)
    for k in range(80):
        run.tick(moved(run.start, [0.02, 0.0, 0.01 * (k > 30)]))
    settled, posture = run.sent, run.memory.posture.joint_position
    for _ in range(20):
        assert run.tick(settled).kind == "PASS"
        assert run.sent == settled
    np.testing.assert_array_equal(run.memory.posture.joint_position, posture)


@given(
    st.lists(st.floats(-0.1, 0.1), min_size=3, max_size=3),
    st.lists(st.floats(-0.4, 0.4), min_size=3, max_size=3),
)
@settings(max_examples=8, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
def test_a_target_that_stands_is_reached_exactly_and_never_passed(
    way: list[float], turn: list[float]
) -> None:
    run = Rehearsal(LIMITS)
    goal = moved(run.start, way, turn)
    left = distance_between(run.sent @ FLANGE_FROM_TCP, goal @ FLANGE_FROM_TCP)
    for _ in range(300):
        run.tick(goal)
        now_left = distance_between(run.sent @ FLANGE_FROM_TCP, goal @ FLANGE_FROM_TCP)
        assert now_left <= left + 1e-5  # [m], a tenth of the arm's own repeatability
        left = now_left
        if run.sent == goal:
            break
    assert run.sent == goal
    assert {run.tick(goal).kind for _ in range(5)} == {"PASS"}
    assert run.memory.is_at_rest()
    assert max(used_shares(run).values()) <= 1 + 1e-6


def test_a_still_target_is_reached_soon() -> None:
    run = Rehearsal(LIMITS)
    goal = moved(run.start, [0.018, 0.0, 0.0])  # one step of a policy
    while run.sent != goal:
        run.tick(goal)
    assert run.now <= 0.35


def test_a_target_that_moves_is_caught_up_with() -> None:
    run = Rehearsal(LIMITS)
    for _ in range(40):
        run.tick(None)
    verdicts = [run.tick(moved(run.start, [0.0, 0.01 + 0.1 * k * 0.01, 0.0])) for k in range(200)]
    assert verdicts[0].kind == "CLAMP"
    assert {verdict.kind for verdict in verdicts[60:]} == {"PASS"}


def test_lost_targets_end_in_rest_on_the_way_that_was_begun() -> None:
    run = Rehearsal(LIMITS)
    for k in range(1, 120):
        run.tick(sway(run.start, k * 0.01))
    begun, at = len(run.ticks), run.tcp_poses()[-1]
    direction = at.position - run.tcp_poses()[-2].position
    direction /= np.linalg.norm(direction)
    verdicts = [run.tick(None) for _ in range(40)]
    assert {verdict.kind for verdict in verdicts} == {"HOLD"}
    assert verdicts[0].codes == ("no_target",)
    assert run.memory.is_at_rest()
    way = run.tcp_poses()[-1].position - at.position
    assert np.linalg.norm(way - direction * (way @ direction)) < 0.004  # no farther to the side than the jerk
    assert way @ direction > 0
    fastest = float(speeds(run, begun - 2)[0])
    travel = fastest**2 / 4 + fastest * 0.05 + 0.002
    assert np.linalg.norm(way) <= travel
    rest = run.sent
    assert run.tick(None).kind == "HOLD"
    assert run.sent == rest  # held exactly, and the arm's own sagging is not followed
    assert run.memory.holding_since is not None
    assert run.memory.hold_count == 41


def test_a_stop_only_slows_down() -> None:
    run = Rehearsal(LIMITS)
    for k in range(1, 60):
        run.tick(moved(run.start, [0.1 * (1 - np.cos(1.5 * k * 0.01)), 0.0, 0.0]))
    begun = len(run.ticks)
    far = moved(run.start, [0.0, 0.2, 0.0])
    codes = [run.tick(far, stopping=True).codes for _ in range(40)]
    assert codes[0] == ("stop_requested",)
    slowing = speeds(run, begun)
    carried = 0.5 * 2.0**2 / 40.0  # [m/s] what the acceleration of that moment adds while it fades
    assert slowing.max() <= speeds(run, begun - 2)[0] + carried + 1e-9
    peak = int(slowing.argmax())
    assert peak <= 6
    assert (np.diff(slowing[peak:]) <= 1e-9).all()
    assert run.memory.is_at_rest()
    line = np.array([tcp.position for tcp in run.tcp_poses()])
    np.testing.assert_allclose(line[:, 1:], np.broadcast_to(line[0, 1:], line[:, 1:].shape), atol=1e-12)
    assert (np.diff(line[:, 0]) >= -1e-12).all()  # never backwards


def test_a_stop_from_a_steady_motion_slows_down_from_the_first_tick() -> None:
    run = Rehearsal(LIMITS)
    for k in range(1, 90):
        ramp = min(k / 30, 1.0)
        run.tick(moved(run.sent, [0.002 * ramp * ramp * (3 - 2 * ramp), 0.0, 0.0]))
    begun = len(run.ticks)
    before = speeds(run, begun - 2)[0]
    for _ in range(20):
        run.tick(run.sent, stopping=True)
    slowing = speeds(run, begun - 1)
    assert slowing[0] < before
    assert (np.diff(slowing) <= 1e-9).all()
    at_rest = next(i for i, speed in enumerate(slowing) if speed == 0)
    assert at_rest * 0.01 <= before / 2.0 + 2.0 / 40.0 + 0.015  # v/a + a/j and a tick


def test_a_stop_is_latched_until_a_new_memory() -> None:
    run = Rehearsal(LIMITS)
    run.tick(run.start, stopping=True)
    good = moved(run.start, [1e-6, 0.0, 0.0])
    for _ in range(30):
        verdict = run.tick(good)
        assert (verdict.kind, verdict.codes) == ("STOP", ("stopped",))
    assert run.sent == run.start
    run.clear()
    assert run.tick(good).kind == "PASS"


def test_a_fault_of_the_arm_stops() -> None:
    run = Rehearsal(LIMITS)
    verdict = run.tick(run.start, arm_fault="cartesian_reflex")
    assert verdict.kind == "STOP"
    assert "cartesian_reflex" in verdict.reasons[0].sentence


def test_a_tick_after_a_long_pause_starts_from_rest() -> None:
    run = Rehearsal(LIMITS)
    for k in range(1, 80):
        run.tick(sway(run.start, k * 0.01))
    sent = run.sent
    verdict = run.tick(sway(run.start, 1.0), dt=0.3)
    assert (verdict.kind, verdict.codes) == ("HOLD", ("late_tick",))
    assert run.sent == sent
    assert run.memory.is_at_rest()
    run.tick(sway(run.start, 1.01))
    assert distance_between(run.sent, sent) < 1e-4


@pytest.mark.parametrize("dt", [0.0, -0.5, 1e-5, np.nan])
def test_a_tick_at_the_same_instant_repeats_the_target(dt: float) -> None:
    run = Rehearsal(LIMITS)
    run.tick(moved(run.start, [1e-5, 0.0, 0.0]))
    sent, last_at = run.sent, run.memory.last_at
    run.now += dt
    run.now, verdict = last_at, run.tick(moved(run.start, [0.001, 0.0, 0.0]), dt=dt)
    assert verdict.kind in ("HOLD", "STOP")
    assert run.sent == sent
    assert run.memory.last_at == last_at


def test_the_order_of_the_checks() -> None:
    """Finite before age before gross excess: a stale state is no reason to call the policy faulty."""
    broken = Pose(position=np.full(3, np.inf), quaternion=Rehearsal(LIMITS).sent.quaternion)
    assert Rehearsal(LIMITS).tick(broken, age=1.0).codes == ("not_finite",)
    run = Rehearsal(LIMITS)
    assert run.tick(moved(run.start, [0.4, 0.0, 0.0]), age=1.0).codes == ("arm_age",)
    assert run.tick(moved(run.start, [0.4, 0.0, 0.0])).codes == ("gross_excess",)


def test_the_same_inputs_give_the_same_outputs_to_the_last_bit() -> None:
    runs = [Rehearsal(LIMITS), Rehearsal(LIMITS)]
    for run in runs:
        rng = np.random.default_rng(7)
        for _ in range(150):
            run.tick(moved(run.sent, list(rng.normal(size=3) * 0.02)))
    for a, b in zip(runs[0].ticks, runs[1].ticks, strict=True):
        assert a.target.flange_pose == b.target.flange_pose
        assert a.verdict == b.verdict
        assert a.target.joint_posture is not None
        np.testing.assert_array_equal(a.target.joint_posture, b.target.joint_posture)


def test_the_memory_that_went_in_is_not_changed() -> None:
    run = Rehearsal(LIMITS)
    run.tick(moved(run.start, [0.01, 0.0, 0.0]))
    memory, velocity = run.memory, run.memory.velocity.copy()
    sent = memory.sent.flange_pose
    run.tick(moved(run.start, [0.02, 0.0, 0.0]))
    np.testing.assert_array_equal(memory.velocity, velocity)
    assert memory.sent.flange_pose == sent
    assert run.memory is not memory


def test_the_posture_comes_with_every_target_and_reaches_it() -> None:
    run = Rehearsal(LIMITS)
    for k in range(1, 100):
        run.tick(sway(run.start, k * 0.01) if k < 80 else None)
    assert used_shares(run)["posture"] < 0.1


def test_the_null_space_tends_to_the_nominal_posture_while_the_tool_moves() -> None:
    twisted = LIMITS.nominal_posture + np.array([0.2, 0.0, -0.25, 0.0, 0.0, 0.0, 0.0])
    run = Rehearsal(LIMITS, twisted)
    for k in range(1, 300):
        run.tick(sway(run.start, k * 0.01))
    other = Rehearsal(replace(LIMITS, nominal_posture=twisted), twisted)
    for k in range(1, 300):
        other.tick(sway(other.start, k * 0.01))
    towards = np.abs(run.memory.posture.joint_position - LIMITS.nominal_posture).sum()
    without = np.abs(other.memory.posture.joint_position - LIMITS.nominal_posture).sum()
    assert towards < without - 0.01


def test_motion_of_sent_targets_is_that_of_the_curve_behind_them() -> None:
    times = [0.0, 0.011, 0.019, 0.034, 0.04]
    poses = [Pose.from_rotation_vector([t**3, 0.0, 0.0], [0.0, 2 * t**2, 0.0]) for t in times]
    last = motion_of(times, poses)[-1]
    np.testing.assert_allclose(last.jerk[0], [6, 0, 0], atol=1e-6)
    np.testing.assert_allclose(last.end_velocity[0], [3 * 0.04**2, 0, 0], atol=1e-9)
    np.testing.assert_allclose(last.end_acceleration, [[6 * 0.04, 0, 0], [0, 4, 0]], atol=1e-6)
    np.testing.assert_allclose(last.velocity[1], [0, 2 * (0.04 + 0.034), 0], atol=1e-9)


def test_clamped_ticks_are_counted_and_a_pass_ends_the_run() -> None:
    run = Rehearsal(LIMITS)
    goal = moved(run.start, [0.01, 0.0, 0.0])
    for _ in range(10):
        run.tick(goal)
    assert run.memory.clamped_ticks == run.memory.clamp_count == 10
    while run.sent != goal:
        run.tick(goal)
    run.tick(goal)
    assert run.memory.clamped_ticks == 0
    assert run.memory.clamp_count > 10
    assert run.sent == goal
