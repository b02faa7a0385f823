"""How long the safety filter takes, what random abuse gets through it, and how far a stop goes.

python benchmarks/filter.py [--quick] [--ticks N] [--seed S] [--json FILE]

filter_p50_ms, filter_p99_ms   one call, over safe streams (PASS), 10 Hz steps and walls (CLAMP), interleaved
filter_work_p99_ms             the thread's own time: what a quiet core would show, also on a busy machine
filter_pass_work_p99_ms, filter_clamp_work_p99_ms   the same, apart
random_ticks, limit_violations             random sequences, recounted from the sent targets alone
largest_share                              the largest share of each limit that was used in them
stop_ms, stop_travel_mm                    per profile, from its full speed: request to rest, and the way
"""

import time
from collections.abc import Iterator

import numpy as np
from report import parser, report

from robot_bridge.safety import ARM_TABLES, PROFILES, Box, RobotState, SafetyLimits, Target, filter_action
from robot_bridge.safety.limits import NOMINAL_POSTURE, ProfileName
from robot_bridge.safety.rehearsal import FLANGE_FROM_TCP, Rehearsal, arm_state
from robot_bridge.safety.soak import Outcome, soak
from robot_contract.pose import Pose, apply_delta

REACTIONS = (0.0, 0.1, 0.25)  # [s] at full speed before the stop: none, a lost chunk, a lost hold-to-run key


def shipped_limits(profile: ProfileName = "reduced") -> SafetyLimits:
    room = Box(name="workspace", low=np.array([0.1, -0.5, -0.2]), high=np.array([0.8, 0.5, 0.9]))
    return SafetyLimits(profile=PROFILES[profile], arm=ARM_TABLES["fr3"], workspace=room, table_height=0.0)


def safe_stream(start: Pose) -> Iterator[Pose]:
    k = 0
    while True:
        k += 1
        a = 1 - np.cos(0.02 * k)
        way = np.array([0.05 * a, 0.04 * a * np.sin(0.01 * k), -0.03 * a])
        yield apply_delta(start, way, np.array([0.0, 0.05, 0.1]) * a, "base")


def stepped_stream(start: Pose, seed: int) -> Iterator[Pose]:
    """Policy steps of up to 18 mm and 0.04 rad at 10 Hz, not interpolated, now and then at a wall."""
    rng = np.random.default_rng(seed)
    pose = start
    while True:
        back = (start.position - pose.position) * 0.1
        pose = apply_delta(pose, back + rng.uniform(-0.01, 0.01, 3), rng.uniform(-0.02, 0.02, 3), "base")
        for _ in range(10):
            yield pose


def filter_times(ticks: int) -> dict[str, np.ndarray]:
    """(n, 2) [s] on the clock and of this thread's work, per call, by verdict.

    Two arms in turn, one with safe targets and one with stepped ones.
    """
    limits, now = shipped_limits(), 0.0
    run = Rehearsal(limits)
    memories = [run.memory, run.memory]
    streams = [safe_stream(run.start), stepped_stream(run.start, 1)]
    times: dict[str, list[tuple[float, float]]] = {}
    for k in range(ticks):
        now += 0.01 * (k % 2 == 0)
        memory, proposed = memories[k % 2], Target(flange_pose=next(streams[k % 2]))
        arm = arm_state(memory.posture.joint_position, memory.sent.flange_pose, measured_at=now)
        state = RobotState(arm=arm, flange_from_tcp=FLANGE_FROM_TCP)
        began, began_cpu = time.perf_counter(), time.thread_time()
        _, verdict, memories[k % 2] = filter_action(state, proposed, limits, memory, now=now)
        spent = (time.perf_counter() - began, time.thread_time() - began_cpu)
        times.setdefault(verdict.kind, []).append(spent)
    return {kind: np.array(values) for kind, values in times.items()}


def timing_figures(ticks: int) -> tuple[dict[str, object], dict[str, int]]:
    times = filter_times(ticks)
    clock, work = (np.concatenate(list(times.values())) * 1e3).T
    figures: dict[str, object] = {
        "filter_p50_ms": float(np.percentile(clock, 50)),
        "filter_p99_ms": float(np.percentile(clock, 99)),
        "filter_work_p99_ms": float(np.percentile(work, 99)),
    }
    n = dict.fromkeys(figures, len(clock))
    for kind in ("PASS", "CLAMP"):
        if kind in times:
            figures[f"filter_{kind.lower()}_work_p99_ms"] = float(np.percentile(times[kind][:, 1] * 1e3, 99))
            n[f"filter_{kind.lower()}_work_p99_ms"] = len(times[kind])
    return figures, n


def soak_figures(outcome: Outcome) -> dict[str, object]:
    return {
        "random_ticks": outcome.ticks,
        "limit_violations": outcome.violations.total(),
        "largest_share": {name: round(share, 6) for name, share in outcome.largest.items()},
    }


def stop_from_full_speed(profile: ProfileName) -> tuple[float, float, float]:
    """Speed [m/s] before, time [s] from the request to rest, and way [m] of the TCP, tick by tick."""
    limits = shipped_limits(profile)
    run = Rehearsal(limits, NOMINAL_POSTURE)
    top, y, k = 0.995 * limits.profile.speed, 0.0, 0
    while y < 0.15:
        ramp = min(1.0, k / 40)
        y += top * 0.01 * ramp * ramp * (3 - 2 * ramp)
        k += 1
        verdict = run.tick(apply_delta(run.start, np.array([0.0, y, 0.0]), np.zeros(3), "base"))
        if verdict.kind != "PASS":
            raise RuntimeError(f"the approach to full speed was not let through: {verdict}")
    before = [tcp.position for tcp in run.tcp_poses()[-2:]]
    speed = float(np.linalg.norm(before[1] - before[0])) / 0.01
    requested_at = run.now
    while not run.memory.is_at_rest():
        run.tick(run.sent, stopping=True)
    way = float(np.linalg.norm(run.tcp_poses()[-1].position - before[1]))
    return speed, run.now - requested_at, way


def stop_figures() -> dict[str, object]:
    measured = {name: stop_from_full_speed(name) for name in PROFILES}
    return {
        "stop_ms": {name: round(seconds * 1e3, 1) for name, (_, seconds, _) in measured.items()},
        "stop_travel_mm": {
            name: {f"{delay * 1e3:.0f}": round((way + speed * delay) * 1e3, 1) for delay in REACTIONS}
            for name, (speed, _, way) in measured.items()
        },
    }


def print_stop_table() -> None:
    print("way of the TCP from the profile's full speed until rest [mm], after a reaction of")
    print(f"{'profile':<10}{'m/s':>6}{'rest after':>12}" + "".join(f"{r * 1e3:>7.0f} ms" for r in REACTIONS))
    for name in PROFILES:
        speed, seconds, way = stop_from_full_speed(name)
        ways = "".join(f"{(way + speed * delay) * 1e3:>10.1f}" for delay in REACTIONS)
        print(f"{name:<10}{speed:>6.2f}{seconds * 1e3:>9.0f} ms{ways}")
    print()


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--ticks", type=int, help="random ticks; 100000, or 20000 with --quick")
    arguments.add_argument("--seed", type=int, default=1)
    chosen = arguments.parse_args()
    ticks = chosen.ticks or (20_000 if chosen.quick else 100_000)
    print_stop_table()
    figures, n = timing_figures(10_000 if chosen.quick else 40_000)
    outcome = soak(ticks, seed=chosen.seed)
    print(f"random abuse, seed {chosen.seed}: {dict(outcome.verdicts)}")
    figures |= soak_figures(outcome) | stop_figures()
    report(figures, n=n | {"limit_violations": outcome.ticks}, packages=("numpy",), json_to=chosen.json)


if __name__ == "__main__":
    main()
