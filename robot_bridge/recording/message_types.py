"""The protobuf types that stand in a trial's file, by their full names."""

from google.protobuf.message import Message

from robot_bridge.recording import foxglove_pb2 as fg
from robot_bridge.recording import record_pb2 as pb

MESSAGE_TYPES: dict[str, type[Message]] = {
    kind.DESCRIPTOR.full_name: kind
    for kind in (pb.TrialBegins, pb.TrialEnds, pb.Tick, pb.Event, pb.Chunk, fg.CompressedImage)
}
