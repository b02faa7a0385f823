"""The bridge's side of recording: takes records at once, encodes them in a thread, pipes them to the writer.

The control loop never waits for it. What does not fit the queue is dropped and counted; a full disk or a
dead writer leaves the loop alone and is said in the status; the next trial starts a fresh writer.
"""

import json
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from robot_bridge import records as r
from robot_bridge.recording import encode
from robot_bridge.recording.encode import Entry
from robot_bridge.recording.pipe import close_frame, message_frame, open_frame
from robot_bridge.safety import Memory
from robot_contract.messages import RecordingStatus

QUEUE_LENGTH = 3000  # records; half a minute of ticks
LINGER_SECONDS = 2.0  # [s] after a trial's end in which a motion is still recorded to its rest
MEMORY_EVERY = 100  # ticks between two full memories, so that a damaged file can be judged again from there


class TrialRecorder:
    def __init__(self, folder: Path, *, free_space_floor: int, queue_length: int = QUEUE_LENGTH) -> None:
        self._folder = folder
        self._floor = free_space_floor
        self._queue: queue.Queue[r.Record | None] = queue.Queue(queue_length)
        self._dropped = 0
        self._problem = ""
        self._path: Path | None = None
        self._is_wanted = False  # between a trial's begin and the last of its ticks; `write` alone sets it
        self._ended_at: float | None = None
        self._writer: subprocess.Popen[bytes] | None = None
        self._trial = _Trial(0.0, 0.0)
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def write(self, record: r.Record) -> None:
        if isinstance(record, r.TrialBegins):
            self._is_wanted, self._ended_at = record.setup.record, None
            self._dropped, self._problem = 0, ""
        if not self._is_wanted:
            return
        try:
            self._queue.put_nowait(record)
        except queue.Full:
            self._dropped += 1
        if isinstance(record, r.TrialEnds):
            self._ended_at = record.at
        self._is_wanted = not is_over(record, self._ended_at)

    def refusal(self) -> str:
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
            free = shutil.disk_usage(self._folder if self._folder.exists() else Path.cwd()).free
        except OSError:
            free = 0
        return RecordingStatus(
            active=self._path is not None,
            path=str(self._path or ""),
            dropped=self._dropped,
            free_bytes=free,
            problem=self._problem or self.refusal(),
        )

    def close(self) -> None:
        """Write what waits, finish the file, end the writer."""
        self._queue.put(None)
        self._thread.join(timeout=10.0)
        if self._writer is not None:
            self._end_writer(self._writer)

    def _run(self) -> None:
        while (record := self._queue.get()) is not None:
            match record:
                case r.TrialBegins():
                    self._begin(record)
                case _ if self._path is None:
                    continue
                case _:
                    for entry in self._trial.entries(record, self._dropped):
                        self._send(message_frame(*self._trial.framed(entry)))
                    if is_over(record, self._trial.ended_at):
                        self._finish()
        if self._path is not None:
            self._finish()

    def _begin(self, record: r.TrialBegins) -> None:
        if self._path is not None:
            self._finish()
        if self._writer is None or self._writer.poll() is not None:
            self._writer = self._start_writer()
        self._path = unused_path(self._folder, record.setup.trial_id)
        self._trial = _Trial(record.at, record.wall_time)
        self._send(open_frame(str(self._path)))
        self._send(message_frame(*self._trial.framed(encode.begin_entry(record))))

    def _finish(self) -> None:
        self._send(close_frame())
        self._path = None

    def _start_writer(self) -> subprocess.Popen[bytes]:
        writer = subprocess.Popen(
            [sys.executable, "-m", "robot_bridge.recording.writer"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C in the bridge's terminal is not for it
        )
        threading.Thread(target=self._listen, args=(writer,), name="recorder-replies", daemon=True).start()
        return writer

    def _listen(self, writer: subprocess.Popen[bytes]) -> None:
        assert writer.stdout is not None
        for line in writer.stdout:
            reply: dict[str, Any] = json.loads(line)
            if "failed" in reply:
                self._fail(str(reply["failed"]))

    def _send(self, frame: bytes) -> None:
        writer = self._writer
        if writer is None or writer.stdin is None:
            return
        try:
            writer.stdin.write(frame)
            writer.stdin.flush()
        except OSError:
            self._fail("the recorder process ended")

    def _fail(self, why: str) -> None:
        self._problem = f"{why}; this trial is not recorded any further"
        self._path = None

    def _end_writer(self, writer: subprocess.Popen[bytes]) -> None:
        assert writer.stdin is not None
        try:
            writer.stdin.close()
        except OSError:
            self._problem = "the recorder process ended"
        try:
            writer.wait(timeout=5.0)
        except subprocess.TimeoutExpired:
            writer.kill()
            writer.wait()


def is_over(record: r.Record, ended_at: float | None) -> bool:
    """After a trial's end: as soon as the arm has come to rest."""
    if ended_at is None or not isinstance(record, r.TickRecord):
        return False
    return record.memory_after.is_at_rest() or record.at - ended_at > LINGER_SECONDS


class _Trial:
    """One trial on its way into the file: log times, and which ticks carry the whole memory."""

    def __init__(self, began_at: float, wall_time: float) -> None:
        self._began_at = began_at
        self._wall_time = wall_time
        self._last_memory: Memory | None = None
        self._ticks = 0
        self.ended_at: float | None = None

    def entries(self, record: r.Record, dropped: int) -> Iterator[Entry]:
        match record:
            case r.TickRecord():
                chained = record.memory_before is self._last_memory and self._ticks % MEMORY_EVERY != 0
                self._last_memory = record.memory_after
                self._ticks += 1
                yield encode.tick_entry(record, with_memory=not chained)
            case r.EventRecord():
                yield encode.event_entry(record)
            case r.ChunkRecord():
                yield from encode.chunk_entries(record)
            case r.FrameRecord():
                yield encode.frame_entry(record)
            case r.TrialEnds():
                self.ended_at = record.at
                yield encode.end_entry(record, dropped)
            case r.TrialBegins():
                yield encode.begin_entry(record)

    def framed(self, entry: Entry) -> tuple[str, str, int, bytes]:
        wall = self._wall_time + (entry.at - self._began_at)
        message = entry.message
        return (
            entry.topic,
            message.DESCRIPTOR.full_name,
            max(0, int(wall * 1e9)),
            message.SerializeToString(),
        )


def unused_path(folder: Path, trial_id: str) -> Path:
    """The trial's file; a second trial of the same name gets a number."""
    path, number = folder / f"{trial_id}.mcap", 1
    while path.exists() or path.with_name(path.name + ".part").exists():
        number += 1
        path = folder / f"{trial_id}-{number}.mcap"
    return path
