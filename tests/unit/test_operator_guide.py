"""The operator's guide quotes the bridge's own sentences: each of them stands in the source."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from robot_bridge.franka.errors import ADVICE

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "operator_guide.md").read_text()
LITERAL = 10  # so many letters of a sentence must be the source's own


def section(name: str) -> str:
    return GUIDE.split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0]


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip().strip("|").split(" | ")]


def quoted(cell: str) -> str:
    return cell.strip("`")


SENTENCES = [quoted(cells(row)[0]) for row in section("sentences").splitlines() if row.startswith("| `")]


def pattern(node: ast.expr) -> str | None:
    """A regular expression for what a string or an f-string in the source may become."""
    match node:
        case ast.Constant(value=str(text)) if len(text) >= LITERAL:
            return re.escape(text)
        case ast.JoinedStr(values=values):
            parts = [
                re.escape(str(value.value)) if isinstance(value, ast.Constant) else ".*?" for value in values
            ]
            literal = sum(len(str(value.value)) for value in values if isinstance(value, ast.Constant))
            return "".join(parts) if literal >= LITERAL else None
    return None


@cache
def patterns() -> frozenset[str]:
    found: set[str | None] = set()
    for path in sorted((ROOT / "robot_bridge").rglob("*.py")):
        if "_pb2" not in path.name:
            found |= {pattern(n) for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.expr)}
    return frozenset(each for each in found if each is not None)


def stands_in_the_source(sentence: str) -> bool:
    return any(re.fullmatch(each, sentence) for each in patterns())


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_quoted_sentence_is_one_of_the_bridge(sentence: str) -> None:
    assert stands_in_the_source(sentence)


@pytest.mark.parametrize(
    "sentence", ["the arm is tired", "no usable chunk", "camera wrist: its picture is old"]
)
def test_an_invented_sentence_is_found(sentence: str) -> None:
    assert not stands_in_the_source(sentence)


def test_the_guide_quotes_more_than_a_few() -> None:
    assert len(SENTENCES) >= 30


def test_every_row_says_what_to_do() -> None:
    for row in section("sentences").splitlines():
        if row.startswith("| `"):
            assert len(cells(row)) == 2, row
            assert len(cells(row)[1]) > 5, row


def test_the_arm_s_errors_are_listed_with_the_advice_that_the_bridge_gives() -> None:
    rows = [f"| `{name}` | {advice} |" for name, advice in ADVICE.items()]
    assert section("arm errors").strip().splitlines()[2:] == rows


def test_the_emergency_stop_comes_first() -> None:
    headings = re.findall(r"^## (.*)$", GUIDE, re.MULTILINE)
    assert headings[0].startswith("1. The emergency stop")
    readme = (ROOT / "README.md").read_text()
    steps = readme.split("## A real robot, step by step")[1].split("\n## ")[0]
    assert "emergency stop" in steps.strip().split("\n\n")[0].lower()
    assert "ros2 launch robot_bridge franka.launch.py" in steps
