"""From episodes to the figures that are reported: k of n with its exact interval, per split and its parts."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from robot_contract.intervals import clopper_pearson
from sim_train.evaluation.outcome import Outcome
from sim_train.evaluation.settings import Settings


def share(successes: int, episodes: int) -> dict[str, Any]:
    interval = clopper_pearson(successes, episodes)
    return {
        "k": successes,
        "n": episodes,
        "low": interval.low,
        "high": interval.high,
    }


def figures(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Of one split, or of a part of one."""
    successes = [outcome for outcome in outcomes if outcome.succeeded]
    found = share(len(successes), len(outcomes))
    if successes:
        found["mean_steps_to_success"] = round(sum(o.steps for o in successes) / len(successes), 2)
    stages = Counter(outcome.stage for outcome in outcomes if outcome.stage)
    if stages:
        found["stages"] = dict(stages)
    grasps = Counter(outcome.first_grasp for outcome in outcomes if outcome.first_grasp is not None)
    if grasps:
        found["first_grasp"] = {kind: grasps[kind] for kind in ("named", "other", "none")}
        found["named_of_grasps"] = share(grasps["named"], grasps["named"] + grasps["other"])
    ended = Counter(outcome.ended for outcome in outcomes if outcome.ended)
    if ended:  # by a limit or a fault: failures all the same, and not silently so
        found["ended_otherwise"] = dict(ended)
    return found


def split_figures(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    found = figures(outcomes)
    parts = list(dict.fromkeys(outcome.task for outcome in outcomes))
    if len(parts) > 1:
        found["parts"] = {part: figures([o for o in outcomes if o.task == part]) for part in parts}
    return found


def summary_document(settings: Settings, outcomes: Sequence[Outcome], *, voided: int) -> dict[str, Any]:
    splits = list(dict.fromkeys(outcome.split for outcome in outcomes))
    return {
        "checkpoint": settings.checkpoint,
        "decoding": settings.decoding,
        "splits": {split: split_figures([o for o in outcomes if o.split == split]) for split in splits},
        "settings": settings.document(),
        "voided": voided,
    }


def table(document: dict[str, Any]) -> str:
    """What the terminal shows."""
    rows = [["split", "k/n", "success", "exact 95 % interval", "steps", "first grasp named/other/none"]]
    for name, split in document["splits"].items():
        rows.append(_row(name, split))
        rows += [_row(f"  {part}", found) for part, found in split.get("parts", {}).items()]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def _row(name: str, found: dict[str, Any]) -> list[str]:
    grasps = found.get("first_grasp")
    steps = found.get("mean_steps_to_success")
    return [
        name,
        f"{found['k']}/{found['n']}",
        f"{100 * found['k'] / found['n']:.1f} %",
        f"{100 * found['low']:.1f} to {100 * found['high']:.1f} %",
        f"{steps:.1f}" if steps is not None else "-",
        f"{grasps['named']}/{grasps['other']}/{grasps['none']}" if grasps else "-",
    ]
