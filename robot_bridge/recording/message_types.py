"""The protobuf types that stand in a trial's file, by their full names, and how a file describes them."""

from functools import cache

from google.protobuf.message import Message
from mcap_protobuf.schema import build_file_descriptor_set

from robot_bridge.recording import foxglove_pb2 as fg
from robot_bridge.recording import record_pb2 as pb

MESSAGE_TYPES: dict[str, type[Message]] = {
    kind.DESCRIPTOR.full_name: kind
    for kind in (pb.TrialBegins, pb.TrialEnds, pb.Tick, pb.Event, pb.Chunk, fg.CompressedImage)
}


@cache  # what builds it leaves a circle of references behind: 0.39 MB with every file
def schema_of(type_name: str) -> bytes:
    """The type and all that it is made of, as a file's schema record has it."""
    return build_file_descriptor_set(MESSAGE_TYPES[type_name]).SerializeToString()
