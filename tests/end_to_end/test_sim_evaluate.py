"""`sim-train evaluate` as a user runs it: on the stand-in, over gRPC, killed, resumed, through the bridge."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from policy_server.checkpoint import open_checkpoint
from policy_server.server_process import ServerProcess
from robot_contract.errors import ContractError, StudyError
from sim_train.evaluation.bridge_way import time_limit
from sim_train.evaluation.command import evaluate
from sim_train.evaluation.evaluation import Evaluation, run_evaluation
from sim_train.evaluation.outcome import Outcome
from sim_train.evaluation.plan import plan_episodes
from sim_train.evaluation.reporting import run_and_report
from sim_train.evaluation.source import Source
from sim_train.put_on.suite import put_on_suite
from sim_train.stand_in import STAND_IN
from sim_train.untrained import make_untrained_checkpoint


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoints") / "untrained"
    make_untrained_checkpoint(path, STAND_IN)
    return path


def evaluation(
    source: Source, out: Path, *, episodes: int = 3, split: str = "two", **fields: object
) -> Evaluation:
    plan = plan_episodes(STAND_IN.name, STAND_IN.tasks, splits=[split], episodes=episodes)
    return Evaluation(suite=STAND_IN, source=source, plan=plan, out=out, **fields)  # type: ignore[arg-type]


def played(evaluated: Evaluation) -> list[Outcome]:
    return list(run_evaluation(evaluated).outcomes)


def test_the_command_prints_records_and_shows(folder: Path, tmp_path: Path) -> None:
    page, figures = tmp_path / "report.html", tmp_path / "figures.json"
    finished = subprocess.run(
        [
            *(sys.executable, "-m", "sim_train", "evaluate", str(folder), "--suite", "stand-in"),
            *("--split", "all", "two", "--episodes", "4", "--robots", "3", "--films", "2", "--record"),
            *("--out", str(tmp_path / "out"), "--json", str(figures), "--html", str(page)),
        ],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    document = json.loads(figures.read_text())
    assert document["checkpoint"] == "untrained"
    assert document["decoding"] == "greedy"
    assert {name: split["n"] for name, split in document["splits"].items()} == {"stand-in": 4, "two": 4}
    assert {"k", "n", "low", "high"} <= set(document["splits"]["two"])
    assert "greedy" in finished.stdout
    assert page.read_text().count("<video") == 2
    assert "ended otherwise" not in page.read_text(), "the same actions lead to the same end"
    recorded = open_checkpoint(folder).report["evaluations"]
    assert recorded == document
    assert str(folder.parent) not in json.dumps(recorded), "no machine's paths in a checkpoint"


@pytest.mark.parametrize(
    ("checkpoint", "options", "complaint"),
    [
        ("nowhere", {}, "nowhere: expected a checkpoint folder"),
        ("expert", {"split": ("tow",)}, "did you mean 'two'"),
        ("expert", {"temperature": 0.5}, "give --sample"),
        ("expert", {"sample": True}, "expert neither samples"),
        ("expert", {"record": True}, "--record writes into a checkpoint folder"),
        ("expert", {"through_bridge": True}, "twin knows the put-on task only"),
        ("expert", {"execute_steps": 9}, "expected 1 to 8"),
        ("expert", {"workers": 0}, "expected at least 1"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    checkpoint: str, options: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    with pytest.raises((ContractError, StudyError), match=complaint):
        evaluate(checkpoint, suite="stand-in", episodes=1, out=tmp_path, **options)


def test_one_worker_or_two_play_the_same_episodes(folder: Path, tmp_path: Path) -> None:
    source = Source(checkpoint=str(folder))
    alone = played(evaluation(source, tmp_path / "alone"))
    assert alone == played(evaluation(source, tmp_path / "together", workers=2, robots=2))


def test_a_killed_evaluation_goes_on_where_it_was(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [
        *(sys.executable, "-m", "sim_train", "evaluate", str(folder), "--suite", "stand-in"),
        *("--split", "two", "--episodes", "500", "--out", str(out)),
    ]
    journal = out / "episodes.jsonl"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 600.0
        while not (journal.exists() and journal.read_bytes().count(b"\n") > 4):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    kept = journal.read_bytes()
    kept = kept[: kept.rfind(b"\n") + 1]
    before = kept.count(b"\n") - 1
    assert before < 500
    seen: list[int] = []
    resumed = run_evaluation(
        evaluation(Source(checkpoint=str(folder)), out, episodes=before + 2),
        progress=lambda outcomes, total: seen.append(len(outcomes)),
    )
    assert seen == [before, before + 1, before + 2], "only what was missing is played"
    assert journal.read_bytes().startswith(kept)
    fresh = evaluation(Source(checkpoint=str(folder)), tmp_path / "fresh", episodes=before + 2)
    assert list(resumed.outcomes) == played(fresh)


def test_another_policy_does_not_go_on_with_these_episodes(folder: Path, tmp_path: Path) -> None:
    other = make_untrained_checkpoint(tmp_path / "untrained", STAND_IN, seed=1)
    played(evaluation(Source(checkpoint=str(folder)), tmp_path / "out", episodes=1))
    with pytest.raises(StudyError, match="policy_digest"):
        played(evaluation(Source(checkpoint=str(other.path)), tmp_path / "out", episodes=1))


def test_a_served_policy_is_evaluated_over_grpc(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("policy_server.server_process.START_SECONDS", 280.0)  # on a busy machine
    here = played(evaluation(Source(checkpoint=str(folder)), tmp_path / "here"))
    with ServerProcess(["--checkpoints", f"arm={folder}"]) as server:
        served = Source(checkpoint="arm", server=server.address, robots=2)
        result = run_evaluation(evaluation(served, tmp_path / "there", robots=2))
        other = make_untrained_checkpoint(tmp_path / "arm", STAND_IN, seed=1)
        with pytest.raises(ContractError, match="serves another 'arm'"):
            Source(checkpoint=str(other.path), server=server.address).open()
    assert result.settings.served
    assert not result.is_plain
    assert [outcome.succeeded for outcome in result.outcomes] == [outcome.succeeded for outcome in here]
    with pytest.raises(StudyError, match="cannot be sampled"):
        replace(served, temperature=1.0).open()
    with pytest.raises(StudyError, match="give --tls"):
        Source(checkpoint="arm", server="192.0.2.1:50051").open()


def test_sampling_is_said_and_never_called_greedy(tmp_path: Path) -> None:
    make_untrained_checkpoint(tmp_path / "tokens", STAND_IN, head="tokens")
    source = Source(checkpoint=str(tmp_path / "tokens"), temperature=0.7)
    result = run_evaluation(evaluation(source, tmp_path / "out", episodes=1))
    assert (result.settings.decoding, result.settings.temperature) == ("sampled", 0.7)
    assert not result.is_plain


# through the bridge


def through_bridge(source: Source, out: Path, *, episodes: int = 1, **fields: object) -> Evaluation:
    suite = put_on_suite()
    plan = plan_episodes(suite.name, suite.tasks, splits=["train"], episodes=episodes)
    return Evaluation(suite=suite, source=source, plan=plan, out=out, **fields)  # type: ignore[arg-type]


def test_the_expert_finishes_through_the_real_control_loop(tmp_path: Path) -> None:
    result = run_evaluation(through_bridge(Source(checkpoint="expert"), tmp_path, episodes=1, latency=0.1))
    for outcome in result.outcomes:
        assert outcome.succeeded, outcome
        assert (outcome.stage, outcome.first_grasp, outcome.ended) == ("place", "named", "")
    assert result.settings.way == "bridge"
    assert not result.is_plain


def test_a_checkpoint_drives_the_twin_and_latency_is_charged(tmp_path: Path) -> None:
    folder = tmp_path / "untrained"
    make_untrained_checkpoint(folder, put_on_suite())
    html = tmp_path / "report.html"
    played_through = through_bridge(Source(checkpoint=str(folder)), tmp_path / "out", latency=0.3)
    document = run_and_report(played_through, json_file=None, html=html, films=3, record=False)
    assert document["settings"]["latency"] == 0.3
    assert document["splits"]["train"]["n"] == 1
    assert "<video" in html.read_text()


def test_waiting_for_chunks_does_not_eat_an_episodes_time() -> None:
    assert time_limit(8, 0.1) == pytest.approx(12.0 + 15 * 0.2)
    assert time_limit(1, 0.3) - time_limit(1, 0.1) == pytest.approx(120 * 0.2)
