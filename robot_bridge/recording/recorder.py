"""The bridge's side of recording: takes records at once, encodes them in a thread, pipes them to the writer.

The control loop never waits for it. What does not fit the queue is dropped and counted; a full disk or a
dead writer leaves the loop alone and is said in the status; the next trial starts a fresh writer.
"""

import json
import logging
import queue
import re
import shutil
import threading
from pathlib import Path

from robot_bridge import records as r
from robot_bridge.recording.pipe import close_frame, message_frame, open_frame
from robot_bridge.recording.trial_entries import TrialEntries, is_over
from robot_bridge.recording.writer_process import WriterProcess
from robot_contract.messages import RecordingStatus

_log = logging.getLogger(__name__)

QUEUE_LENGTH = 3000  # records; half a minute of ticks
RESERVED = 8  # records more: a trial's begin, its end and its last tick always fit
PICTURES_UP_TO = 300  # records that wait; with more than these no picture is taken, nearly 1 MB each
_NOT_IN_NAMES = re.compile(r"^[.]+|[^A-Za-z0-9._-]")
_CLOSE_SECONDS = 10.0  # [s] for what still waits in the queue


class TrialRecorder:
    def __init__(self, folder: Path, *, free_space_floor: int, queue_length: int = QUEUE_LENGTH) -> None:
        self._folder = folder
        self._floor = free_space_floor
        self._queue: queue.Queue[r.Record | None] = queue.Queue(queue_length + RESERVED)
        self._length = queue_length
        self._dropped = 0
        self._problem = ""
        self._thread_problem = ""
        self._path: Path | None = None  # of the present or last file
        self._is_open = False  # is there a file that takes records?
        self._is_wanted = False  # between a trial's begin and the last of its ticks; `write` alone sets it
        self._ended_at: float | None = None  # [s] likewise
        self._writer: WriterProcess | None = None
        self._entries = TrialEntries(0.0, 0.0)
        self._is_closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    # for the control thread

    def write(self, record: r.Record) -> None:
        if isinstance(record, r.TrialBegins):
            self._is_wanted, self._ended_at = record.setup.record, None
            self._dropped, self._problem = 0, ""
        if not self._is_wanted:
            return
        if isinstance(record, r.FrameRecord) and self._queue.qsize() > PICTURES_UP_TO:
            self._dropped += 1
            return
        if isinstance(record, r.TrialEnds):
            self._ended_at = record.at
        is_last = is_over(record, self._ended_at)
        # Without these the file would never be closed.
        must_fit = is_last or isinstance(record, r.TrialBegins | r.TrialEnds)
        self._is_wanted = not is_last
        if not must_fit and self._queue.qsize() >= self._length:
            self._dropped += 1
            return
        try:
            self._queue.put_nowait(record)
        except queue.Full:
            self._dropped += 1

    # for everybody

    def refusal(self) -> str:
        if self._thread_problem:
            return self._thread_problem
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self._folder).free
        except OSError as error:
            return f"recordings cannot be written to {self._folder}: {error.strerror}"
        if not free >= self._floor:
            return (
                f"only {free / 1e9:.2f} GB are free for recordings in {self._folder},"
                f" {self._floor / 1e9:.2f} GB are wanted"
            )
        return ""

    def status(self) -> RecordingStatus:
        try:
            free = shutil.disk_usage(self._folder).free
        except OSError:
            free = 0
        return RecordingStatus(
            active=self._is_open,
            path=str(self._path or ""),
            dropped=self._dropped,
            free_bytes=free,
            problem=self._problem or self.refusal(),
        )

    @property
    def writer_pid(self) -> int | None:
        """Of the recorder process, once a trial has been recorded."""
        return self._writer.pid if self._writer is not None else None

    def close(self) -> None:
        """Write what waits, finish the file, end the writer; a writer that does not take it is killed."""
        self._is_closing.set()
        self._is_wanted = False
        try:
            self._queue.put(None, timeout=_CLOSE_SECONDS / 2)
        except queue.Full:
            _log.error("the recorder's queue is full at the end; what waits in it is lost")
        self._thread.join(timeout=_CLOSE_SECONDS)
        if self._writer is not None:
            if self._thread.is_alive():
                self._writer.kill()
            self._thread.join(timeout=_CLOSE_SECONDS)
            self._writer.close()

    # the recorder's thread

    def _run(self) -> None:
        try:
            self._writer = WriterProcess(self._hear)  # ready before the first trial
            while (record := self._queue.get()) is not None:
                if isinstance(record, r.TrialBegins):
                    self._begin(record)
                elif self._is_open:
                    self._pass_on(record)
            if self._is_open:
                self._finish()
        finally:
            if not self._is_closing.is_set():
                self._thread_problem = "the recorder's thread has failed; restart the bridge"

    def _begin(self, record: r.TrialBegins) -> None:
        if self._is_open:
            self._finish()
        if self._writer is None or not self._writer.is_alive:
            if self._writer is not None:
                self._writer.close()
            self._writer = WriterProcess(self._hear)
        self._path = unused_path(self._folder, record.setup.trial_id)
        self._entries = TrialEntries(record.at, record.wall_time)
        self._is_open = True
        self._send(open_frame(str(self._path)))
        self._pass_on(record)

    def _pass_on(self, record: r.Record) -> None:
        for message in self._entries.of(record, self._dropped):
            self._send(message_frame(*message))
        if is_over(record, self._entries.ended_at):
            self._finish()

    def _finish(self) -> None:
        self._send(close_frame())
        self._is_open = False

    def _send(self, frame: bytes) -> None:
        if self._writer is None or not self._is_open:
            return
        try:
            self._writer.send(frame)
        except OSError:
            self._fail("the recorder process ended")

    def _hear(self, line: str) -> None:
        """What the writer says, in a thread of its own."""
        reply: dict[str, str] = json.loads(line)
        if "failed" in reply and reply.get("path") == str(self._path):
            self._fail(reply["failed"])

    def _fail(self, why: str) -> None:
        self._is_open = False
        self._problem = f"{why}; this trial is not recorded any further"
        _log.error("recording: %s", self._problem)


def unused_path(folder: Path, trial_id: str) -> Path:
    """The trial's file, always in this folder; a second trial of the same name gets a number."""
    name = _NOT_IN_NAMES.sub("_", trial_id) or "trial"
    path, number = folder / f"{name}.mcap", 1
    while path.exists() or path.with_name(path.name + ".part").exists():
        number += 1
        path = folder / f"{name}-{number}.mcap"
    return path
