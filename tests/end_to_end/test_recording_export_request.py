"""What an operator may have exported over the wire: recorded trials, into a folder of the bridge's own."""

from pathlib import Path

import pytest

from robot_bridge.recording.export_request import recorded_trials_export
from robot_bridge.recording.rehearsed import record_trials
from robot_contract.errors import RecordingError
from robot_contract.messages import ExportRequest


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("trials")
    record_trials(made, ("t-1", "t-2"), seconds=1.0)
    (made / "unfinished.mcap.part").write_bytes(b"")
    return made


def wish(destination: str, *trial_ids: str) -> ExportRequest:
    return ExportRequest(trial_ids=trial_ids, format="rlds", destination=destination)


def test_all_finished_trials_go_into_the_bridges_own_folder(folder: Path) -> None:
    steps = list(recorded_trials_export(folder, wish("all")))
    assert [(step.done, step.total) for step in steps] == [(1, 2), (2, 2), (2, 2)]
    assert (folder / "exports" / "all" / "touchdown" / "1.0.0" / "features.json").exists()


def test_named_trials_only(folder: Path) -> None:
    steps = list(recorded_trials_export(folder, wish("one", "t-2")))
    assert [step.sentence.split(":")[0] for step in steps[:-1]] == ["t-2"]


@pytest.mark.parametrize("destination", ["", "..", "../x", "/tmp/x", "a/b", ".hidden", "a\0b", "x" * 101])
def test_no_other_place_can_be_named(folder: Path, destination: str) -> None:
    with pytest.raises(RecordingError, match="expected the name of a new folder"):
        list(recorded_trials_export(folder, wish(destination)))


def test_what_was_not_recorded_is_said(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="not recorded here: t-9"):
        list(recorded_trials_export(folder, wish("other", "t-1", "t-9")))
    with pytest.raises(RecordingError, match="holds no finished recording"):
        list(recorded_trials_export(tmp_path, wish("none")))
