"""Random abuse of the filter, and an independent count of what it let through.

Jumps, noise, NaN, stale states, irregular ticks, stops, blocked arms. The check works on the sent targets
alone, with its own arithmetic: positions, divided differences, walls, joints.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from robot_bridge import kinematics
from robot_bridge.devices import ArmState
from robot_bridge.safety.arm_tables import ARM_TABLES
from robot_bridge.safety.filter import SHORTEST_PERIOD, filter_action
from robot_bridge.safety.limits import NOMINAL_POSTURE, PROFILES, Box, SafetyLimits
from robot_bridge.safety.memory import Memory
from robot_bridge.safety.motion import step_between
from robot_bridge.safety.verdict import RobotState, Target, VerdictKind
from robot_contract.pose import Pose, Vector, apply_delta, interpolate, rotation_between

FLANGE_FROM_TCP = Pose.from_rotation_vector([0.0, 0.0, 0.1034], [0.0, 0.0, -np.pi / 4])
CHECKS: tuple[str, ...] = (
    "finite",
    "repeated",
    "speed",
    "acceleration",
    "jerk",
    "angular_speed",
    "angular_acceleration",
    "angular_jerk",
    "point_speed",
    "walls",
    "joints",
    "elbow",
    "posture",
)
EPISODE = 500  # ticks
_TOLERANCE = 1e-4  # relative, on derivatives: rounding at 1 ms ticks


@dataclass(frozen=True, kw_only=True, eq=False)
class Tick:
    now: float  # [s]
    target: Target
    kind: VerdictKind
    codes: tuple[str, ...]
    is_new: bool  # sent later than the shortest period after the last one
    is_late: bool  # sent so much later that the motion starts anew from rest
    is_restart: bool  # a stop was cleared before


@dataclass(frozen=True, kw_only=True, eq=False)
class Episode:
    limits: SafetyLimits
    start: Pose
    ticks: list[Tick] = field(repr=False)


@dataclass(kw_only=True)
class Outcome:
    ticks: int = 0
    violations: Counter[str] = field(default_factory=Counter[str])
    verdicts: Counter[str] = field(default_factory=Counter[str])
    reasons: Counter[str] = field(default_factory=Counter[str])
    largest: dict[str, float] = field(default_factory=dict[str, float])  # share of each limit that was used


def soak(ticks: int, seed: int) -> Outcome:
    """Run episodes until `ticks` ticks are done, and count violations."""
    outcome = Outcome()
    rng = np.random.default_rng(seed)
    while outcome.ticks < ticks:
        episode = random_episode(rng, min(EPISODE, ticks - outcome.ticks))
        outcome.ticks += len(episode.ticks)
        outcome.verdicts.update(tick.kind for tick in episode.ticks)
        outcome.reasons.update(code for tick in episode.ticks for code in tick.codes)
        for name, share in used_shares(episode).items():
            outcome.largest[name] = max(outcome.largest.get(name, 0.0), share)
            if not share <= 1 + _TOLERANCE:
                outcome.violations[name] += 1
    return outcome


def random_limits(rng: np.random.Generator) -> SafetyLimits:
    low = np.array([rng.uniform(0.0, 0.15), rng.uniform(-0.6, -0.35), rng.uniform(0.0, 0.15)])
    high = np.array([rng.uniform(0.6, 0.8), rng.uniform(0.35, 0.6), rng.uniform(0.75, 0.95)])
    corner = np.array([rng.uniform(0.45, 0.6), rng.uniform(-0.2, 0.1), 0.0])
    post = Box(name="post", low=corner, high=corner + np.array([0.08, 0.1, rng.uniform(0.1, 0.5)]))
    return SafetyLimits(
        profile=PROFILES["reduced" if rng.random() < 0.7 else "normal"],
        arm=list(ARM_TABLES.values())[rng.integers(3)],
        workspace=Box(name="workspace", low=low, high=high),
        table_height=rng.uniform(-0.05, 0.1),
        keep_out=(post,) if rng.random() < 0.5 else (),
    )


def random_episode(rng: np.random.Generator, ticks: int) -> Episode:
    limits = random_limits(rng)
    joints = NOMINAL_POSTURE + rng.uniform(-0.5, 0.5, 7)
    start = measured = kinematics.flange_pose(joints)
    now = rng.uniform(0.0, 1e5)
    memory = Memory.at_rest(_arm(measured, joints, now), now)
    lag, regular, mode = rng.choice([1.0, 0.3, 0.1]), rng.random() < 0.5, "walk"
    wanted, drift = measured, np.zeros((2, 3))
    done: list[Tick] = []
    for _ in range(ticks):
        dt = 0.01 if regular else _random_period(rng)
        now += dt
        if rng.random() < 0.01:
            lag = rng.choice([1.0, 0.5, 0.2, 0.0], p=[0.5, 0.3, 0.15, 0.05])
        followed = interpolate(measured, memory.sent.flange_pose, lag)
        twist = step_between(measured, followed).ravel() / max(dt, 1e-3)
        measured = followed
        if rng.random() < 0.03:
            wanted = memory.sent.flange_pose
            mode = str(rng.choice(["walk", "noise", "stand", "far", "jump", "glide"]))
            drift = rng.normal(size=(2, 3)) * np.array([[0.003], [0.006]])
        wanted = _wanted(rng, mode, wanted, memory.sent.flange_pose, drift)
        age = rng.choice([0.0, 0.005, 0.2, -1.0], p=[0.6, 0.395, 0.004, 0.001])
        joints = memory.posture.joint_position
        rates = kinematics.pseudo_inverse(kinematics.jacobian(joints)) @ twist
        arm = replace(_arm(measured, joints, now - age), joint_velocity=rates)
        proposed = _proposal(rng, wanted)
        restarted = memory.stopped and memory.is_at_rest()
        if restarted:
            wanted = memory.sent.flange_pose
            commanded = _arm(wanted, memory.posture.joint_position, now)
            measured, memory = wanted, Memory.at_rest(commanded, memory.last_at)
        before = memory.last_at
        target, verdict, memory = filter_action(
            RobotState(arm=arm, flange_from_tcp=FLANGE_FROM_TCP),
            proposed,
            limits,
            memory,
            now=now,
            stopping=rng.random() < 0.002,
        )
        done.append(
            Tick(
                now=now,
                target=target,
                kind=verdict.kind,
                codes=verdict.codes,
                is_new=now - before >= SHORTEST_PERIOD,
                is_late=now - before > limits.late_period,
                is_restart=restarted,
            )
        )
        if verdict.kind == "PASS" and (proposed is None or target.flange_pose != proposed.flange_pose):
            raise AssertionError("PASS must send the proposed target unchanged")
        now = max(now, before)
    return Episode(limits=limits, start=start, ticks=done)


def _random_period(rng: np.random.Generator) -> float:
    kind = rng.random()
    if kind < 0.02:
        return float(rng.choice([0.0, -0.005, 1e-5, 0.06, 0.3]))
    return float(rng.uniform(0.001, 0.05) if kind < 0.3 else rng.normal(0.01, 0.001))


def _wanted(rng: np.random.Generator, mode: str, wanted: Pose, sent: Pose, drift: Vector) -> Pose:
    match mode:
        case "walk":
            return apply_delta(wanted, rng.normal(size=3) * 0.002, rng.normal(size=3) * 0.004, "base")
        case "noise":
            return apply_delta(sent, rng.normal(size=3) * 0.02, rng.normal(size=3) * 0.1, "base")
        case "far" if rng.random() < 0.1:
            return apply_delta(sent, rng.normal(size=3) * 0.08, rng.normal(size=3) * 0.3, "base")
        case "jump" if rng.random() < 0.05:
            return apply_delta(sent, rng.normal(size=3) * 0.12, rng.normal(size=3) * 0.5, "base")
        case "glide":
            return apply_delta(wanted, drift[0], drift[1], "base")
        case _:
            return wanted


def _proposal(rng: np.random.Generator, wanted: Pose) -> Target | None:
    kind = rng.random()
    if kind < 0.0005:
        broken = wanted.position.copy()
        broken[rng.integers(3)] = rng.choice([np.nan, np.inf, -np.inf, 1e30])
        return Target(flange_pose=Pose(position=broken, quaternion=wanted.quaternion))
    if kind < 0.001:
        return Target(flange_pose=Pose(position=wanted.position, quaternion=np.full(4, np.nan)))
    return None if kind < 0.01 else Target(flange_pose=wanted)


def _arm(pose: Pose, joints: Vector, measured_at: float) -> ArmState:
    return ArmState(
        measured_at=measured_at,
        joint_position=joints,
        joint_velocity=np.zeros(7),
        flange_pose=pose,
        commanded_flange_pose=pose,
        external_wrench=np.zeros(6),
    )


def used_shares(episode: Episode) -> dict[str, float]:
    """Largest share of each limit that the sent targets used; infinite where something is not finite."""
    limits = episode.limits
    shares = dict.fromkeys(CHECKS, 0.0)
    run: list[Tick] = []
    sent, last = episode.start, None
    first_points = _points(limits, episode.start)
    for tick in episode.ticks:
        pose, joints = tick.target.flange_pose, tick.target.joint_posture
        if not pose.is_finite() or joints is None or not bool(np.isfinite(joints).all()):
            shares["finite"] = np.inf
            return shares
        if pose != sent and (not tick.is_new or tick.is_late):
            shares["repeated"] = np.inf  # it must repeat the last target
        if not tick.is_new:
            continue
        if tick.is_late or tick.is_restart:
            run = []
        elif last is not None:
            shares["joints"] = max(shares["joints"], _joint_share(limits, last, tick))
            shares["elbow"] = max(shares["elbow"], _elbow_share(limits, last, tick))
        reached = step_between(kinematics.flange_pose(joints), pose)
        shares["posture"] = max(shares["posture"], float(np.abs(reached).max()) / 1e-3)
        shares["walls"] = max(shares["walls"], _wall_share(limits, first_points, _points(limits, pose)))
        sent, last = pose, tick
        run.append(tick)
        if len(run) >= 2:
            _add_motion(shares, run[-4:], limits)
    return shares


def _points(limits: SafetyLimits, flange: Pose) -> Vector:
    return kinematics.tool_points(flange, limits.point_positions)


def _wall_share(limits: SafetyLimits, first: Vector, points: Vector) -> float:
    """1 at a wall, above it by 1 per millimetre behind; walls that were crossed at the start do not count."""
    high = np.maximum(limits.workspace.high, first.max(axis=0))
    floor = limits.workspace.low.copy()
    floor[2] = max(floor[2], limits.table_height)
    low = np.minimum(floor, first.min(axis=0))
    beyond = max(float((points - high).max()), float((low - points).max()))
    for box in limits.keep_out:
        if not bool(((first > box.low) & (first < box.high)).all(axis=1).any()):
            depth = np.minimum(points - box.low, box.high - points).min(axis=1)
            beyond = max(beyond, float(depth.max()))
    return 1 + beyond * 1e3 if beyond > 1e-6 else 0.0


def _joint_share(limits: SafetyLimits, before: Tick, tick: Tick) -> float:
    """Range and position-dependent speed of the maker's table, of the posture that was judged."""
    a, b = before.target.joint_posture, tick.target.joint_posture
    assert a is not None
    assert b is not None
    middle, half = (
        (limits.arm.joint_high + limits.arm.joint_low) / 2,
        limits.arm.joint_high - limits.arm.joint_low,
    )
    rates = (b - a) / (tick.now - before.now)
    allowed = np.where(rates > 0, limits.arm.joint_speed_up(b), limits.arm.joint_speed_down(b))
    speed = np.abs(rates) / np.maximum(allowed, 1e-9)
    return max(
        float((2 * np.abs(b - middle) / half).max()), float(speed[np.abs(rates) > 1e-6].max(initial=0.0))
    )


def _elbow_share(limits: SafetyLimits, before: Tick, tick: Tick) -> float:
    a, b = before.target.joint_posture, tick.target.joint_posture
    assert a is not None
    assert b is not None
    moved = kinematics.elbow_position(b) - kinematics.elbow_position(a)
    return float(np.linalg.norm(moved)) / (tick.now - before.now) / limits.profile.speed


def _add_motion(shares: dict[str, float], run: list[Tick], safety: SafetyLimits) -> None:
    profile = safety.profile
    tcps = [tick.target.flange_pose @ FLANGE_FROM_TCP for tick in run]
    times = [tick.now for tick in run]
    position = [tcp.position - tcps[-1].position for tcp in tcps]
    angle = [np.zeros(3)]
    for a, b in pairwise(tcps):
        angle.append(angle[-1] + rotation_between(a, b))
    limits = ((profile.speed, profile.angular_speed), (profile.acceleration, profile.angular_acceleration))
    limits = (*limits, (profile.jerk, profile.angular_jerk))
    names = (("speed", "angular_speed"), ("acceleration", "angular_acceleration"), ("jerk", "angular_jerk"))
    for row, values in enumerate((position, angle)):
        differences = [np.array(value) for value in values]
        for order in range(1, len(run)):
            differences = [
                (differences[i + 1] - differences[i]) * (order / (times[i + order] - times[i]))
                for i in range(len(differences) - 1)
            ]
            name = names[order - 1][row]
            size = float(np.linalg.norm(differences[-1]))
            shares[name] = max(shares[name], size / limits[order - 1][row])
    moved = _points(safety, run[-1].target.flange_pose) - _points(safety, run[-2].target.flange_pose)
    fastest = float(np.linalg.norm(moved, axis=1).max()) / (times[-1] - times[-2])
    shares["point_speed"] = max(shares["point_speed"], fastest / profile.speed)
