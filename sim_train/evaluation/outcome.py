"""What came of one episode, and the line of text that keeps it."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from robot_contract.errors import StudyError
from robot_contract.pose import Vector

FirstGrasp = Literal["named", "other", "none"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    split: str
    task: str  # within the split
    seed: int
    instruction: str  # what the policy was told
    succeeded: bool
    steps: int  # of the policy, until success or the end
    reward: float  # sum of the suite's own
    stage: str = ""  # how far it came, where the suite says so
    first_grasp: FirstGrasp | None = None  # None: the suite does not say
    ended: str = ""  # empty: success or out of steps; else the sentence of whoever ended it
    notes: Mapping[str, float] = field(default_factory=dict)  # what the suite says besides


@dataclass(frozen=True, kw_only=True, eq=False)
class Played:
    """An episode that has ended."""

    outcome: Outcome
    actions: Vector | None = None  # (steps, 7) as they were carried out, where it was played in a simulator


def file_name(outcome: Outcome, kind: str) -> str:
    return f"{outcome.split}-{outcome.task}-{outcome.seed}.{kind}"


def key_of(outcome: Outcome) -> tuple[str, str, int]:
    return (outcome.split, outcome.task, outcome.seed)


def first_grasp(notes: Mapping[str, float]) -> FirstGrasp | None:
    """From a suite's notes: which object was lifted first, seen from the scene's own task."""
    if "grasped_named" not in notes:
        return None
    if notes["grasped_named"] > 0:
        return "named"
    return "other" if notes.get("grasped_other", 0.0) > 0 else "none"


def to_line(outcome: Outcome) -> str:
    document = asdict(outcome)
    # JSON has no NaN; a number that is not known is left out.
    document["notes"] = {name: value for name, value in outcome.notes.items() if math.isfinite(value)}
    return json.dumps(document, ensure_ascii=False, allow_nan=False)


def from_document(document: Mapping[str, Any], *, where: str) -> Outcome:
    names = {f.name for f in fields(Outcome)}
    if set(document) != names:
        raise StudyError(
            f"{where}: expected an episode with {', '.join(sorted(names))}, found {', '.join(document)}"
        )
    return Outcome(**document)
