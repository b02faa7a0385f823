"""Frozen dataclasses to plain JSON values and back, bit for bit, guided by their type hints.

For the few values whose fields belong to somebody else (the filter's memory, the safety limits): a field that
is added there is recorded without a change here.
"""

import dataclasses
import json
import types
import typing
from functools import cache
from typing import Any, TypeVar

import numpy as np

from robot_contract.errors import RecordingError
from robot_contract.policy_contract import as_document

T = TypeVar("T")


def to_json(value: object) -> str:
    """JSON text; unlike the canonical form it holds what is not finite, too: a record says what was."""
    return json.dumps(as_document(value), separators=(",", ":"))


def from_json(kind: Any, text: str, where: str) -> Any:
    """The value of type `kind` that `to_json` wrote."""
    try:
        return from_plain(kind, json.loads(text), where)
    except json.JSONDecodeError as error:
        raise RecordingError(f"{where} is not JSON: {error}") from error


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def from_plain(kind: Any, value: Any, where: str = "value") -> Any:
    """The value of type `kind` of these plain JSON values."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _dataclass(kind, value, where)
    if origin is np.ndarray or kind is np.ndarray:
        array = np.array(value, dtype=np.float64)
        array.setflags(write=False)
        return array
    if origin is tuple:
        members = [arguments[0]] * len(value) if arguments[-1:] == (...,) else arguments
        return tuple(
            from_plain(member, item, f"{where}[{i}]")
            for i, (member, item) in enumerate(zip(members, value, strict=True))
        )
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in arguments:
            return None
        return from_plain(next(a for a in arguments if a is not type(None)), value, where)
    if origin is typing.Literal:
        if value not in arguments:
            raise RecordingError(f"{where} is {value!r}, expected one of {arguments}")
        return value
    if kind in (bool, int, float, str):
        return kind(value)
    raise RecordingError(f"{where} has the type {kind}, which a recording cannot hold")


def _dataclass(kind: type[T], value: Any, where: str) -> T:
    names = [field.name for field in dataclasses.fields(kind) if field.init]  # pyright: ignore[reportArgumentType]
    found = set(value) if isinstance(value, dict) else set[str]()
    if not isinstance(value, dict) or found != set(names):
        raise RecordingError(
            f"{where} is not a {kind.__name__} of this version: missing {sorted(set(names) - found)},"
            f" unknown {sorted(found - set(names))}"
        )
    hints = _hints(kind)
    return kind(**{name: from_plain(hints[name], value[name], f"{where}.{name}") for name in names})
