"""A wrong rig file: the bridge does not start, and names file, line and key."""

import subprocess
import sys

import pytest

from robot_bridge.rig_file import find_rig

WRONG = {
    "inside_out": ("low: [0.1, -0.5, -0.2]", "low: [0.9, -0.5, -0.2]", "workspace"),
    "below_the_table": ("high: [0.8, 0.5, 0.8]", "high: [0.8, 0.5, -0.1]", "workspace"),
    "nan": ("table_height: 0.0", "table_height: .nan", "table_height"),
    "infinite": ("chunk: 0.1", "chunk: .inf", "chunk"),
    "above_the_makers": (
        "  profile: reduced",
        "  joint_speed_share: 1.5\n  profile: reduced",
        "joint_speed_share",
    ),
    "unknown_profile": ("profile: reduced", "profile: fast", "profile"),
    "misspelt": ("longest_hold:", "longest_holt:", "longest_hol"),
    "real_arm_without_key": ("driver: mock\n  id: mock-arm", "driver: franka\n  id: arm", "options"),
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """What a bridge says to each of them, all asked at once."""
    folder = tmp_path_factory.mktemp("rigs")
    programs: dict[str, subprocess.Popen[str]] = {}
    for name, (old, new, _) in WRONG.items():
        text = find_rig("mock").read_text()
        assert old in text, name
        path = folder / f"{name}.yaml"
        path.write_text(text.replace(old, new, 1))
        programs[name] = subprocess.Popen(
            [sys.executable, "-m", "robot_bridge", "run", "--rig", str(path), "--address", "127.0.0.1:0"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
    found: dict[str, tuple[int, str]] = {}
    for name, program in programs.items():
        _, errors = program.communicate(timeout=120)
        found[name] = (program.returncode, errors)
    return found


@pytest.mark.parametrize("name", WRONG)
def test_fault_19_wrong_rig_is_refused(answers: dict[str, tuple[int, str]], name: str) -> None:
    status, said = answers[name]
    assert status == 2
    assert f"{name}.yaml" in said
    assert WRONG[name][2] in said
    assert "Traceback" not in said
    assert any(f"{name}.yaml:{line}" in said for line in range(1, 80)), said
