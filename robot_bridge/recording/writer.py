"""The recorder process: frames from standard input, one MCAP file per trial.

`python -m robot_bridge.recording.writer`, started by the bridge. Everything is on disk at the latest half a
second after it came. A file is `NAME.mcap.part` until it is finished, then renamed; if this process is
killed, the part file stays and can be read up to its last half second. Says what it did on standard output.
"""

import contextlib
import json
import os
import selectors
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from mcap.writer import CompressionType, Writer

from robot_bridge.heap import keep_heap_whole
from robot_bridge.recording.message_types import schema_of
from robot_bridge.recording.pipe import FrameParser, PipeFrame, split_message

FLUSH_SECONDS = 0.5
CHUNK_BYTES = 256 << 10


class TrialFile:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.part = path.with_name(path.name + ".part")
        self.part.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.part.open("xb")
        self._writer = Writer(self._file, chunk_size=CHUNK_BYTES, compression=CompressionType.ZSTD)
        self._writer.start(profile="touchdown")
        self._schemas: dict[str, int] = {}
        self._channels: dict[str, int] = {}

    def add(self, frame: PipeFrame) -> None:
        topic, type_name, data = split_message(frame.payload)
        if type_name not in self._schemas:
            self._schemas[type_name] = self._writer.register_schema(
                name=type_name, encoding="protobuf", data=schema_of(type_name)
            )
        if topic not in self._channels:
            self._channels[topic] = self._writer.register_channel(
                topic=topic, message_encoding="protobuf", schema_id=self._schemas[type_name]
            )
        self._writer.add_message(
            channel_id=self._channels[topic],
            log_time=frame.log_time,
            data=data,
            publish_time=frame.log_time,
        )

    def flush(self) -> None:
        self._writer.flush()
        self._file.flush()
        os.fsync(self._file.fileno())

    def finish(self) -> None:
        """Write the index, make it durable, give it its name."""
        self._writer.finish()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self.part.rename(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def abandon(self) -> None:
        """Leave the part file as it is."""
        self._file.close()


class RecorderProcess:
    def __init__(self) -> None:
        self._file: TrialFile | None = None

    def handle(self, frame: PipeFrame) -> None:
        match frame.kind:
            case "open":
                self.finish()
                self._open(Path(frame.payload.decode()))
            case "message":
                self._attempt(lambda file: file.add(frame))
            case "close":
                self.finish()

    def flush(self) -> None:
        self._attempt(TrialFile.flush)

    def finish(self) -> None:
        file = self._file
        if file is not None and self._attempt(TrialFile.finish):
            self._file = None
            say(finished=str(file.path))

    def _open(self, path: Path) -> None:
        try:
            self._file = TrialFile(path)
        except OSError as error:
            self._give_up(path, error)

    def _attempt(self, work: Callable[[TrialFile], None]) -> bool:
        if self._file is None:
            return False
        try:
            work(self._file)
        except OSError as error:
            self._give_up(self._file.path, error)
            return False
        return True

    def _give_up(self, path: Path, error: OSError) -> None:
        """The disk is full, say: keep what is written, take nothing more for this trial."""
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):  # what cannot be flushed at closing is lost
                file.abandon()
        say(failed=f"{error.filename or path}: {error.strerror}", path=str(path))


def say(**words: str) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def main() -> None:
    keep_heap_whole()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the bridge, which then closes the pipe
    recorder, parser = RecorderProcess(), FrameParser()
    source = sys.stdin.fileno()
    os.set_blocking(source, False)
    selector = selectors.DefaultSelector()
    selector.register(source, selectors.EVENT_READ)
    flushed_at = time.monotonic()
    while True:
        if selector.select(timeout=FLUSH_SECONDS / 2):
            data = os.read(source, 1 << 20)
            if not data:
                break
            for frame in parser.feed(data):
                recorder.handle(frame)
        if time.monotonic() - flushed_at >= FLUSH_SECONDS / 2:
            recorder.flush()
            flushed_at = time.monotonic()
    recorder.finish()


if __name__ == "__main__":
    main()
