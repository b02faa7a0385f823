"""What a checkpoint's `report.json` says of its evaluations.

Under `evaluations` stands the plain one: greedy, told the truth, in its own simulator. Others stand beside it
under `others`, by their conditions: figures of different conditions never share a table.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from policy_server.checkpoint import REPORT_FILE
from policy_server.strict_json import read_json_file
from robot_contract.errors import ContractError
from sim_train.evaluation.settings import Settings, difference

OTHERS = "others"


def with_evaluation(
    report: Mapping[str, Any], document: Mapping[str, Any], settings: Settings, *, is_plain: bool
) -> dict[str, Any]:
    """The report with this evaluation in it; newer figures of a split replace older ones."""
    found = dict(report.get("evaluations") or {})
    others = dict(found.pop(OTHERS, {}))
    if is_plain:
        if found and found["settings"]["policy_digest"] != settings.policy_digest:  # of earlier weights
            digest = found["settings"]["policy_digest"]
            others[f"policy {digest[:12]}"], found = found, {}
        if not found or not difference(settings, found["settings"]):
            return _with(report, _merged(found, document, settings), others)
    title = settings.title()
    others[title] = _merged(others.get(title, {}), document, settings)
    return _with(report, found, others)


def _with(report: Mapping[str, Any], found: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    return {**report, "evaluations": {**found, **({OTHERS: others} if others else {})}}


def _merged(older: Mapping[str, Any], newer: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    if not older or difference(settings, older["settings"]):
        return dict(newer)
    return {**newer, "splits": {**older["splits"], **newer["splits"]}}


def record_evaluation(
    folder: Path, document: Mapping[str, Any], settings: Settings, *, is_plain: bool
) -> None:
    """Into the folder's report, whole or not at all; weights and contract are not touched."""
    file = folder / REPORT_FILE
    report = read_json_file(file)
    if not isinstance(report, dict):
        raise ContractError(f"{file}: expected an object, found {type(report).__name__}")
    text = json.dumps(
        with_evaluation(report, document, settings, is_plain=is_plain),
        indent=2,
        allow_nan=False,
        ensure_ascii=False,
    )
    partial = file.with_name(f".{REPORT_FILE}.partial")
    with partial.open("w", encoding="utf-8") as stream:
        stream.write(text + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(file)
