"""`sim-train evaluate`: how often a policy succeeds, with the interval that so many episodes allow."""

from pathlib import Path
from typing import Annotated, Literal

import tyro

from robot_contract.errors import StudyError
from sim_train.evaluation.plan import plan_episodes
from sim_train.suites import suite_named


def evaluate(
    checkpoint: tyro.conf.Positional[str],
    *,
    suite: str = "put-on",
    split: tuple[str, ...] = ("all",),
    episodes: int = 100,
    seed: int = 0,
    workers: int = 1,
    robots: int = 0,
    physics: Literal["cpu", "gpu"] = "cpu",
    execute_steps: int | None = None,
    instruct: Literal["named", "other"] = "named",
    sample: bool = False,
    temperature: float = 1.0,
    through_bridge: bool = False,
    latency: float = 0.1,
    server: str = "",
    tls: str = "",
    device: str = "cpu",
    dtype: Literal["", "fp32", "fp16", "bf16"] = "",
    out: Path | None = None,
    json_: Annotated[Path | None, tyro.conf.arg(name="json")] = None,
    html: Path | None = None,
    films: int = 12,
    record: bool = False,
) -> None:
    """Success per split as k of n with its exact 95 % interval; interrupted, it goes on where it was.

    The policy sees what a robot would send: JPEG pictures, its own state, an instruction. Its episodes have
    seeds that no training uses. Failures are filmed for the HTML report.

    Args:
        checkpoint: A checkpoint folder; with --server also a policy's name; or `expert`, the scripted one.
        suite: Which tasks: put-on, put-on-wrist, libero_spatial, ...
        split: train, vision, semantics, execution, any of their parts, LIBERO's task numbers, or all.
        episodes: How many of each split.
        seed: Moves on to other episodes of the same kind.
        workers: Simulator processes; with 1 the simulator runs in this process.
        robots: Cells whose questions make one batch; as many as workers when 0.
        physics: gpu: all robots' cells in one simulation on a GPU, where CUDA and PhysX's library are.
        execute_steps: Of each chunk; as the policy's contract says when not given.
        instruct: Tell the policy of the named object, or of another one that stands in the scene.
        sample: Draw actions instead of taking the likeliest ones.
        temperature: Of drawing; needs --sample.
        through_bridge: Through the real control loop on the digital twin instead of the suite's simulator.
        latency: Simulated seconds from question to answer; with --through-bridge.
        server: Ask a policy server at host:port instead of loading the weights here.
        tls: Folder of certificates (role bridge) for a server on another machine.
        device: cpu, cuda or cuda:N.
        dtype: Of the weights; as stored when empty.
        out: Where episodes and films are kept; under runs/evaluations when not given.
        json_: File for the figures; - for standard output.
        html: File for the report.
        films: How many failures the report shows at most.
        record: Write the figures into the checkpoint's report.json.
    """
    if temperature != 1.0 and not sample:
        raise StudyError(f"--temperature {temperature:g} belongs to sampling: give --sample too")
    chosen = suite_named(suite)
    plan = plan_episodes(chosen.name, chosen.tasks, splits=split, episodes=episodes, seed=seed)
    # Here, so that neither another command nor a mistyped name waits for torch and simulators.
    from sim_train.evaluation.evaluation import Evaluation
    from sim_train.evaluation.reporting import run_and_report
    from sim_train.evaluation.source import Source

    source = Source(
        checkpoint=checkpoint,
        server=server,
        tls=tls,
        device=device,
        dtype=dtype,
        temperature=temperature if sample else None,
        sampling_seed=seed,
        robots=robots or workers,
    )
    if record and source.folder is None:
        raise StudyError(f"--record writes into a checkpoint folder, and {checkpoint!r} is none")
    evaluation = Evaluation(
        suite=chosen,
        source=source,
        plan=plan,
        out=out,
        workers=workers,
        robots=robots or workers,
        execute_steps=execute_steps,
        instruct=instruct,
        latency=latency if through_bridge else None,
        physics=physics,
    )
    run_and_report(evaluation, json_file=json_, html=html, films=films, record=record)
