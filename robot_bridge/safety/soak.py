"""Random abuse of the filter: jumps, noise, NaN, stale states, irregular ticks, stops, blocked arms."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from robot_bridge.safety.arm_tables import ARM_TABLES
from robot_bridge.safety.limits import NOMINAL_POSTURE, PROFILES, Box, SafetyLimits
from robot_bridge.safety.recount import used_shares
from robot_bridge.safety.rehearsal import Rehearsal
from robot_contract.pose import Pose, Vector, apply_delta

EPISODE = 500  # ticks
_TOLERANCE = 1e-4  # of a limit: rounding of third differences at ticks of one millisecond


@dataclass(kw_only=True)
class Outcome:
    ticks: int = 0
    violations: Counter[str] = field(default_factory=Counter[str])
    verdicts: Counter[str] = field(default_factory=Counter[str])
    reasons: Counter[str] = field(default_factory=Counter[str])
    largest: dict[str, float] = field(default_factory=dict[str, float])  # share of each limit that was used


def soak(ticks: int, seed: int) -> Outcome:
    """Run random episodes until `ticks` ticks are done, and count the violations of each limit."""
    outcome = Outcome()
    rng = np.random.default_rng(seed)
    while outcome.ticks < ticks:
        run, changed = random_episode(rng, min(EPISODE, ticks - outcome.ticks))
        outcome.ticks += len(run.ticks)
        outcome.verdicts.update(tick.verdict.kind for tick in run.ticks)
        outcome.reasons.update(code for tick in run.ticks for code in tick.verdict.codes)
        shares = used_shares(run) | {"unchanged": np.inf if changed else 0.0}
        for name, share in shares.items():
            outcome.largest[name] = max(outcome.largest.get(name, 0.0), share)
            if not share <= 1 + _TOLERANCE:
                outcome.violations[name] += 1
    return outcome


def random_limits(rng: np.random.Generator) -> SafetyLimits:
    low = np.array([rng.uniform(0.0, 0.15), rng.uniform(-0.6, -0.35), rng.uniform(0.0, 0.15)])
    high = np.array([rng.uniform(0.6, 0.8), rng.uniform(0.35, 0.6), rng.uniform(0.75, 0.95)])
    corner = np.array([rng.uniform(0.35, 0.5), rng.uniform(-0.25, 0.15), 0.0])
    post = Box(name="post", low=corner, high=corner + np.array([0.1, 0.1, rng.uniform(0.2, 0.6)]))
    return SafetyLimits(
        profile=PROFILES["reduced" if rng.random() < 0.7 else "normal"],
        arm=list(ARM_TABLES.values())[rng.integers(3)],
        workspace=Box(name="workspace", low=low, high=high),
        table_height=rng.uniform(-0.05, 0.1),
        keep_out=(post,) if rng.random() < 0.5 else (),
    )


def random_episode(rng: np.random.Generator, ticks: int) -> tuple[Rehearsal, int]:
    """One run, and how many PASS verdicts sent something else than what was proposed."""
    joints = NOMINAL_POSTURE + rng.uniform(-0.5, 0.5, 7)
    run = Rehearsal(random_limits(rng), joints, start_at=rng.uniform(0.0, 1e5))
    regular, mode, wanted, drift, changed = rng.random() < 0.5, "walk", run.start, np.zeros((2, 3)), 0
    for _ in range(ticks):
        if rng.random() < 0.01:
            run.follows = float(rng.choice([1.0, 0.5, 0.2, 0.0], p=[0.5, 0.3, 0.15, 0.05]))
        if rng.random() < 0.03:
            wanted = run.sent
            mode = str(rng.choice(["walk", "noise", "stand", "far", "jump", "glide", "glide"]))
            drift = rng.normal(size=(2, 3)) * np.array([[rng.uniform(0, 0.003)], [rng.uniform(0, 0.006)]])
        if run.memory.stopped and run.memory.is_at_rest():
            run.clear()
            wanted = run.sent
        wanted = _wanted(rng, mode, wanted, run.sent, drift)
        proposed = _broken(rng, wanted) if rng.random() < 0.001 else wanted
        proposed = None if rng.random() < 0.01 else proposed
        verdict = run.tick(
            proposed,
            dt=0.01 if regular else _random_period(rng),
            age=_random_age(rng),
            stopping=rng.random() < 0.002,
            arm_fault="reflex" if rng.random() < 0.0005 else None,
        )
        changed += verdict.kind == "PASS" and run.sent != proposed
    return run, changed


def _random_period(rng: np.random.Generator) -> float:
    kind = rng.random()
    if kind < 0.02:
        return float(rng.choice([0.0, -0.005, 1e-5, 0.06, 0.3]))
    return float(rng.uniform(0.001, 0.05) if kind < 0.3 else rng.normal(0.01, 0.001))


def _random_age(rng: np.random.Generator) -> float:
    kind = rng.random()
    return 0.2 if kind < 0.004 else -1.0 if kind < 0.005 else 0.005 if kind < 0.4 else 0.0


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


def _broken(rng: np.random.Generator, wanted: Pose) -> Pose:
    bad = float(rng.choice([np.nan, np.inf, -np.inf, 1e30, -1e30]))
    position, quaternion = wanted.position.copy(), wanted.quaternion.copy()
    if rng.random() < 0.5:
        position[rng.integers(3)] = bad
    else:
        quaternion[rng.integers(4)] = bad
    return Pose(position=position, quaternion=quaternion)
