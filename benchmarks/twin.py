"""How fast and how true the twin is: real-time factor, stepped factor, tracking error, reset time.

python benchmarks/twin.py [--quick] [--json FILE]

real_time_factor   real clock, both cameras at 640x480 and 30 Hz, a 100 Hz target stream
stepped_factor     simulated over real seconds on the stepped clock, 1 kHz control included, no pictures
tracking_rms_mm    flange against the linearly interpolated path of random 10 Hz deltas (at most 10 mm and
                   0.03 rad a step, in a box of +-6 cm and +-0.15 rad), sent at 100 Hz; lag included
reset_ms           from reset() to the first picture of both cameras, stepped clock
expert             successes of the scripted expert per split, through the real bridge: chunks of deltas,
                   schedule, safety filter and modes, on the stepped clock
"""

import time
from dataclasses import replace

import numpy as np
from report import parser, report

from robot_bridge.rig_file import find_rig, load_rig
from robot_bridge.scene.splits import AXES, draw_scene
from robot_bridge.twin.expert_bridge import run_expert_through_bridge
from robot_bridge.twin.settings import TwinSettings
from robot_bridge.twin.world import TwinWorld
from robot_contract.pose import (
    Pose,
    apply_delta,
    distance_between,
    interpolate,
    quaternion_from_rotation_vector,
    quaternion_multiply,
)

BLIND = TwinSettings(clock="stepped", cameras={})


def real_time(seconds: float) -> dict[str, object]:
    """A moving arm and both cameras, paced by the machine's clock."""
    with TwinWorld(draw_scene("train", 3)) as world:
        began = time.process_time()
        target = world.arm.read().flange_pose
        start = due = world.clock.now()
        seen: dict[str, set[int]] = {name: set() for name in world.cameras}
        while due < start + seconds:
            sideways = 0.001 if int(due - start) % 2 else -0.001
            target = apply_delta(target, np.array([0.0, sideways, 0.0]), np.zeros(3), "base")
            world.arm.track(target, None)
            due += 0.01
            world.clock.sleep_until(due)
            for name, camera in world.cameras.items():
                frame = camera.latest()
                if frame is not None:
                    seen[name].add(frame.sequence)
        factor = world.real_time_factor
        wall = world.clock.now() - start
        cores = (time.process_time() - began) / wall
        assert factor is not None
        return {
            "real_time_factor": round(factor, 4),
            "pictures_per_s": {name: round(len(numbers) / wall, 2) for name, numbers in seen.items()},
            "real_time_cores": round(cores, 3),
        }


def stepped_factor(seconds: float) -> float:
    """A moving arm, 100 Hz targets, no pictures."""
    with TwinWorld(draw_scene("train", 3), BLIND) as world:
        target = world.arm.read().flange_pose
        began = time.perf_counter()
        for tick in range(round(seconds * 100)):
            sideways = 0.001 if (tick // 100) % 2 else -0.001
            target = apply_delta(target, np.array([0.0, sideways, 0.0]), np.zeros(3), "base")
            world.arm.track(target, None)
            world.clock.sleep_until(world.clock.now() + 0.01)
        return seconds / (time.perf_counter() - began)


def random_path(rng: np.random.Generator, base: Pose, steps: int) -> list[Pose]:
    """Poses that random deltas lead through, kept inside the box."""
    offset, path = np.zeros(6), []
    while len(path) < steps:
        way = rng.uniform(-1, 1, 3)
        way *= rng.uniform(0, 0.010) / np.linalg.norm(way)
        turn = rng.uniform(-1, 1, 3)
        turn *= rng.uniform(0, 0.03) / np.linalg.norm(turn)
        moved = offset + np.concatenate([way, turn])
        if np.abs(moved[:3]).max() > 0.06 or np.abs(moved[3:]).max() > 0.15:
            continue
        offset = moved
        quaternion = quaternion_multiply(quaternion_from_rotation_vector(offset[3:]), base.quaternion)
        path.append(Pose(position=base.position + offset[:3], quaternion=quaternion))
    return path


def tracking_errors(seconds: float, seed: int) -> list[float]:
    """Distances [m] to the path, every 10 ms."""
    errors: list[float] = []
    with TwinWorld(draw_scene("train", 3), BLIND) as world:
        before = world.arm.read().flange_pose
        for after in random_path(np.random.default_rng(seed), before, round(seconds * 10)):
            for tick in range(10):
                wanted = interpolate(before, after, (tick + 1) / 10)
                world.arm.track(wanted, None)
                world.clock.sleep_until(world.clock.now() + 0.01)
                errors.append(distance_between(world.arm.read().flange_pose, wanted))
            before = after
    return errors


def reset_times(resets: int) -> list[float]:
    """Seconds of each."""
    times: list[float] = []
    with TwinWorld(draw_scene("train", 0), replace(TwinSettings(), clock="stepped")) as world:
        for number in range(resets):
            began = time.perf_counter()
            world.reset(draw_scene("train", number))
            for camera in world.cameras.values():
                assert camera.latest() is not None
            times.append(time.perf_counter() - began)
    return times


def expert(episodes: int) -> dict[str, list[int]]:
    """[successes, episodes] of each split; what did not succeed is told as it happens."""
    rig = load_rig(find_rig("twin_stepped"))
    counts: dict[str, list[int]] = {}
    for split in AXES:
        trials = list(run_expert_through_bridge(rig, split, episodes))
        for trial in trials:
            if not trial.succeeded:
                print(f"not done: {trial.split} {trial.seed}, as far as {trial.furthest.name}: {trial.why}")
        counts[split] = [sum(trial.succeeded for trial in trials), len(trials)]
    return counts


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--episodes", type=int, help="of the expert per split (100, quick 2)")
    options = arguments.parse_args()
    episodes: int = options.episodes if options.episodes is not None else 2 if options.quick else 100
    seconds = 10 if options.quick else 60
    figures = real_time(seconds)
    n = {"real_time_factor": seconds}
    stepped = [stepped_factor(5) for _ in range(3)]
    figures["stepped_factor"], n["stepped_factor"] = round(float(np.median(stepped)), 2), len(stepped)
    errors = np.array(tracking_errors(seconds, seed=1)) * 1e3
    figures["tracking_rms_mm"] = round(float(np.sqrt((errors**2).mean())), 3)
    figures["tracking_p95_mm"] = round(float(np.percentile(errors, 95)), 3)
    n["tracking_rms_mm"] = len(errors)
    resets = reset_times(5 if options.quick else 20)
    figures["reset_ms"], n["reset_ms"] = round(float(np.median(resets)) * 1e3, 1), len(resets)
    if episodes > 0:
        figures["expert"] = expert(episodes)
        n["expert"] = episodes
    report(figures, n=n, packages=("mujoco", "numpy"), json_to=options.json)


if __name__ == "__main__":
    main()
