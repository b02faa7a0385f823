"""A recorded trial as a figure and as a page."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from robot_bridge.recording.plot import draw
from robot_bridge.recording.reading import read_recording
from robot_bridge.recording.rehearsed import record_trials


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record_trials(tmp_path_factory.mktemp("trials"), ("t-1",), seconds=2.0, pause_at=1.0)[0]


def plot(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "robot_bridge", "plot", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_a_picture_is_drawn_beside_the_recording(recorded: Path) -> None:
    done = plot(recorded)
    assert done.returncode == 0, done.stderr
    picture = recorded.with_name("t-1.png")
    assert done.stdout.strip() == str(picture)
    pixels = np.asarray(Image.open(picture).convert("RGB"))
    assert pixels.shape[1] >= 1200
    assert (pixels != 255).any(axis=2).mean() > 0.05


def test_what_was_proposed_sent_and_measured_is_drawn_as_recorded(recorded: Path) -> None:
    recording = read_recording(recorded, with_pictures=False)
    axes = draw(recording).axes
    lines = {line.get_label(): np.asarray(line.get_ydata()) for line in axes[0].get_lines()}
    tcp = recording.contract.flange_from_tcp
    sent = [(tick.sent.flange_pose @ tcp).position[0] * 1000 for tick in recording.ticks]
    measured = [(tick.state.arm.flange_pose @ tcp).position[0] * 1000 for tick in recording.ticks]
    assert np.array_equal(lines["sent"], sent)
    assert np.array_equal(lines["measured"], measured)
    is_proposed = [tick.proposed is not None for tick in recording.ticks]
    assert np.array_equal(np.isfinite(lines["proposed"]), is_proposed)
    assert not all(is_proposed), "the pause has none"
    reasons = {label.get_text() for label in axes[4].get_yticklabels()}
    assert {"no_target", "jerk"} <= reasons
    assert [axis.get_ylabel() for axis in axes[:8]] == [
        *("TCP x [mm]", "TCP y [mm]", "TCP z [mm]"),
        *("speed [mm/s]", "verdicts", "gripper", "age [ms]", "latency [ms]"),
    ]


def test_a_page_stands_alone_and_tells_the_facts(recorded: Path, tmp_path: Path) -> None:
    done = plot(recorded, "--out", tmp_path / "t.html")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "t.html").read_text()
    assert not re.search(r'(src|href)="(?!data:)', page), "nothing is loaded from elsewhere"
    for words in ("draw a circle", "ann: RUNNING to HOLDING_FOR_START", "ann: disarm", "<td>whole</td>"):
        assert words in page


def test_other_endings_are_refused(recorded: Path, tmp_path: Path) -> None:
    done = plot(recorded, "--out", tmp_path / "t.gif")
    assert done.returncode == 2
    assert "found the ending '.gif'; accepted are .png and .html" in done.stderr
