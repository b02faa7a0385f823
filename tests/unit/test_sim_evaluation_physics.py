"""Which physics an evaluation runs on: a suite's batch of cells is opened when it is asked for, and named."""

from dataclasses import replace
from pathlib import Path

import pytest

from robot_contract.errors import StudyError
from sim_train.evaluation.evaluation import Evaluation, run_evaluation
from sim_train.evaluation.plan import plan_episodes
from sim_train.evaluation.source import EXPERT, Source
from sim_train.stand_in import STAND_IN
from sim_train.suites import Suite
from sim_train.vector import Cells, LocalCells

PLAN = plan_episodes("stand-in", STAND_IN.tasks, splits=["two"], episodes=5)


def test_all_cells_come_from_the_suite_s_batch_and_the_figures_say_so(tmp_path: Path) -> None:
    opened: list[int] = []

    def open_batch(count: int) -> Cells:
        opened.append(count)
        return LocalCells(STAND_IN, count)

    suite = replace(STAND_IN, open_batch=open_batch)
    result = run_evaluation(evaluation(suite, tmp_path / "gpu", physics="gpu", robots=3))
    assert opened == [3]
    assert [outcome.succeeded for outcome in result.outcomes] == [True] * 5
    assert result.settings.way == "gpu"
    assert "physics on a GPU" in result.settings.title()
    plain = run_evaluation(evaluation(suite, tmp_path / "cpu", robots=3))
    assert opened == [3]
    assert plain.settings.way == "simulation"
    assert plain.settings.key != result.settings.key


def evaluation(suite: Suite, out: Path, **changes: object) -> Evaluation:
    made = Evaluation(suite=suite, source=Source(checkpoint=EXPERT), plan=PLAN, out=out)
    return replace(made, **changes)  # pyright: ignore[reportArgumentType]


def test_what_a_batch_cannot_do_is_refused(tmp_path: Path) -> None:
    suite = replace(STAND_IN, open_batch=lambda count: LocalCells(STAND_IN, count))
    with pytest.raises(StudyError, match="stand-in has no physics on a GPU"):
        evaluation(STAND_IN, tmp_path, physics="gpu")
    with pytest.raises(StudyError, match="give 4 robots, and not 2 workers"):
        evaluation(suite, tmp_path, physics="gpu", robots=4, workers=2)
    with pytest.raises(StudyError, match="the twin's physics"):
        evaluation(replace(suite, name="put-on"), tmp_path, physics="gpu", latency=0.1)
