"""`robot-bridge replay`, `export` and `plot`: their command lines, and which files a command means."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from robot_bridge.recording.decode import limits_from
from robot_bridge.recording.reading import read_recording
from robot_bridge.recording.replay import judge_again, report
from robot_bridge.rig_file import find_rig, load_rig
from robot_bridge.safety import SafetyLimits, profile
from robot_contract.errors import RecordingError

_SUFFIXES = (".mcap", ".mcap.part")


@dataclass(frozen=True, kw_only=True)
class Replay:
    """Judge recorded trials again, tick by tick.

    With its own limits a recording must give every verdict and every target again, bit for bit on the build
    that recorded it; the exit status is 1 when it does not. With `--rig` or `--profile` it shows what other
    limits would have made of the same proposals.
    """

    recordings: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Recorded files, or folders of them."""
    rig: str = ""
    """Judge with the limits of this rig: a shipped rig's name or the path of a rig file."""
    profile: Literal["", "reduced", "normal"] = ""
    """Judge with this speed profile."""
    shown: int = 10
    """So many ticks that differ are listed per recording."""


@dataclass(frozen=True, kw_only=True)
class Export:
    """Turn recorded trials into a data set for training; failures are kept.

    Each trial is an episode, each of its frames a step of the policy: what was seen, what the policy proposed
    (`action`), and what was sent after the safety filter (`action.executed`).
    """

    places: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Recorded files, or folders of them; the last argument is the folder to write, which must not exist."""
    format: Literal["lerobot", "rlds"]
    """lerobot is LeRobotDataset v3.0; rlds is TFRecord files that tensorflow_datasets reads."""
    outcomes: Path | None = None
    """A CSV file with the columns trial_id and success, where people judged the trials."""


@dataclass(frozen=True, kw_only=True)
class Plot:
    """Draw a recorded trial: targets proposed, sent and measured, verdicts, ages and latencies."""

    recording: Annotated[Path, tyro.conf.Positional]
    """A recorded file."""
    out: Path | None = None
    """A .png file, or an .html page with the figure and the trial's facts; TRIAL.png beside the recording
    where none is named."""


def run_replay(command: Replay, say: Callable[[str], None]) -> int:
    """The exit status."""
    differs = False
    for path in recordings_in(command.recordings):
        recording = read_recording(path, with_pictures=False)
        if not recording.ticks:
            raise RecordingError(f"{path}: holds no tick")
        own = limits_from(recording.begin.limits_json)
        others = _other_limits(own, command)
        result = judge_again(recording, others)
        say(report(result, shown=command.shown))
        differs = differs or (others is None and bool(result.differences))
    return 1 if differs else 0


def _other_limits(own: SafetyLimits, command: Replay) -> SafetyLimits | None:
    if not command.rig and not command.profile:
        return None
    limits = load_rig(find_rig(command.rig)).limits if command.rig else own
    return dataclasses.replace(limits, profile=profile(command.profile)) if command.profile else limits


def run_export(command: Export, say: Callable[[str], None]) -> None:
    from robot_bridge.recording.export import export

    if len(command.places) < 2:
        raise RecordingError("expected recordings and, as the last argument, the folder to write")
    *sources, destination = command.places
    for step in export(recordings_in(tuple(sources)), destination, command.format, outcomes=command.outcomes):
        say(f"[{step.done}/{step.total}] {step.sentence}")


def run_plot(command: Plot, say: Callable[[str], None]) -> None:
    from robot_bridge.recording.plot import plot

    say(str(plot(command.recording, command.out)))


def recordings_in(places: tuple[Path, ...]) -> list[Path]:
    """The files that are named, and those in the folders that are named, by name."""
    found: list[Path] = []
    for place in places:
        if place.is_dir():
            inside = sorted(path for path in place.iterdir() if path.name.endswith(_SUFFIXES))
            if not inside:
                raise RecordingError(f"{place}: holds no recording; expected files {' or '.join(_SUFFIXES)}")
            found += inside
        elif place.exists():
            found.append(place)
        else:
            raise RecordingError(f"{place}: no such file or folder")
    return found
