"""The recorder takes records at once or drops them, thins pictures out, and refuses trials on a full disk."""

import gc
import io
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from mcap.reader import make_reader

from robot_bridge.devices import Frame
from robot_bridge.recording.frame_sampling import FrameSampling
from robot_bridge.recording.message_types import MESSAGE_TYPES
from robot_bridge.recording.pipe import FrameParser, message_frame
from robot_bridge.recording.reading import read_recording
from robot_bridge.recording.recorder import PICTURES_UP_TO, TrialRecorder, unused_path
from robot_bridge.recording.rehearsed import RehearsedBridge, wait_for
from robot_bridge.recording.replay import replay
from robot_bridge.recording.writer import TrialFile
from robot_bridge.records import FrameRecord
from robot_contract.errors import RecordingError


def frame(exposed_at: float) -> Frame:
    return Frame(exposed_at=exposed_at, sequence=0, picture=np.zeros((4, 4, 3), dtype=np.uint8))


@pytest.mark.parametrize("rate", [5.0, 10.0, 15.0, 30.0, 60.0])
def test_pictures_are_thinned_out_and_none_is_taken_twice(rate: float) -> None:
    sampling = FrameSampling()
    taken: list[float] = []
    for tick in range(1000):
        newest = frame(int(tick * 0.01 * rate) / rate)
        taken += [record.frame.exposed_at for record in sampling.due({"wrist": newest})]
    assert len(set(taken)) == len(taken)
    assert min(rate, 7.5) * 10 - 1 <= len(taken) <= min(rate, 12.5) * 10 + 1


def test_a_full_queue_drops_and_counts(tmp_path: Path) -> None:
    """The writer stands still: the loop goes on, and what does not fit is counted, pictures first."""
    recorder = TrialRecorder(tmp_path, free_space_floor=0, queue_length=PICTURES_UP_TO + 50)
    bridge = RehearsedBridge(recorder)
    bridge.begin("t-1")
    wait_for(lambda: recorder.writer_pid is not None)
    assert recorder.writer_pid is not None
    os.kill(recorder.writer_pid, signal.SIGSTOP)
    try:
        fill_pipe = 2 * (64 << 10) // len(frame(0.0).picture.tobytes())  # what the writer's pipe takes
        for _ in range(fill_pipe):
            recorder.write(FrameRecord(camera="wrist", frame=frame(0.0)))
        before = recorder.status().dropped
        assert before > 0, "no picture any more"
        bridge.run(5.0)
        after = recorder.status().dropped
        assert after > before
        assert bridge.loop.missed_ticks == 0
    finally:
        os.kill(recorder.writer_pid, signal.SIGCONT)
    wait_for(lambda: recorder.status().dropped >= after)
    bridge.run(0.5)
    bridge.end()
    wait_for(lambda: not recorder.status().active)
    recorder.close()
    result = replay(tmp_path / "t-1.mcap")
    assert result.gaps >= 1, "what was dropped is a gap"
    assert result.differences == []
    assert result.skipped == 0, "after a gap the memory is written whole"
    end = read_recording(tmp_path / "t-1.mcap").end
    assert end is not None
    assert end.dropped >= after


def test_the_floor_refuses_a_trial_and_says_how_much_there_is(tmp_path: Path) -> None:
    recorder = TrialRecorder(tmp_path, free_space_floor=10**18)
    try:
        assert "are free for recordings in" in recorder.refusal()
        assert "1000000000.00 GB are wanted" in recorder.refusal()
        assert recorder.status().problem == recorder.refusal()
    finally:
        recorder.close()


def test_a_folder_that_cannot_be_made_refuses_a_trial(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    recorder = TrialRecorder(tmp_path / "file" / "recordings", free_space_floor=0)
    try:
        assert "cannot be written to" in recorder.refusal()
        assert "cannot be written to" in recorder.status().problem
    finally:
        recorder.close()


def test_a_trial_that_is_not_to_be_recorded_leaves_no_file(tmp_path: Path) -> None:
    recorder = TrialRecorder(tmp_path, free_space_floor=0)
    bridge = RehearsedBridge(recorder)
    bridge.begin("t-1", record=False)
    bridge.run(0.5)
    bridge.end()
    recorder.close()
    assert list(tmp_path.iterdir()) == []


def test_a_finished_file_leaves_nothing_in_memory(tmp_path: Path) -> None:
    """A circle of references goes away only when Python looks for some, which a quiet process does rarely."""

    def write(path: Path) -> None:
        file = TrialFile(path)
        for name in MESSAGE_TYPES:
            for frame in FrameParser().feed(message_frame(f"/{name}", name, 0, b"")):
                file.add(frame)
        file.finish()

    write(tmp_path / "first.mcap")  # what is made once stays
    gc.collect()
    gc.disable()
    try:
        for number in range(3):
            write(tmp_path / f"{number}.mcap")
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_names_are_never_used_twice(tmp_path: Path) -> None:
    (tmp_path / "t.mcap").touch()
    (tmp_path / "t-2.mcap.part").touch()
    assert unused_path(tmp_path, "t") == tmp_path / "t-3.mcap"


@pytest.mark.parametrize(
    ("trial_id", "name"),
    [("../../x", "__.._x"), ("/etc/x", "_etc_x"), ("a b/ü", "a_b__"), ("...", "_"), ("", "trial")],
)
def test_a_trial_is_never_recorded_outside_the_folder(trial_id: str, name: str, tmp_path: Path) -> None:
    assert unused_path(tmp_path, trial_id) == tmp_path / f"{name}.mcap"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A trial in real time: the writer put it on disk in several pieces."""
    folder = tmp_path_factory.mktemp("whole")
    recorder = TrialRecorder(folder, free_space_floor=0)
    bridge = RehearsedBridge(recorder, speed=1.0)
    bridge.begin("t-1")
    bridge.run(1.5)
    bridge.end()
    recorder.close()
    return (folder / "t-1.mcap").read_bytes()


def cut_of(path: Path) -> str:
    """How the file was found to be not whole; empty where it was not noticed."""
    try:
        return read_recording(path).cut
    except RecordingError as error:
        return str(error)


def test_a_cut_file_gives_what_came_before(recorded: bytes, tmp_path: Path) -> None:
    summary = make_reader(io.BytesIO(recorded)).get_summary()
    assert summary is not None
    pieces = summary.chunk_indexes
    assert len(pieces) >= 3
    last_at = -np.inf
    for piece in pieces[1:]:
        path = tmp_path / "cut.mcap.part"
        path.write_bytes(recorded[: piece.chunk_start_offset + piece.chunk_length // 2])
        recording = read_recording(path)
        assert recording.cut == f"{path}: cut off: the file ends early"
        # on a slow machine the end of the trial has been written before the last piece begins
        assert recording.end is None or piece is pieces[-1]
        assert recording.ticks[-1].at > last_at
        last_at = recording.ticks[-1].at


@pytest.mark.parametrize("share", [0.0, 0.001, 0.02])
def test_a_file_cut_before_its_first_data_is_a_sentence(
    recorded: bytes, share: float, tmp_path: Path
) -> None:
    path = tmp_path / "cut.mcap.part"
    path.write_bytes(recorded[: int(len(recorded) * share)])
    with pytest.raises(RecordingError, match="cut off"):
        read_recording(path)


def test_damage_is_noticed(recorded: bytes, tmp_path: Path) -> None:
    generator, noticed = np.random.default_rng(0), 0
    path = tmp_path / "damaged.mcap"
    for position in generator.integers(0, len(recorded), 60).tolist():
        damaged = bytearray(recorded)
        damaged[position : position + 8] = generator.bytes(8)
        path.write_bytes(damaged[: len(recorded)])
        found = cut_of(path)
        assert not found or found.startswith(str(path))
        noticed += found != ""
    assert noticed >= 40, "only in the index behind the data is damage of no account"


@pytest.mark.parametrize("content", [b"", b"not a recording", bytes(5000)])
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "other.mcap"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=r"other\.mcap"):
        read_recording(path)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="cannot be read: No such file"):
        read_recording(tmp_path / "none.mcap")
