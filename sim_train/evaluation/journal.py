"""Episodes as they end, one line each, so that a killed evaluation goes on where it was.

The first line says under which conditions; episodes of other conditions are refused. A line that was cut off
by a crash is dropped when the journal is opened again: its episode is run anew.
"""

import fcntl
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from robot_contract.errors import StudyError
from sim_train.evaluation.outcome import Outcome, from_document, key_of, to_line
from sim_train.evaluation.settings import Settings, difference

SCHEMA = 1
JOURNAL_FILE = "episodes.jsonl"


class Journal:
    """Open for one evaluation at a time."""

    def __init__(self, file: Path, settings: Settings) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self.file = file
        self.outcomes: dict[tuple[str, str, int], Outcome] = {}
        self.voided = 0  # episodes whose simulation died under them: run again, never counted
        self._stream = file.open("a+b")
        try:
            _lock(self._stream.fileno(), file)
            _drop_torn_line(file)
            lines = file.read_text(encoding="utf-8").split("\n")[:-1]
            if lines:
                self._read(lines, settings)
            else:
                self._write({"schema": SCHEMA, "settings": settings.document()})
        except BaseException:
            self._stream.close()
            raise

    def _read(self, lines: list[str], settings: Settings) -> None:
        head = _parse(lines[0], f"{self.file}:1")
        if head.get("schema") != SCHEMA or not isinstance(head.get("settings"), dict):
            raise StudyError(f"{self.file}: expected a journal of schema {SCHEMA}, found {lines[0][:80]!r}")
        other = difference(settings, head["settings"])
        if other:
            raise StudyError(f"{self.file} holds episodes of another evaluation: {other}; give another --out")
        for number, line in enumerate(lines[1:], start=2):
            where = f"{self.file}:{number}"
            document = _parse(line, where)
            if "voided" in document:
                self.voided += 1
            else:
                outcome = from_document(document, where=where)
                self.outcomes[key_of(outcome)] = outcome

    def add(self, outcome: Outcome) -> None:
        self._append(to_line(outcome))
        self.outcomes[key_of(outcome)] = outcome

    def void(self, split: str, task: str, seed: int, why: str) -> None:
        self._write({"voided": why, "split": split, "task": task, "seed": seed})
        self.voided += 1

    def _write(self, document: dict[str, Any]) -> None:
        self._append(json.dumps(document, ensure_ascii=False, allow_nan=False))

    def _append(self, line: str) -> None:
        self._stream.write(line.encode() + b"\n")
        self._stream.flush()
        os.fsync(self._stream.fileno())

    def close(self) -> None:
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _lock(descriptor: int, file: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StudyError(f"{file}: another evaluation is writing it now") from None


def _drop_torn_line(file: Path) -> None:
    content = file.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole != len(content):
        os.truncate(file, whole)


def _parse(line: str, where: str) -> dict[str, Any]:
    try:
        document = json.loads(line)
    except ValueError as error:
        raise StudyError(f"{where}: expected one JSON object, found {line[:80]!r} ({error})") from None
    if not isinstance(document, dict):
        raise StudyError(f"{where}: expected one JSON object, found {line[:80]!r}")
    return document
