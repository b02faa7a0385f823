"""A few short trials on the twin, one after the other, and what they say: k of n with an exact interval.

It shows that the chain runs. Three trials say little about a policy, and the interval says so.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from operator_console.status_document import as_json
from operator_console.trial_run import TrialOutcome, run_trial
from robot_contract.client import OperatorClient
from robot_contract.errors import BridgeUnavailable, StudyError
from robot_contract.intervals import clopper_pearson
from robot_contract.messages import BridgeStatus, SceneSetup, TrialSetup

OPERATOR = "demo study"
CONNECT_PATIENCE = 60.0  # [s] for a bridge that is still starting


@dataclass(frozen=True, kw_only=True)
class DemoPlan:
    trials: int = 3
    """How many trials, taken from the splits in turn."""
    splits: tuple[str, ...] = ("train", "vision", "execution")
    """Distributions that the scenes are drawn from."""
    seed: int = 1_000_000
    """Seed of the first scene, by default of those that no training uses; the next trial has the next one."""
    time_limit: float = 20.0
    """Seconds per trial."""
    policy: str = ""
    """Policy's name; empty takes the one that the bridge has."""
    start_pose: str = "home"
    """Named joint pose of the rig where every trial begins."""
    record: Literal["possible", "yes", "no"] = "possible"
    """Record the trials: yes, no, or where the bridge's recorder is in order."""
    name: str = ""
    """Beginning of the trials' names; empty takes the date and time."""

    def __post_init__(self) -> None:
        if not self.trials >= 1 or not self.splits:
            raise StudyError(f"{self.trials} trials of splits {self.splits}, expected at least one of each")


def setups(plan: DemoPlan, *, policy: str, name: str, can_record: bool) -> list[TrialSetup]:
    return [
        TrialSetup(
            trial_id=f"{name}-{index + 1:03d}",
            policy=policy,
            instruction="",
            start_pose=plan.start_pose,
            time_limit=plan.time_limit,
            record=plan.record == "yes" or (plan.record == "possible" and can_record),
            scene=SceneSetup(split=plan.splits[index % len(plan.splits)], seed=plan.seed + index),
        )
        for index in range(plan.trials)
    ]


async def run_demo_study(
    client: OperatorClient, plan: DemoPlan, *, say: Callable[[str], None]
) -> list[TrialOutcome]:
    first = await first_status(client)
    policy = plan.policy or first.policy
    if not policy:
        raise StudyError("the bridge names no policy yet: give one with --policy")
    name = plan.name or time.strftime("demo-%Y%m%d-%H%M%S")
    can_record = not first.recording.problem
    return [
        await run_trial(client, setup, operator=OPERATOR, say=say)
        for setup in setups(plan, policy=policy, name=name, can_record=can_record)
    ]


async def first_status(client: OperatorClient) -> BridgeStatus:
    """The bridge's first status, as soon as there is a bridge."""
    deadline = asyncio.get_running_loop().time() + CONNECT_PATIENCE
    while True:
        try:
            async for status in client.watch():
                return status
        except BridgeUnavailable:
            if not asyncio.get_running_loop().time() <= deadline:
                raise
        await asyncio.sleep(0.5)


def scored(outcomes: Sequence[TrialOutcome]) -> list[TrialOutcome]:
    """Trials that say something about the policy: the system failed in the others."""
    return [outcome for outcome in outcomes if outcome.result != "system_fault"]


def share(outcomes: Sequence[TrialOutcome]) -> dict[str, Any]:
    successes = sum(outcome.result == "success" for outcome in outcomes)
    interval = clopper_pearson(successes, len(outcomes))
    return {"k": successes, "n": len(outcomes), "low": interval.low, "high": interval.high}


def study_document(outcomes: Sequence[TrialOutcome]) -> dict[str, Any]:
    return {
        "trials": [as_json(outcome) for outcome in outcomes],
        "splits": {
            split: share(scored([outcome for outcome in outcomes if split_of(outcome) == split]))
            for split in splits_of(outcomes)
        },
        "all": share(scored(outcomes)),
        "all_with_system_faults_as_failures": share(outcomes),
        "system_faults": len(outcomes) - len(scored(outcomes)),
    }


def split_of(outcome: TrialOutcome) -> str:
    return outcome.setup.scene.split if outcome.setup.scene else "-"


def splits_of(outcomes: Sequence[TrialOutcome]) -> list[str]:
    return list(dict.fromkeys(split_of(outcome) for outcome in outcomes))


def summary(outcomes: Sequence[TrialOutcome]) -> str:
    """The tables that the terminal shows."""
    trials = [["trial", "split", "seed", "result", "time", "interruptions", "instruction"]]
    for outcome in outcomes:
        scene = outcome.setup.scene
        trials.append(
            [
                outcome.setup.trial_id,
                split_of(outcome),
                str(scene.seed) if scene else "-",
                outcome.result.replace("_", " "),
                f"{outcome.seconds:.1f} s",
                str(outcome.interruptions),
                outcome.instruction,
            ]
        )
    document = study_document(outcomes)
    shares = [["success", "k/n", "exact 95 % interval"]]
    for name, value in (*document["splits"].items(), ("all", document["all"])):
        shares.append([name, *_share_cells(value)])
    if document["system_faults"]:
        strict = document["all_with_system_faults_as_failures"]
        shares.append(["all, system faults as failures", *_share_cells(strict)])
    faults = [
        f"  {outcome.setup.trial_id}: {outcome.sentence}"
        for outcome in outcomes
        if outcome.result == "system_fault"
    ]
    return "\n".join(
        [
            "",
            *_table(trials),
            "",
            *_table(shares),
            "",
            f"System faults, not counted as the policy's failures: {document['system_faults']}.",
            *faults,
            f"{len(outcomes)} trials show that the chain runs; the intervals show how little they say.",
        ]
    )


def _share_cells(value: dict[str, Any]) -> list[str]:
    return [f"{value['k']}/{value['n']}", f"{value['low']:.2f} to {value['high']:.2f}"]


def _table(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    return [lines[0], "  ".join("-" * width for width in widths), *lines[1:]]
