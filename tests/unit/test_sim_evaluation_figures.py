"""The plan of episodes, the journal and the figures: what an evaluation says and keeps."""

import json
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from robot_bridge.scene.splits import AXES, split_names
from robot_contract.errors import StudyError
from sim_train.evaluation.films import Filmed, worth_seeing, write_film
from sim_train.evaluation.journal import Journal
from sim_train.evaluation.outcome import Outcome, from_document, to_line
from sim_train.evaluation.page import report_page
from sim_train.evaluation.plan import plan_episodes
from sim_train.evaluation.record import with_evaluation
from sim_train.evaluation.settings import Settings
from sim_train.evaluation.summary import summary_document, table
from sim_train.seeds import is_for_training

LIBERO_TASKS = tuple(str(number) for number in range(10))
SETTINGS = Settings(
    checkpoint="tiny",
    policy_digest="a" * 64,
    suite="put-on",
    decoding="greedy",
    temperature=None,
    sampling_seed=None,
    execute_steps=8,
    instruct="named",
    way="simulation",
    latency=None,
    served=False,
)


def outcome(seed: int = 0, **fields: object) -> Outcome:
    given_fields: dict[str, object] = {
        "split": "train",
        "task": "train",
        "seed": seed,
        "instruction": "put the can on the plate",
        "succeeded": True,
        "steps": 40,
        "reward": 1.2,
        "stage": "place",
        "first_grasp": "named",
    }
    return Outcome(**(given_fields | fields))  # type: ignore[arg-type]


# the plan


def test_every_axis_gets_its_episodes_in_equal_shares_of_its_parts() -> None:
    plan = plan_episodes("put-on", split_names(), splits=["all"], episodes=48)
    assert Counter(planned.split for planned in plan) == dict.fromkeys(AXES, 48)
    for axis, members in AXES.items():
        parts = Counter(planned.episode.task for planned in plan if planned.split == axis)
        assert set(parts) == set(members)
        assert max(parts.values()) - min(parts.values()) <= 1


def test_no_episode_is_one_that_training_may_use() -> None:
    for seed in (0, 17):
        plan = plan_episodes("put-on", split_names(), splits=["all", "unseen_table"], episodes=20, seed=seed)
        assert not any(is_for_training(planned.episode.seed) for planned in plan)
        assert len(set(plan)) == len(plan)


def test_more_episodes_contain_the_fewer() -> None:
    few, many = (plan_episodes("put-on", split_names(), splits=["vision"], episodes=n) for n in (10, 25))
    assert many[:10] == few


def test_a_libero_suite_runs_its_official_states_in_order() -> None:
    plan = plan_episodes("libero_spatial", LIBERO_TASKS, splits=["all"], episodes=500)
    assert {planned.split for planned in plan} == {"libero_spatial"}
    seen = {(planned.episode.task, planned.episode.seed) for planned in plan}
    assert seen == {(task, state) for task in LIBERO_TASKS for state in range(50)}
    with pytest.raises(StudyError, match="501 episodes"):
        plan_episodes("libero_spatial", LIBERO_TASKS, splits=["all"], episodes=501)
    # Another task is another environment there: all of one task first.
    changes = [a.episode.task != b.episode.task for a, b in pairwise(plan)]
    assert sum(changes) == len(LIBERO_TASKS) - 1
    alone = plan_episodes("libero_spatial", LIBERO_TASKS, splits=["3"], episodes=5)
    assert [(planned.split, planned.episode.task, planned.episode.seed) for planned in alone] == [
        ("3", "3", state) for state in range(5)
    ]


def test_unknown_splits_are_refused_with_the_nearest() -> None:
    with pytest.raises(StudyError, match="did you mean 'vision'"):
        plan_episodes("put-on", split_names(), splits=["visoin"], episodes=1)
    with pytest.raises(StudyError, match="no split to evaluate"):
        plan_episodes("put-on", split_names(), splits=[], episodes=1)
    with pytest.raises(StudyError, match="0 episodes"):
        plan_episodes("put-on", split_names(), splits=["train"], episodes=0)


# the journal


def test_a_journal_gives_back_what_was_put_in(tmp_path: Path) -> None:
    file = tmp_path / "episodes.jsonl"
    with Journal(file, SETTINGS) as journal:
        journal.add(outcome(1, notes={"stage": 5.0}))
        journal.void("train", "train", 2, "its worker died")
        journal.add(outcome(3, succeeded=False, first_grasp=None))
    with Journal(file, SETTINGS) as journal:
        assert list(journal.outcomes.values()) == [
            outcome(1, notes={"stage": 5.0}),
            outcome(3, succeeded=False, first_grasp=None),
        ]
        assert journal.voided == 1


def test_a_line_that_a_crash_cut_off_is_dropped_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "episodes.jsonl"
    with Journal(file, SETTINGS) as journal:
        journal.add(outcome(1))
        journal.add(outcome(2))
    whole = file.read_bytes()
    file.write_bytes(whole[:-7])
    with Journal(file, SETTINGS) as journal:
        assert [found.seed for found in journal.outcomes.values()] == [1]
        journal.add(outcome(2))
    assert file.read_bytes() == whole


@pytest.mark.parametrize(
    "other",
    [
        {"policy_digest": "b" * 64},
        {"execute_steps": 4},
        {"instruct": "other"},
        {"way": "bridge", "latency": 0.1},
        {"decoding": "sampled", "temperature": 1.0, "sampling_seed": 0},
        {"served": True},
    ],
)
def test_episodes_of_other_conditions_are_refused(tmp_path: Path, other: dict[str, object]) -> None:
    file = tmp_path / "episodes.jsonl"
    with Journal(file, SETTINGS) as journal:
        journal.add(outcome())
    settings = replace(SETTINGS, **other)  # type: ignore[arg-type]
    assert settings.key != SETTINGS.key
    with pytest.raises(StudyError, match=f"another evaluation.*{next(iter(other))}"):
        Journal(file, settings)


def test_a_renamed_folder_is_the_same_policy(tmp_path: Path) -> None:
    file = tmp_path / "episodes.jsonl"
    Journal(file, SETTINGS).close()
    renamed = replace(SETTINGS, checkpoint="elsewhere")
    Journal(file, renamed).close()
    assert renamed.key == SETTINGS.key


def test_two_evaluations_never_write_one_journal(tmp_path: Path) -> None:
    file = tmp_path / "episodes.jsonl"
    with Journal(file, SETTINGS), pytest.raises(StudyError, match="is writing it now"):
        Journal(file, SETTINGS)
    Journal(file, SETTINGS).close()


def test_a_foreign_file_is_not_taken_for_a_journal(tmp_path: Path) -> None:
    file = tmp_path / "episodes.jsonl"
    for content, complaint in (("[]\n", "one JSON object"), ('{"schema": 7}\n', "schema 1")):
        file.write_text(content)
        with pytest.raises(StudyError, match=complaint):
            Journal(file, SETTINGS)
        assert file.read_text() == content


def test_sampling_and_latency_stand_only_where_they_belong() -> None:
    for wrong in ({"temperature": 1.0}, {"decoding": "sampled"}, {"latency": 0.1}, {"way": "bridge"}):
        with pytest.raises(StudyError, match="belong"):
            replace(SETTINGS, **wrong)  # type: ignore[arg-type]


def test_an_unknown_field_of_an_episode_is_refused() -> None:
    document = json.loads(to_line(outcome())) | {"lucky": True}
    with pytest.raises(StudyError, match=r"x\.jsonl:3"):
        from_document(document, where="x.jsonl:3")


# figures


MIXED = [
    *(outcome(seed, task="unseen_table", split="vision", steps=30 + seed) for seed in range(3)),
    outcome(3, task="distractors", split="vision", succeeded=False, first_grasp="other", stage="reach"),
    outcome(4, task="distractors", split="vision", succeeded=False, first_grasp="none", stage="start"),
    outcome(5, succeeded=False, ended="pressed <against> a limit", stage="lift"),
]


def test_figures_per_split_and_part() -> None:
    document = summary_document(SETTINGS, MIXED, voided=2)
    assert {"checkpoint", "decoding", "splits"} <= set(document)
    vision, train = document["splits"]["vision"], document["splits"]["train"]
    exact = binomtest(3, 5).proportion_ci(0.95, method="exact")
    assert (vision["k"], vision["n"]) == (3, 5)
    assert (vision["low"], vision["high"]) == pytest.approx((exact.low, exact.high))
    assert vision["mean_steps_to_success"] == 31
    assert vision["first_grasp"] == {"named": 3, "other": 1, "none": 1}
    assert (vision["named_of_grasps"]["k"], vision["named_of_grasps"]["n"]) == (3, 4)
    assert {part: (f["k"], f["n"]) for part, f in vision["parts"].items()} == {
        "unseen_table": (3, 3),
        "distractors": (0, 2),
    }
    assert "parts" not in train
    assert "mean_steps_to_success" not in train
    assert train["ended_otherwise"] == {"pressed <against> a limit": 1}
    json.dumps(document, allow_nan=False)
    assert "3/5" in table(document)


def test_failures_of_every_part_are_shown_before_more_of_one() -> None:
    many = [outcome(seed, succeeded=False) for seed in range(20)]
    chosen = worth_seeing([*many, *MIXED], 3)
    assert [(one.split, one.task) for one in chosen] == [
        ("train", "train"),
        ("train", "train"),
        ("vision", "distractors"),
    ]
    assert len(worth_seeing(many, 12)) == 12
    assert worth_seeing([outcome()], 12) == []


def test_the_page_is_whole_and_escapes_what_came_from_outside(tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    write_film([np.full((64, 64, 3), grey, np.uint8) for grey in (0, 120, 240)], file, rate_hz=10)
    odd = replace(MIXED[4], instruction="put <script>alert(1)</script> on the plate")
    films = [Filmed(outcome=odd, file=file, is_same=False)]
    document = summary_document(SETTINGS, MIXED, voided=0)
    page = report_page(document, SETTINGS, MIXED, films)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "pressed &lt;against&gt; a limit" in page
    assert "data:video/mp4;base64," in page
    assert "filmed again it ended otherwise" in page
    assert "http" not in page.replace("http-equiv", ""), "the page needs nothing from elsewhere"
    for name in ("unseen_table", "distractors", "3/5", "1 of 3 filmed"):
        assert name in page


# a checkpoint's own report


def test_the_plain_evaluation_stands_first_and_others_beside_it() -> None:
    plain = summary_document(SETTINGS, MIXED[-1:], voided=0)
    more = summary_document(SETTINGS, MIXED[:5], voided=0)
    sampled = replace(SETTINGS, decoding="sampled", temperature=1.0, sampling_seed=0)
    odd = summary_document(sampled, MIXED[-1:], voided=0)
    report = {"weights": "trained", "evaluations": {}}
    report = with_evaluation(report, plain, SETTINGS, is_plain=True)
    report = with_evaluation(report, odd, sampled, is_plain=False)
    report = with_evaluation(report, more, SETTINGS, is_plain=True)
    found = report["evaluations"]
    assert report["weights"] == "trained"
    assert set(found["splits"]) == {"train", "vision"}
    assert found["splits"]["train"] == plain["splits"]["train"]
    assert found["decoding"] == "greedy"
    assert found["others"][sampled.title()]["splits"] == odd["splits"]


def test_figures_of_earlier_weights_make_room_and_never_stand_in_one_table_with_newer_ones() -> None:
    other = replace(SETTINGS, policy_digest="b" * 64)
    report = with_evaluation({}, summary_document(SETTINGS, MIXED, voided=0), SETTINGS, is_plain=True)
    report = with_evaluation(report, summary_document(other, MIXED[:1], voided=0), other, is_plain=True)
    assert set(report["evaluations"]["splits"]) == {"vision"}
    assert report["evaluations"]["settings"]["policy_digest"] == "b" * 64
    assert set(report["evaluations"]["others"]["policy aaaaaaaaaaaa"]["splits"]) == {"train", "vision"}


def test_films_can_be_played(tmp_path: Path) -> None:
    import av

    file = tmp_path / "film.mp4"
    write_film([np.full((64, 96, 3), 100, np.uint8)] * 5, file, rate_hz=10)
    with av.open(str(file)) as film:
        assert film.streams.video[0].codec_context.name == "h264"
        assert sum(1 for _ in film.decode(video=0)) == 5
