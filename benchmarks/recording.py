"""What recording costs: the control thread, the recorder's thread, the disk.

python benchmarks/recording.py [--quick] [--json FILE]

write_p50_us, write_p99_us           the control thread: one tick handed over, the recorder busy beside it
encode_tick_p50_us, encode_tick_p99_us   the recorder's thread: one tick to bytes
encode_memory_p50_us                 the same for the ticks that carry the filter's whole memory
encode_picture_p50_us                a camera picture of 640x480 to JPEG and bytes
tick_bytes                           of a tick on its way to the writer, before compression
megabytes_per_minute                 on disk, at 100 ticks and 2 x 10 pictures a second of the twin's cameras
dropped                              records that did not fit the queue meanwhile
"""

import tempfile
import time
from pathlib import Path

import numpy as np
from report import parser, report

from robot_bridge import records as r
from robot_bridge.devices import Frame
from robot_bridge.recording.encode import frame_entry, tick_entry
from robot_bridge.recording.recorder import TrialRecorder
from robot_bridge.recording.rehearsed import RehearsedBridge, wait_for
from robot_bridge.records import FrameRecord, NoRecorder, Record, TickRecord


class Notebook(NoRecorder):
    def __init__(self) -> None:
        self.records: list[Record] = []

    def write(self, record: Record) -> None:
        self.records.append(record)


def rehearse(seconds: float) -> list[Record]:
    notebook = Notebook()
    bridge = RehearsedBridge(notebook)
    bridge.begin("t")
    bridge.run(seconds)
    bridge.end()
    begin = next(i for i, record in enumerate(notebook.records) if isinstance(record, r.TrialBegins))
    return [record for record in notebook.records[begin:] if not isinstance(record, FrameRecord)]


def twin_pictures(count: int) -> list[np.ndarray]:
    """Pictures as cameras give them: the twin's, with its noise."""
    from robot_bridge.open_devices import open_devices
    from robot_bridge.rig_file import find_rig, load_rig

    devices = open_devices(load_rig(find_rig("twin_stepped")))
    found = []
    try:
        while len(found) < count:
            devices.clock.sleep_until(devices.clock.now() + 0.1)
            for camera in devices.cameras.values():
                frame = camera.latest()
                if frame is not None:
                    found.append(frame.picture)
    finally:
        devices.close()
    return found


def micros(times: list[float], quantile: float) -> float:
    return float(np.quantile(times, quantile) * 1e6)


def timed(work: object, arguments: list[object]) -> list[float]:
    times = []
    for argument in arguments:
        begun = time.perf_counter()
        work(argument)  # type: ignore[operator]
        times.append(time.perf_counter() - begun)
    return times


def encoding(ticks: list[TickRecord], pictures: list[np.ndarray]) -> dict[str, float]:
    def tick(record: TickRecord) -> bytes:
        return tick_entry(record, with_memory=False, memory_is_new=False).message.SerializeToString()

    def memory(record: TickRecord) -> bytes:
        return tick_entry(record, with_memory=True, memory_is_new=False).message.SerializeToString()

    def picture(pixels: np.ndarray) -> bytes:
        frame = Frame(exposed_at=0.0, sequence=0, picture=pixels)
        return frame_entry(FrameRecord(camera="wrist", frame=frame)).message.SerializeToString()

    of_ticks = timed(tick, list(ticks))
    return {
        "encode_tick_p50_us": micros(of_ticks, 0.5),
        "encode_tick_p99_us": micros(of_ticks, 0.99),
        "encode_memory_p50_us": micros(timed(memory, list(ticks[:300])), 0.5),
        "encode_picture_p50_us": micros(timed(picture, list(pictures)), 0.5),
        "tick_bytes": float(np.mean([len(tick(record)) for record in ticks])),
    }


def recording(records: list[Record], pictures: list[np.ndarray]) -> dict[str, float]:
    """The same records in real time, with pictures at 2 x 10 Hz."""
    with tempfile.TemporaryDirectory() as folder:
        recorder = TrialRecorder(Path(folder), free_space_floor=0)
        times: list[float] = []
        begun, shown = time.monotonic(), 0
        ticks = [record for record in records if isinstance(record, TickRecord)]
        for record in records:
            if isinstance(record, r.TrialBegins):
                object.__setattr__(record.setup, "record", True)
            if isinstance(record, TickRecord):
                time.sleep(max(begun + (record.at - ticks[0].at) - time.monotonic(), 0.0))
                while shown < 20 * (record.at - ticks[0].at):
                    frame = Frame(
                        exposed_at=record.at, sequence=shown, picture=pictures[shown % len(pictures)]
                    )
                    recorder.write(FrameRecord(camera=("external", "wrist")[shown % 2], frame=frame))
                    shown += 1
            before = time.perf_counter()
            recorder.write(record)
            if isinstance(record, TickRecord):
                times.append(time.perf_counter() - before)
        wait_for(lambda: not recorder.status().active)
        dropped = recorder.status().dropped
        recorder.close()
        size = (Path(folder) / "t.mcap").stat().st_size
    minutes = (ticks[-1].at - ticks[0].at) / 60.0
    return {
        "write_p50_us": micros(times, 0.5),
        "write_p99_us": micros(times, 0.99),
        "megabytes_per_minute": size / 1e6 / minutes,
        "dropped": float(dropped),
    }


def main() -> None:
    options = parser(__doc__).parse_args()
    records = rehearse(5.0 if options.quick else 40.0)
    pictures = twin_pictures(20 if options.quick else 60)
    ticks = [record for record in records if isinstance(record, TickRecord)]
    figures = encoding(ticks, pictures) | recording(records, pictures)
    counts = {"encode_picture_p50_us": len(pictures), "encode_memory_p50_us": min(len(ticks), 300)}
    n = {name: counts.get(name, len(ticks)) for name in figures}
    report(figures, n=n, packages=("mcap", "protobuf", "simplejpeg"), json_to=options.json)


if __name__ == "__main__":
    main()
