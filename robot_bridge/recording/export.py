"""Recorded trials to a data set for training, one episode at a time, failures included."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, Protocol

from robot_bridge.recording.episodes import Episode, episode_from
from robot_bridge.recording.lerobot import LeRobotWriter
from robot_bridge.recording.outcomes import read_outcomes
from robot_bridge.recording.reading import read_recording
from robot_bridge.recording.rlds import RldsWriter
from robot_contract.errors import RecordingError
from robot_contract.messages import Progress

Format = Literal["lerobot", "rlds"]


class EpisodeWriter(Protocol):
    def add(self, episode: Episode) -> None: ...
    def close(self) -> None: ...


def export(
    recordings: Sequence[Path], destination: Path, form: Format, *, outcomes: Path | None = None
) -> Iterator[Progress]:
    """Write a new folder; it appears under its name when it is whole."""
    if destination.exists():
        raise RecordingError(f"{destination}: exists already; a data set is written into a new folder")
    verdicts = read_outcomes(outcomes) if outcomes is not None else {}
    unfinished = destination.with_name(destination.name + ".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    writer: EpisodeWriter | None = None
    rate, total, kept = 0.0, len(recordings), 0
    with_success = form == "rlds" or all_are_judged(recordings, verdicts)
    for number, path in enumerate(recordings, start=1):
        episode = episode_from(read_recording(path), verdicts)
        if not episode.frames:
            yield Progress(
                done=number, total=total, sentence=f"{path.name}: left out, the policy did not drive"
            )
            continue
        if writer is None:
            rate = episode.rate_hz
            writer = _writer(form, unfinished, rate, with_success)
        if episode.rate_hz != rate:
            raise RecordingError(
                f"{path}: its policy makes {episode.rate_hz:g} steps a second, those before it {rate:g};"
                " one data set has one rate"
            )
        writer.add(episode)
        kept += 1
        yield Progress(done=number, total=total, sentence=_in_words(episode))
    if writer is None:
        raise RecordingError("no step of a policy is in these recordings; there is nothing to export")
    writer.close()
    unfinished.rename(destination)
    yield Progress(done=total, total=total, sentence=f"{destination}: {kept} episodes")


def all_are_judged(recordings: Sequence[Path], verdicts: dict[str, bool]) -> bool:
    """Is it known of every trial whether it succeeded?"""
    for path in recordings:
        recording = read_recording(path, with_pictures=False)
        end = recording.end
        is_known = end is not None and end.HasField("success")
        if not is_known and recording.begin.setup.trial_id not in verdicts:
            return False
    return True


def _writer(form: Format, folder: Path, rate_hz: float, with_success: bool) -> EpisodeWriter:
    match form:
        case "lerobot":
            return LeRobotWriter(folder, rate_hz=rate_hz, with_success=with_success)
        case "rlds":
            return RldsWriter(folder, rate_hz=rate_hz)


def _in_words(episode: Episode) -> str:
    outcome = {True: "success", False: "failure", None: "nobody judged it"}[episode.success]
    words = f"{episode.trial_id}: {len(episode.frames)} steps, {outcome}"
    if episode.left_out:
        words += f", {episode.left_out} steps left out: their action or picture is not in the recording"
    return words if episode.is_whole else words + ", cut off"
