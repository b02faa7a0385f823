"""The policy that a checkout ships: whole, small, and as good as its report says."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from policy_server.checkpoint import open_checkpoint

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "checkpoints" / "tiny-put-on"


def test_it_is_whole_and_small_and_says_how_good_it_is() -> None:
    checkpoint = open_checkpoint(SHIPPED)
    assert checkpoint.contract.name == "tiny-put-on"
    assert sum(file.stat().st_size for file in SHIPPED.rglob("*")) < 15e6
    train = json.loads((SHIPPED / "report.json").read_text())["evaluations"]["splits"]["train"]
    assert train["n"] >= 200
    assert train["low"] <= train["k"] / train["n"] <= train["high"]


@pytest.mark.slow
def test_it_succeeds_in_most_of_a_few_scenes_of_training_s_kind(tmp_path: Path) -> None:
    """80 of 100 in the long run; fewer than 10 of 20 would be one case in a thousand."""
    pytest.importorskip("sapien", reason="ManiSkill is not installed here", exc_type=ImportError)
    figures = tmp_path / "figures.json"
    command = [
        sys.executable,
        "-m",
        "sim_train",
        "evaluate",
        str(SHIPPED),
        "--split",
        "train",
        "--episodes",
        "20",
    ]
    subprocess.run(
        [*command, "--out", str(tmp_path / "run"), "--json", str(figures)], check=True, cwd=ROOT, timeout=280
    )
    assert json.loads(figures.read_text())["splits"]["train"]["k"] >= 10
