"""How the bridge speaks to its recorder process: length-prefixed frames on a pipe, bytes and nothing else.

open    the path of a new file
message topic, type, log time and protobuf bytes of one entry
close   the file is finished
"""

import struct
from dataclasses import dataclass
from typing import Literal

from robot_contract.errors import RecordingError

_HEADER = struct.Struct("<IBQ")  # length of the payload, kind, log time [ns]
_KINDS: tuple["FrameKind", ...] = ("open", "message", "close")
MAX_PAYLOAD = 64 << 20

FrameKind = Literal["open", "message", "close"]


@dataclass(frozen=True, kw_only=True)
class PipeFrame:
    kind: FrameKind
    log_time: int  # [ns] since 1970
    payload: bytes


def open_frame(path: str) -> bytes:
    return _pack("open", 0, path.encode())


def message_frame(topic: str, type_name: str, log_time: int, data: bytes) -> bytes:
    return _pack("message", log_time, topic.encode() + b"\0" + type_name.encode() + b"\0" + data)


def close_frame() -> bytes:
    return _pack("close", 0, b"")


def _pack(kind: FrameKind, log_time: int, payload: bytes) -> bytes:
    return _HEADER.pack(len(payload), _KINDS.index(kind), log_time) + payload


def split_message(payload: bytes) -> tuple[str, str, bytes]:
    topic, type_name, data = payload.split(b"\0", 2)
    return topic.decode(), type_name.decode(), data


class FrameParser:
    """Frames from bytes that arrive in any pieces."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[PipeFrame]:
        self._buffer += data
        frames: list[PipeFrame] = []
        while len(self._buffer) >= _HEADER.size:
            length, kind, log_time = _HEADER.unpack_from(self._buffer)
            if length > MAX_PAYLOAD or kind >= len(_KINDS):
                raise RecordingError(f"a frame of kind {kind} with {length} bytes cannot be")
            if len(self._buffer) < _HEADER.size + length:
                break
            payload = bytes(self._buffer[_HEADER.size : _HEADER.size + length])
            frames.append(PipeFrame(kind=_KINDS[kind], log_time=log_time, payload=payload))
            del self._buffer[: _HEADER.size + length]
        return frames
