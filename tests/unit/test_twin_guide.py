"""What docs/twin.md tells people to run does run."""

import re
from pathlib import Path

from robot_bridge.twin import faults, reflexes

GUIDE = (Path(__file__).parents[2] / "docs" / "twin.md").read_text(encoding="utf-8")


def test_the_python_example_runs() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    scope: dict[str, object] = {}
    exec(compile(example, "docs/twin.md", "exec"), scope)
    frame = scope["frame"]
    assert frame is not None


def test_the_faults_are_those_that_there_are() -> None:
    (listed,) = re.findall(r"`world\.faults`[^:]*: (.*?);", GUIDE, re.DOTALL)
    names = set(re.findall(r"`(\w+)`", listed))
    restoring = {"restore_camera", "restore_link", "free_gripper", "clear"}
    there = {name for name in vars(faults.Faults) if not name.startswith("_")}
    assert names == there - restoring


def test_the_reflexes_are_those_that_there_are() -> None:
    source = Path(reflexes.__file__).read_text(encoding="utf-8")
    for name in re.findall(r'return "(\w+)"', source):
        assert f"`{name}`" in GUIDE
