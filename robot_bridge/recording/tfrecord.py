"""TFRecord files of `tf.train.Example` messages, written and read without TensorFlow.

A record is its length, a masked CRC-32C of the length, the bytes, and a masked CRC-32C of the bytes.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from robot_contract.errors import RecordingError

Feature = Sequence[bytes] | npt.NDArray[np.float32] | npt.NDArray[np.int64]

_POLYNOMIAL = 0x82F63B78  # CRC-32C (Castagnoli), reflected
_LANES = 8


@cache
def _tables() -> tuple[tuple[int, ...], ...]:
    """For eight bytes at a time."""
    first = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
        first.append(value)
    tables = [tuple(first)]
    for _ in range(_LANES - 1):
        before = tables[-1]
        tables.append(tuple((value >> 8) ^ first[value & 0xFF] for value in before))
    return tuple(tables)


def crc32c(data: bytes) -> int:
    t0, t1, t2, t3, t4, t5, t6, t7 = _tables()
    crc = 0xFFFFFFFF
    whole = len(data) - len(data) % _LANES
    for low, high in struct.iter_unpack("<II", data[:whole]):
        low ^= crc
        crc = (
            t7[low & 0xFF]
            ^ t6[low >> 8 & 0xFF]
            ^ t5[low >> 16 & 0xFF]
            ^ t4[low >> 24]
            ^ t3[high & 0xFF]
            ^ t2[high >> 8 & 0xFF]
            ^ t1[high >> 16 & 0xFF]
            ^ t0[high >> 24]
        )
    for byte in data[whole:]:
        crc = (crc >> 8) ^ t0[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def _masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def write_record(file: BinaryIO, data: bytes) -> None:
    length = struct.pack("<Q", len(data))
    file.write(length + _masked(length) + data + _masked(data))


def read_records(file: BinaryIO) -> Iterator[bytes]:
    while length := file.read(8):
        check, size = file.read(4), struct.unpack("<Q", length)[0] if len(length) == 8 else -1
        data = file.read(size) if size >= 0 else b""
        if check != _masked(length) or len(data) != size or file.read(4) != _masked(data):
            raise RecordingError("not a TFRecord file, or a damaged one: a checksum is wrong")
        yield data


def example(features: Mapping[str, Feature]) -> bytes:
    """The bytes of a `tf.train.Example`: Features { map<string, Feature> feature = 1 } features = 1."""
    entries = [
        _field(1, _field(1, name.encode()) + _field(2, _feature(values)))
        for name, values in sorted(features.items())
    ]
    return _field(1, b"".join(entries))


def _feature(values: Feature) -> bytes:
    """bytes_list = 1, float_list = 2, int64_list = 3, each { repeated value = 1 }, numbers packed."""
    if not isinstance(values, np.ndarray):
        return _field(1, b"".join(_field(1, value) for value in values))
    if values.dtype == np.float32:
        return _field(2, _field(1, values.astype("<f4").tobytes()))
    if values.dtype == np.int64:
        return _field(3, _field(1, b"".join(_varint(int(value) & 0xFFFFFFFFFFFFFFFF) for value in values)))
    raise RecordingError(f"an Example holds bytes, float32 or int64, not {values.dtype}")


def _field(number: int, data: bytes) -> bytes:
    """Length-delimited."""
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
