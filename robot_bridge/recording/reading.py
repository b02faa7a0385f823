"""Reads a trial's file, finished or cut off: what can be read is read, and the cut is said."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError, Message
from mcap.exceptions import EndOfFile, McapError
from mcap.reader import NonSeekingReader
from zstandard import ZstdError

from robot_bridge.recording import record_pb2 as pb
from robot_bridge.recording.decode import Tick, tick_from
from robot_bridge.recording.message_types import MESSAGE_TYPES
from robot_contract import wire
from robot_contract.errors import RecordingError, WireError
from robot_contract.policy_contract import PolicyContract

_GREATEST_RECORD = 1 << 28  # [bytes]
# What the parts of a damaged file make mcap, zstandard and protobuf raise.
_DAMAGE = (McapError, DecodeError, ZstdError, struct.error, EOFError, ValueError, LookupError, OverflowError)


@dataclass(kw_only=True)
class Recording:
    path: Path
    begin: pb.TrialBegins
    contract: PolicyContract
    ticks: list[Tick] = field(default_factory=list[Tick])
    events: list[pb.Event] = field(default_factory=list[pb.Event])
    chunks: list[pb.Chunk] = field(default_factory=list[pb.Chunk])
    pictures: dict[str, list[tuple[float, bytes]]] = field(
        default_factory=dict[str, list[tuple[float, bytes]]]
    )
    end: pb.TrialEnds | None = None  # absent: the trial was cut off
    cut: str = ""  # why the file stops early; empty when it is whole


def messages(path: Path) -> Iterator[tuple[str, int, Message]]:
    """Topic, log time [ns] and message in the order of the file; raises `RecordingError` where it is cut."""
    try:
        with path.open("rb") as file:
            reader = NonSeekingReader(file, validate_crcs=True, record_size_limit=_GREATEST_RECORD)
            for schema, channel, message in reader.iter_messages(log_time_order=False):
                kind = MESSAGE_TYPES.get(schema.name if schema is not None else "")
                if kind is not None:
                    yield channel.topic, message.log_time, kind.FromString(message.data)
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read: {error.strerror}") from error
    except EndOfFile as error:
        raise RecordingError(f"{path}: cut off: the file ends early") from error
    except _DAMAGE as error:
        raise RecordingError(f"{path}: damaged: {error or type(error).__name__}") from error


def read_recording(path: Path, *, with_pictures: bool = True) -> Recording:
    """Everything of one trial in memory; a cut file gives what came before the cut."""
    recording: Recording | None = None
    try:
        for topic, log_time, message in messages(path):
            if isinstance(message, pb.TrialBegins):
                recording = _begin(path, message)
            elif recording is not None:
                _add(recording, topic, log_time, message, with_pictures)
    except RecordingError as error:
        if recording is None:
            raise
        recording.cut = str(error)
    if recording is None:
        raise RecordingError(f"{path}: holds no trial; expected a file that a bridge recorded")
    return recording


def _begin(path: Path, message: pb.TrialBegins) -> Recording:
    try:
        contract = wire.policy_contract_from_wire(message.contract)
    except WireError as error:
        raise RecordingError(f"{path}: its policy contract is wrong: {error}") from error
    return Recording(path=path, begin=message, contract=contract)


def _add(recording: Recording, topic: str, log_time: int, message: Any, with_pictures: bool) -> None:
    match message:
        case pb.Tick():
            recording.ticks.append(tick_from(message))
        case pb.Event():
            recording.events.append(message)
        case pb.Chunk():
            recording.chunks.append(message)
        case pb.TrialEnds():
            recording.end = message
        case _ if with_pictures:
            at = log_time * 1e-9 - recording.begin.wall_time + recording.begin.at
            recording.pictures.setdefault(topic, []).append((at, message.data))
        case _:
            pass
