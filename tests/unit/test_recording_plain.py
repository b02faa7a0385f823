"""Frozen dataclasses through plain JSON and back, bit for bit; frames through a pipe in any pieces."""

import dataclasses
import struct
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_bridge.recording.pipe import (
    MAX_PAYLOAD,
    FrameParser,
    PipeFrame,
    close_frame,
    message_frame,
    open_frame,
    split_message,
)
from robot_bridge.recording.plain import from_json, to_json
from robot_bridge.rig_file import find_rig, load_rig, shipped_rigs
from robot_bridge.safety import SafetyLimits
from robot_contract.errors import RecordingError
from robot_contract.pose import Pose, Vector


@dataclass(frozen=True, kw_only=True, eq=False)
class Inner:
    kind: Literal["a", "b"]
    pose: Pose


@dataclass(frozen=True, kw_only=True, eq=False)
class Outer:
    number: float
    count: int
    is_set: bool
    name: str
    maybe: float | None
    times: tuple[float, ...]
    pair: tuple[int, str]
    table: Vector
    inner: Inner
    inners: tuple[Inner, ...]


def bits(value: object) -> object:
    """Something that is equal only where every bit is; NaN is equal to itself."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: bits(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, np.ndarray):
        return (value.shape, value.tobytes())
    if isinstance(value, tuple):
        return [bits(item) for item in value]
    return struct.pack("<d", value) if isinstance(value, float) else (type(value), value)


numbers = st.floats(allow_nan=False) | st.sampled_from([-0.0, 5e-324, 1e308, 0.1, 1 / 3])
vectors = st.lists(numbers, min_size=3, max_size=3).map(np.array)
poses = st.builds(
    lambda position, quaternion: Pose(position=position, quaternion=np.array(quaternion)),
    vectors,
    st.lists(numbers, min_size=4, max_size=4),
)
inners = st.builds(Inner, kind=st.sampled_from(["a", "b"]), pose=poses)
outers = st.builds(
    Outer,
    number=numbers,
    count=st.integers(),
    is_set=st.booleans(),
    name=st.text(),
    maybe=st.none() | numbers,
    times=st.lists(numbers).map(tuple),
    pair=st.tuples(st.integers(), st.text()),
    table=st.lists(vectors, min_size=1, max_size=4).map(np.array),
    inner=inners,
    inners=st.lists(inners, max_size=3).map(tuple),
)


@settings(max_examples=150)
@given(value=outers)
def test_values_come_back_bit_for_bit(value: Outer) -> None:
    assert bits(from_json(Outer, to_json(value), "value")) == bits(value)


@pytest.mark.parametrize("rig", list(shipped_rigs()))
def test_the_limits_of_every_shipped_rig_come_back(rig: str) -> None:
    limits = load_rig(find_rig(rig)).limits
    assert bits(from_json(SafetyLimits, to_json(limits), "limits")) == bits(limits)


def test_what_is_not_finite_comes_back_too() -> None:
    pose = Pose(position=np.array([np.nan, np.inf, -np.inf]), quaternion=np.array([0.0, 0.0, 0.0, 1.0]))
    again = from_json(Pose, to_json(pose), "pose")
    assert np.isnan(again.position[0])
    assert again.position.tolist()[1:] == [np.inf, -np.inf]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"kind": "c", "pose": 0}', "value.kind is 'c', expected one of"),
        ('{"kind": "a"}', r"not a Inner of this version: missing \['pose'\]"),
        ('{"kind": "a", "pose": 0, "more": 1}', r"unknown \['more'\]"),
        ("[1", "value is not JSON"),
    ],
)
def test_another_version_is_said_in_a_sentence(text: str, words: str) -> None:
    with pytest.raises(RecordingError, match=words):
        from_json(Inner, text, "value")


frames = st.lists(
    st.one_of(
        st.builds(
            PipeFrame,
            kind=st.just("message"),
            log_time=st.integers(0, 2**63),
            payload=st.binary(max_size=200).map(lambda data: b"/topic\0a.Type\0" + data),
        ),
        st.just(PipeFrame(kind="open", log_time=0, payload=b"/a/b.mcap")),
        st.just(PipeFrame(kind="close", log_time=0, payload=b"")),
    ),
    max_size=8,
)


def packed(frame: PipeFrame) -> bytes:
    match frame.kind:
        case "open":
            return open_frame(frame.payload.decode())
        case "message":
            return message_frame(
                *split_message(frame.payload)[:2], frame.log_time, split_message(frame.payload)[2]
            )
        case "close":
            return close_frame()


@settings(max_examples=150)
@given(sent=frames, data=st.data())
def test_frames_arrive_whole_however_they_are_cut(sent: list[PipeFrame], data: st.DataObject) -> None:
    stream = b"".join(packed(frame) for frame in sent)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=20).map(sorted))
    parser, arrived = FrameParser(), []
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        arrived += parser.feed(stream[begin:end])
    assert arrived == sent


@pytest.mark.parametrize("header", [struct.pack("<IBQ", MAX_PAYLOAD + 1, 1, 0), struct.pack("<IBQ", 0, 3, 0)])
def test_a_stream_that_is_no_frame_is_refused(header: bytes) -> None:
    with pytest.raises(RecordingError, match="cannot be"):
        FrameParser().feed(header)
