"""One trial on its way into the file: log times, and which ticks carry the filter's whole memory."""

from collections.abc import Iterator

from robot_bridge import records as r
from robot_bridge.recording import encode
from robot_bridge.recording.encode import Entry
from robot_bridge.safety import Memory

LINGER_SECONDS = 2.0  # [s] after a trial's end in which a motion is still recorded to its rest
MEMORY_EVERY = 100  # ticks between two whole memories, so that a damaged file can be judged again from there


def is_over(record: r.Record, ended_at: float | None) -> bool:
    """After a trial's end: as soon as the arm has come to rest."""
    if ended_at is None or not isinstance(record, r.TickRecord):
        return False
    return record.memory_after.is_at_rest() or not record.at - ended_at <= LINGER_SECONDS


class TrialEntries:
    def __init__(self, began_at: float, wall_time: float) -> None:
        self._began_at = began_at
        self._wall_time = wall_time
        self._last_memory: Memory | None = None
        self._ticks = 0
        self.ended_at: float | None = None  # [s]

    def of(self, record: r.Record, dropped: int) -> Iterator[tuple[str, str, int, bytes]]:
        """Topic, type, log time [ns] and bytes of everything that one record becomes."""
        for entry in self._entries(record, dropped):
            message = entry.message
            yield (
                entry.topic,
                message.DESCRIPTOR.full_name,
                max(0, round((self._wall_time + entry.at - self._began_at) * 1e9)),
                message.SerializeToString(),
            )

    def _entries(self, record: r.Record, dropped: int) -> Iterator[Entry]:
        match record:
            case r.TickRecord():
                yield self._tick(record)
            case r.EventRecord():
                yield encode.event_entry(record)
            case r.ChunkRecord():
                yield from encode.chunk_entries(record)
            case r.FrameRecord():
                yield from encode.frame_entries(record)
            case r.TrialEnds():
                self.ended_at = record.at
                yield encode.end_entry(record, dropped)
            case r.TrialBegins():
                yield encode.begin_entry(record)

    def _tick(self, record: r.TickRecord) -> Entry:
        is_new = record.memory_before is not self._last_memory
        with_memory = is_new or self._ticks % MEMORY_EVERY == 0
        self._last_memory = record.memory_after
        self._ticks += 1
        return encode.tick_entry(record, with_memory=with_memory, memory_is_new=is_new)
