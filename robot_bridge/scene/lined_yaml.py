"""Read YAML strictly: every complaint names the file, the line and the key.

A `Field` is one place in the document. It hands out numbers, words and sub-fields, and refuses what is
missing, unknown, of another kind, or out of range.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import yaml

from robot_contract.errors import SceneError, nearest_name


@dataclass(frozen=True, kw_only=True, eq=False)
class Field:
    file: str
    key: str  # dotted path, for messages
    node: yaml.Node

    def refuse(self, complaint: str) -> NoReturn:
        raise SceneError(f"{self.file}:{self.node.start_mark.line + 1}: {self.key}: {complaint}")

    def mapping(self, required: Sequence[str], optional: Sequence[str] = ()) -> dict[str, "Field"]:
        """The named keys, all of the required ones and no others."""
        found = dict(self.items())
        for key in found:
            if key not in required and key not in optional:
                found[key].refuse(f"unknown key; {nearest_name(key, [*required, *optional])}")
        missing = [key for key in required if key not in found]
        if missing:
            self.refuse(f"missing {', '.join(missing)}")
        return found

    def items(self) -> Iterator[tuple[str, "Field"]]:
        if not isinstance(self.node, yaml.MappingNode):
            self.refuse("expected key: value pairs")
        seen: set[str] = set()
        for key_node, value_node in self.node.value:
            key = str(key_node.value)
            inner = Field(file=self.file, key=f"{self.key}.{key}", node=value_node)
            if key in seen:
                inner.refuse("this key stands here twice")
            seen.add(key)
            yield key, inner

    def elements(self) -> list["Field"]:
        if not isinstance(self.node, yaml.SequenceNode):
            self.refuse("expected a list")
        return [
            Field(file=self.file, key=f"{self.key}[{i}]", node=node) for i, node in enumerate(self.node.value)
        ]

    def number(self, low: float, high: float) -> float:
        text = self._scalar("a number")
        try:
            value = float(text)
        except ValueError:
            self.refuse(f"expected a number, found {text!r}")
        if not low <= value <= high:
            self.refuse(f"{value:g} is outside {low:g} to {high:g}")
        return value

    def whole(self, low: int, high: int) -> int:
        value = self.number(low, high)
        if value != int(value):
            self.refuse(f"expected a whole number, found {value:g}")
        return int(value)

    def numbers(self, count: int, low: float, high: float) -> tuple[float, ...]:
        elements = self.elements()
        if len(elements) != count:
            self.refuse(f"expected {count} numbers, found {len(elements)}")
        return tuple(element.number(low, high) for element in elements)

    def word(self, accepted: Sequence[str] | None = None) -> str:
        text = self._scalar("text")
        if not text:
            self.refuse("expected text, found nothing")
        if accepted is not None and text not in accepted:
            self.refuse(f"{text!r} is not accepted; {nearest_name(text, accepted)}")
        return text

    def words(self) -> tuple[str, ...]:
        words = tuple(element.word() for element in self.elements())
        if not words:
            self.refuse("expected at least one entry")
        return words

    def path(self, folder: Path) -> Path:
        """A relative one is seen from that folder, the file's own."""
        return folder / Path(self.word()).expanduser()

    def flag(self) -> bool:
        return self.word(["true", "false"]) == "true"

    def _scalar(self, wanted: str) -> str:
        if not isinstance(self.node, yaml.ScalarNode):
            self.refuse(f"expected {wanted}")
        return str(self.node.value)


def read_lined_yaml(path: Path) -> Field:
    """The document's root field."""
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SceneError(f"{path.name}:{line}: not YAML: {error.problem}") from None
    if node is None:
        raise SceneError(f"{path.name}:1: the file is empty")
    return Field(file=path.name, key="document", node=node)
