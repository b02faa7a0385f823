"""What is missing, in words: pure checks of ages, written so that NaN counts as missing.

Everything here holds the arm; nothing here ever lets it go again.
"""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from robot_bridge.devices import Frame
from robot_bridge.rig import CameraRig, Rig
from robot_contract.policy_contract import PolicyContract

_EVERY_ROW = 16  # of a picture goes into the comparison with the one before


@dataclass(frozen=True, kw_only=True)
class FrameTrace:
    """What is remembered of a camera to see whether it is frozen, and how fast it is."""

    sequence: int
    exposed_at: float  # [s]
    checksum: int
    repeats: int  # pictures in a row that equal the one before
    period: float  # [s] between pictures, smoothed; 0 before the second one


def trace_frame(before: FrameTrace | None, frame: Frame) -> FrameTrace:
    if before is not None and frame.sequence == before.sequence:
        return before
    checksum = zlib.crc32(frame.picture[::_EVERY_ROW].tobytes())
    if before is None:
        return FrameTrace(
            sequence=frame.sequence, exposed_at=frame.exposed_at, checksum=checksum, repeats=0, period=0.0
        )
    elapsed = (frame.exposed_at - before.exposed_at) / max(frame.sequence - before.sequence, 1)
    return FrameTrace(
        sequence=frame.sequence,
        exposed_at=frame.exposed_at,
        checksum=checksum,
        repeats=before.repeats + 1 if checksum == before.checksum else 0,
        period=elapsed if before.period == 0.0 else 0.9 * before.period + 0.1 * elapsed,
    )


def camera_problems(
    rig: Rig, cameras: Iterable[CameraRig], traces: Mapping[str, FrameTrace], now: float
) -> list[str]:
    """Sentences about pictures that are missing, old or frozen."""
    problems: list[str] = []
    for camera in cameras:
        trace = traces.get(camera.name)
        limit = rig.camera_age_limit(camera)
        if trace is None:
            problems.append(f"camera {camera.name} has sent no picture yet")
        elif not now - trace.exposed_at <= limit:
            age = now - trace.exposed_at
            problems.append(
                f"camera {camera.name}: its picture is {_milliseconds(age)} old,"
                f" accepted are {_milliseconds(limit)}"
            )
        elif not trace.repeats < camera.identical_frames:
            problems.append(f"camera {camera.name} is frozen: {trace.repeats + 1} equal pictures in a row")
    return problems


def policy_cameras(rig: Rig, contract: PolicyContract) -> list[CameraRig]:
    return [rig.camera(camera.name) for camera in contract.cameras]


def chunk_problem(rig: Rig, contract: PolicyContract, *, chunk_age: float, starving: float) -> str:
    """A sentence when the policy's targets have ended too long ago; both ages in [s], empty when all is well.

    `chunk_age` counts from the last valid target, `starving` from when the arm began to stand without one.
    """
    deadline = rig.policy_server.deadline
    if contract.execution == "overlapped" and chunk_age != float("inf"):
        if not chunk_age <= rig.watchdogs.chunk:
            return f"the last valid target is {_milliseconds(chunk_age)} past and no newer chunk has come"
    elif not starving <= deadline:
        return f"no usable chunk within {deadline:g} s"
    return ""


def tick_problem(rig: Rig, *, missed_in_a_row: int) -> str:
    if missed_in_a_row > rig.watchdogs.missed_ticks:
        return f"the control thread missed {missed_in_a_row} ticks in a row"
    return ""


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
