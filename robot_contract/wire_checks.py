"""The checks that a value from the wire must pass; each raises `WireError` with the field's name."""

import math
from collections.abc import Iterable, Mapping
from typing import TypeVar

import numpy as np
from google.protobuf.message import DecodeError, Message

from robot_contract import wire_pb2 as pb
from robot_contract.errors import WireError
from robot_contract.pose import Pose, Vector

MAX_TEXT = 4000  # characters of any text field
UNIT_TOLERANCE = 1e-6  # of a quaternion's norm

MessageType = TypeVar("MessageType", bound=Message)
Name = TypeVar("Name", bound=str)


def decode(message_type: type[MessageType], data: bytes) -> MessageType:
    """Parse bytes; what is not such a message raises `WireError`."""
    message = message_type()
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise WireError(f"{message_type.__name__}: these {len(data)} bytes are not such a message") from error
    return message


def text(value: str, field: str, *, required: bool = False, longest: int = MAX_TEXT) -> str:
    if required and not value:
        raise WireError(f"{field} is empty, expected some text")
    if len(value) > longest:
        raise WireError(f"{field} has {len(value)} characters, expected at most {longest}")
    return value


def number(value: float, field: str, low: float = -math.inf, high: float = math.inf) -> float:
    """A finite number in low..high."""
    if not (low <= value <= high and math.isfinite(value)):
        raise WireError(f"{field} is {value!r}, expected a finite number{_range(low, high)}")
    return value


def age(value: float, field: str) -> float:
    """A duration that may be infinite (never seen) but not negative or NaN."""
    if not value >= 0.0:
        raise WireError(f"{field} is {value!r}, expected zero or more seconds")
    return value


def count(value: int, field: str, low: int, high: int) -> int:
    if not low <= value <= high:
        raise WireError(f"{field} is {value}, expected {low} to {high}")
    return value


def _range(low: float, high: float) -> str:
    if math.isfinite(low) and math.isfinite(high):
        return f" from {low:g} to {high:g}"
    return f" of at least {low:g}" if math.isfinite(low) else ""


def vector(values: Iterable[float], field: str, length: int) -> Vector:
    array = np.array(tuple(values), dtype=np.float64)
    if array.shape != (length,):
        raise WireError(f"{field} has {array.size} numbers, expected {length}")
    if not np.isfinite(array).all():
        raise WireError(f"{field} is {array.tolist()}, expected finite numbers")
    array.setflags(write=False)
    return array


def pose_from_wire(message: pb.Pose, field: str) -> Pose:
    quaternion = vector(message.quaternion, f"{field}.quaternion", 4)
    norm = float(np.sqrt(quaternion @ quaternion))
    if not abs(norm - 1.0) <= UNIT_TOLERANCE:
        raise WireError(f"{field}.quaternion has norm {norm:.9g}, expected a unit quaternion x y z w")
    return Pose(position=vector(message.position, f"{field}.position", 3), quaternion=quaternion)


def pose_to_wire(pose: Pose) -> pb.Pose:
    return pb.Pose(position=pose.position.tolist(), quaternion=pose.quaternion.tolist())


def name_from_enum(value: int, field: str, names: Mapping[int, Name]) -> Name:
    try:
        return names[value]
    except KeyError:
        accepted = ", ".join(names.values())
        raise WireError(
            f"{field} has the unknown or unset value {value}, expected one of {accepted}"
        ) from None


def enum_names(enum: type, prefix: str, names: Iterable[Name]) -> dict[int, Name]:
    """Map protobuf enum numbers to our lower- or upper-case names."""
    return {int(getattr(pb, f"{prefix}_{name.upper()}")): name for name in names}


def enum_number(name: str, names: Mapping[int, str]) -> int:
    return next(number for number, known in names.items() if known == name)


def counters(values: Mapping[str, int], field: str) -> dict[str, int]:
    if len(values) > 100:
        raise WireError(f"{field} has {len(values)} entries, expected at most 100")
    return {text(key, f"{field} key"): int(value) for key, value in sorted(values.items())}
