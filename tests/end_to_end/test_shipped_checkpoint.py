"""The policies that a checkout ships: whole, small, and as good as their reports say."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from policy_server.checkpoint import open_checkpoint

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "checkpoints" / "tiny-put-on"
START_OF_RL = ROOT / "checkpoints" / "tiny-put-on-few"


@pytest.mark.parametrize(("folder", "least", "most"), [(SHIPPED, 0.8, 1.0), (START_OF_RL, 0.5, 0.75)])
def test_it_is_whole_and_small_and_says_how_good_it_is(folder: Path, least: float, most: float) -> None:
    checkpoint = open_checkpoint(folder)
    assert checkpoint.contract.name == folder.name
    assert sum(file.stat().st_size for file in folder.rglob("*")) < 15e6
    train = json.loads((folder / "report.json").read_text())["evaluations"]["splits"]["train"]
    assert train["n"] >= 200
    assert least <= train["k"] / train["n"] <= most
    assert train["low"] <= train["k"] / train["n"] <= train["high"]


def test_what_reinforcement_learning_starts_from_has_likelihoods() -> None:
    assert json.loads((START_OF_RL / "model.json").read_text())["head"] == "laplace"


@pytest.mark.slow
def test_it_succeeds_in_most_of_a_few_scenes_of_training_s_kind(tmp_path: Path) -> None:
    """Four of five in the long run; fewer than 10 of 20 would be one case in a thousand."""
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
