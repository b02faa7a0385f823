"""TFRecord and tf.train.Example, against published checksums and protobuf's own parser."""

import io
from typing import Any

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_bridge.recording.tfrecord import crc32c, example, read_records, write_record
from robot_contract.errors import RecordingError


@pytest.mark.parametrize(
    ("data", "expected"),
    [  # RFC 3720, B.4, and the usual check value
        (b"", 0x00000000),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(reversed(range(32))), 0x113FDB5C),
    ],
)
def test_checksum(data: bytes, expected: int) -> None:
    assert crc32c(data) == expected


def example_class() -> Any:
    """tensorflow/core/example/{example,feature}.proto, as far as an Example goes."""
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package="tf", syntax="proto3")
    field = descriptor_pb2.FieldDescriptorProto

    def message(name: str, *fields: tuple[str, int, int, int, str]) -> descriptor_pb2.DescriptorProto:
        made = file.message_type.add(name=name)
        for field_name, number, label, kind, type_name in fields:
            made.field.add(
                name=field_name, number=number, label=label, type=kind, type_name=type_name or None
            )  # type: ignore[arg-type]
        return made

    one, many = field.LABEL_OPTIONAL, field.LABEL_REPEATED
    message("BytesList", ("value", 1, many, field.TYPE_BYTES, ""))
    message("FloatList", ("value", 1, many, field.TYPE_FLOAT, ""))
    message("Int64List", ("value", 1, many, field.TYPE_INT64, ""))
    message(
        "Feature",
        ("bytes_list", 1, one, field.TYPE_MESSAGE, ".tf.BytesList"),
        ("float_list", 2, one, field.TYPE_MESSAGE, ".tf.FloatList"),
        ("int64_list", 3, one, field.TYPE_MESSAGE, ".tf.Int64List"),
    )
    features = message("Features", ("feature", 1, many, field.TYPE_MESSAGE, ".tf.Features.FeatureEntry"))
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, label=one, type=field.TYPE_STRING)
    entry.field.add(name="value", number=2, label=one, type=field.TYPE_MESSAGE, type_name=".tf.Feature")
    message("Example", ("features", 1, one, field.TYPE_MESSAGE, ".tf.Features"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tf.Example"))


EXAMPLE = example_class()


@settings(max_examples=100)
@given(
    words=st.lists(st.binary(max_size=300), max_size=4),
    numbers=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=6),
    floats=st.lists(st.floats(width=32, allow_nan=False), max_size=6),
)
def test_examples_are_what_protobuf_reads(
    words: list[bytes], numbers: list[int], floats: list[float]
) -> None:
    data = example(
        {"words": words, "a/numbers": np.array(numbers, np.int64), "floats": np.array(floats, np.float32)}
    )
    features = EXAMPLE.FromString(data).features.feature
    assert list(features["words"].bytes_list.value) == words
    assert list(features["a/numbers"].int64_list.value) == numbers
    assert list(features["floats"].float_list.value) == floats


def test_numbers_of_another_kind_are_refused() -> None:
    with pytest.raises(RecordingError, match="not float64"):
        example({"x": np.zeros(3)})  # type: ignore[dict-item]


def test_records_come_back_and_damage_is_found() -> None:
    file = io.BytesIO()
    for data in (b"", b"one", bytes(1000)):
        write_record(file, data)
    whole = file.getvalue()
    assert list(read_records(io.BytesIO(whole))) == [b"", b"one", bytes(1000)]
    for position in (3, 9, 20, 34, 60, len(whole) - 1):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        with pytest.raises(RecordingError, match="checksum"):
            list(read_records(io.BytesIO(bytes(damaged))))
