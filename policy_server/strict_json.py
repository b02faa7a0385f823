"""Read JSON into frozen dataclasses and refuse whatever is not exactly that.

Every field must be there, none may be unknown, every value must have its declared type; a repeated key, NaN
or infinity is refused. Each refusal is one `ContractError` sentence naming the file and the key.
"""

import dataclasses
import json
import sys
import types
import typing
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import numpy as np

from robot_contract.errors import ContractError, nearest_name

T = TypeVar("T")


def read_json_file(path: Path) -> Any:
    """The document of a JSON file, with a sentence that names the file when there is none."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ContractError(f"{path}: this file is missing") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ContractError(f"{path}: cannot be read as text ({error})") from None
    return parse_json(text, file=str(path))


def parse_json(text: str, *, file: str) -> Any:
    def once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        document = dict(pairs)
        if len(document) != len(pairs):
            names = [name for name, _ in pairs]
            repeated = next(name for name in names if names.count(name) > 1)
            raise ContractError(f"{file}: the key {repeated!r} stands twice in one object")
        return document

    def refuse(constant: str) -> Any:
        raise ContractError(f"{file}: found {constant}, expected finite numbers only")

    try:
        return json.loads(text, object_pairs_hook=once_each, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise ContractError(f"{file}:{error.lineno}: not valid JSON: {error.msg}") from None
    except RecursionError:
        raise ContractError(f"{file}: not valid JSON: nested too deeply") from None
    except ContractError:
        raise
    except ValueError:  # an integer of thousands of digits
        raise ContractError(f"{file}: not valid JSON: a number is too long") from None


def dataclass_from_document(kind: type[T], document: Any, *, file: str, key: str = "") -> T:
    """Build `kind` (and the dataclasses inside it) from plain JSON values."""
    if not isinstance(document, dict):
        raise _wrong(file, key, "an object", document)
    entries = cast(dict[str, Any], document)
    hints = typing.get_type_hints(kind)
    names = [f.name for f in dataclasses.fields(cast(Any, kind)) if f.init]
    for name in entries:
        if name not in names:
            raise ContractError(f"{file}: {_join(key, name)} is unknown; {nearest_name(name, names)}")
    for name in names:
        if name not in entries:
            raise ContractError(f"{file}: {_join(key, name)} is missing")
    values = {name: _value(hints[name], entries[name], file, _join(key, name)) for name in names}
    try:
        return kind(**values)
    except ContractError as error:
        raise ContractError(f"{file}: {error}") from None


def _value(hint: Any, found: Any, file: str, key: str) -> Any:
    origin = typing.get_origin(hint)
    if dataclasses.is_dataclass(hint):
        return dataclass_from_document(cast(type, hint), found, file=file, key=key)
    if origin is Literal:
        return _choice(typing.get_args(hint), found, file, key)
    if origin is tuple:
        return _tuple(typing.get_args(hint), found, file, key)
    if origin is np.ndarray:
        return _vector(found, file, key)
    if origin in (typing.Union, types.UnionType):
        accepted = [kind for kind in typing.get_args(hint) if kind is not type(None)]
        assert len(accepted) == 1, f"{key}: a field may be one type or null, not {hint}"
        return None if found is None else _value(accepted[0], found, file, key)
    return _scalar(hint, found, file, key)


def _scalar(hint: Any, found: Any, file: str, key: str) -> Any:
    if hint is bool:
        if isinstance(found, bool):
            return found
        raise _wrong(file, key, "true or false", found)
    if hint is int:
        if isinstance(found, int) and not isinstance(found, bool):
            return found
        raise _wrong(file, key, "a whole number", found)
    if hint is float:
        return _number(found, file, key)
    if hint is str:
        if isinstance(found, str):
            return found
        raise _wrong(file, key, "a string", found)
    raise AssertionError(f"{key}: no reader for {hint}")


def _number(found: Any, file: str, key: str) -> float:
    if isinstance(found, bool) or not isinstance(found, int | float) or not abs(found) <= sys.float_info.max:
        raise _wrong(file, key, "a finite number", found)
    return float(found)


def _choice(accepted: tuple[Any, ...], found: Any, file: str, key: str) -> Any:
    for choice in accepted:
        if type(found) is type(choice) and found == choice:
            return choice
    raise _wrong(file, key, f"one of {', '.join(map(str, accepted))}", found)


def _tuple(inner: tuple[Any, ...], found: Any, file: str, key: str) -> tuple[Any, ...]:
    if not isinstance(found, list):
        raise _wrong(file, key, "a list", found)
    items = cast(list[Any], found)
    if len(inner) == 2 and inner[1] is Ellipsis:
        return tuple(_value(inner[0], item, file, f"{key}[{i}]") for i, item in enumerate(items))
    if len(items) != len(inner):
        raise _wrong(file, key, f"a list of {len(inner)}", items)
    return tuple(_value(hint, item, file, f"{key}[{i}]") for i, (hint, item) in enumerate(zip(inner, items)))


def _vector(found: Any, file: str, key: str) -> Any:
    if not isinstance(found, list):
        raise _wrong(file, key, "a list of numbers", found)
    items = cast(list[Any], found)
    return np.array([_number(item, file, f"{key}[{i}]") for i, item in enumerate(items)], dtype=np.float64)


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _wrong(file: str, key: str, expected: str, found: Any) -> ContractError:
    shown = json.dumps(found)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return ContractError(f"{file}: {key or 'the document'}: expected {expected}, found {shown}")
