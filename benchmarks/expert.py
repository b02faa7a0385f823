"""How often the scripted expert finishes a scene, per split and sub-split, and how it fails.

    python benchmarks/expert.py [--quick] [--json FILE] [--split NAME ...] [--way NAME ...] [--first N]

direct   deltas chained to absolute targets, straight on the twin's physics, asked at 10 Hz
bursts   the same with seeded noise bursts, as for demonstrations
bridge   through the real bridge: chunks of 8, schedule, safety filter, modes, 0.1 s of policy latency

Keys: expert_direct, expert_bursts, expert_bridge = {split: [k, n]}, and the same per sub-split under `parts`.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

from report import parser, report

from robot_bridge.rig import Rig
from robot_bridge.rig_file import find_rig, load_rig
from robot_bridge.scene.perturbation import draw_bursts
from robot_bridge.scene.protocol import EPISODE_STEPS
from robot_bridge.scene.scene import Scene
from robot_bridge.scene.splits import AXES, draw_scene
from robot_bridge.twin.expert_bridge import run_expert_through_bridge
from robot_bridge.twin.expert_trial import Trial, expert_world, run_episode, run_scenes

Outcome = tuple[str, bool, str]  # sub-split, success, how it failed

WAYS = ("direct", "bursts", "bridge")


def small_pictures() -> Rig:
    """The stepped twin's rig; the expert needs no pictures, only their times."""
    rig = load_rig(find_rig("twin_stepped"))
    return replace(rig, cameras=tuple(replace(camera, width=160, height=120) for camera in rig.cameras))


def with_bursts(scenes: list[Scene], first_seed: int) -> Iterator[Trial]:
    world = expert_world(scenes[0])
    try:
        for seed, scene in enumerate(scenes, first_seed):
            world.reset(scene)
            yield run_episode(world, draw_bursts(seed, EPISODE_STEPS))
    finally:
        world.close()


def outcomes(way: str, split: str, episodes: int, first: int) -> Iterator[Outcome]:
    if way == "bridge":
        for trial in run_expert_through_bridge(small_pictures(), split, episodes, first_seed=first):
            where = f"{trial.target} to {trial.receptacle}, as far as {trial.furthest.name}: {trial.why}"
            yield trial.split, trial.succeeded, f"{split} {trial.seed}: {where}"
        return
    scenes = [draw_scene(split, seed) for seed in range(first, first + episodes)]
    for seed, trial in enumerate(
        run_scenes(scenes) if way == "direct" else with_bursts(scenes, first), first
    ):
        scene = trial.scene
        where = f"{scene.target_object} to {scene.target_receptacle}, as far as {trial.furthest.name}"
        yield scene.split, trial.succeeded, f"{split} {seed}: {where}, {trial.fault or 'out of steps'}"


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--split", nargs="+", default=list(AXES), choices=list(AXES))
    arguments.add_argument("--way", nargs="+", default=list(WAYS), choices=WAYS)
    arguments.add_argument("--episodes", type=int, help="per split and way (100, quick 4)")
    arguments.add_argument("--first", type=int, default=0, help="first scene of each split")
    options = arguments.parse_args()
    episodes: int = options.episodes if options.episodes is not None else 4 if options.quick else 100
    figures: dict[str, object] = {}
    parts: dict[str, dict[str, list[int]]] = {}
    for way in options.way:
        counts: dict[str, list[int]] = {}
        by_part: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
        for split in options.split:
            counts[split] = [0, 0]
            for part, succeeded, failure in outcomes(way, split, episodes, options.first):
                for count in (counts[split], by_part[part]):
                    count[0] += succeeded
                    count[1] += 1
                if not succeeded:
                    print(f"{way}, not done: {failure}", flush=True)
        figures[f"expert_{way}"] = counts
        parts[way] = dict(by_part)
    figures["parts"] = parts
    report(
        figures,
        n={f"expert_{way}": episodes for way in options.way},
        packages=("mujoco", "numpy"),
        json_to=options.json,
    )


if __name__ == "__main__":
    main()
