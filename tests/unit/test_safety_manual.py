"""The safety manual names tests that exist, and a test for every fault."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
MANUAL = (ROOT / "docs" / "safety.md").read_text()
FAULTS = range(1, 21)


def test_every_test_it_names_exists() -> None:
    defined = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    named = set(re.findall(r"`(test_\w+)`", MANUAL))
    assert len(named) > 30
    assert named <= defined, named - defined


def test_every_fault_is_in_its_table() -> None:
    rows = re.findall(r"^\| ([\d, ]+) \|", MANUAL, re.MULTILINE)
    listed = {int(number) for row in rows for number in row.split(",")}
    assert listed == set(FAULTS)


def test_it_says_what_it_is_not() -> None:
    assert "safety rated" in MANUAL.split("##")[0]
