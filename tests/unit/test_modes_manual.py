"""The manual's table of modes is the one that the bridge runs by."""

from pathlib import Path

from robot_bridge.modes import table_for_people

MANUAL = Path(__file__).parents[2] / "docs" / "bridge.md"


def test_manual_has_the_table() -> None:
    text = MANUAL.read_text()
    between = text.split("<!-- modes -->")[1].split("<!-- /modes -->")[0].strip()
    assert between == table_for_people(), "run `robot-bridge modes` and put its table there"
