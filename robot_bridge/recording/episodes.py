"""A recorded trial as an episode for training: one frame per step of the policy.

`action` is the delta as the policy gave it, `executed` what was sent in that step after the safety filter, in
the policy's own frame. Times in which the policy did not drive are not in it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from robot_bridge.recording.decode import Tick
from robot_bridge.recording.reading import Recording
from robot_contract.errors import RecordingError
from robot_contract.pose import Pose, Vector, quaternion_inverse, quaternion_rotate, rotation_between

STATE_NAMES = ("x", "y", "z", "qx", "qy", "qz", "qw", "gripper_width")  # [m], unit quaternion, [m]
ACTION_NAMES = ("dx", "dy", "dz", "rx", "ry", "rz", "gripper_opening")  # [m], [rad], 0..1
SEVERITY = ("PASS", "CLAMP", "HOLD", "STOP")
Pictures = list[tuple[float, bytes]]  # exposed at [s, bridge clock], JPEG


@dataclass(frozen=True, kw_only=True, eq=False)
class EpisodeFrame:
    at: float  # [s], bridge clock, when the step began
    state: Vector  # (8,) as measured then: STATE_NAMES
    joint_position: Vector  # (7,) [rad]
    action: Vector  # (7,) as the policy gave it: ACTION_NAMES
    executed: Vector  # (7,) as it was sent
    verdict: int  # the gravest of the step, an index of SEVERITY
    jpegs: dict[str, bytes]  # by camera, the newest picture when the step began


@dataclass(frozen=True, kw_only=True, eq=False)
class Episode:
    path: Path
    trial_id: str
    instruction: str
    rate_hz: float  # of the frames: the policy's own
    frames: list[EpisodeFrame]
    success: bool | None  # None: nobody judged it
    left_out: int  # steps whose action or picture is not in the recording
    is_whole: bool  # the trial was recorded to its end


def episode_from(recording: Recording, outcomes: dict[str, bool]) -> Episode:
    """`outcomes` are people's verdicts by trial; else a simulated scene's own counts."""
    begin, end = recording.begin, recording.end
    cameras = {camera.name: _pictures(recording, camera.name) for camera in recording.contract.cameras}
    actions = {
        chunk.chunk.sequence: np.array(chunk.chunk.actions).reshape(-1, len(ACTION_NAMES))
        for chunk in recording.chunks
        if chunk.HasField("chunk")
    }
    frames: list[EpisodeFrame] = []
    left_out, sent_before = 0, None
    for ticks in _steps(recording):
        sequence, step = ticks[0].chunk_sequence, ticks[0].chunk_step
        sent_from, sent_before = sent_before, ticks[-1]
        if step < 0:
            continue
        jpegs = {name: _newest(pictures, ticks[0].at) for name, pictures in cameras.items()}
        if sequence not in actions or sent_from is None or not all(jpegs.values()):
            left_out += 1
            continue
        frames.append(_frame(recording, ticks, sent_from, actions[sequence][step], jpegs))
    trial_id = begin.setup.trial_id
    own = end.success if end is not None and end.HasField("success") else None
    return Episode(
        path=recording.path,
        trial_id=trial_id,
        instruction=begin.instruction,
        rate_hz=recording.contract.control_rate_hz,
        frames=frames,
        success=outcomes.get(trial_id, own),
        left_out=left_out,
        is_whole=end is not None and not recording.cut,
    )


def _steps(recording: Recording) -> Iterator[list[Tick]]:
    """The ticks of each step, and those between two steps.

    A synchronous policy's steps are its actions, each with the standing after it. An overlapped policy's
    chunks take over from each other between steps: there a step is a period of driving.
    """
    contract = recording.contract
    period = 1.0 / contract.control_rate_hz
    is_synchronous = contract.execution == "synchronous"
    for _, group in groupby(
        recording.ticks, lambda t: (t.chunk_sequence, t.chunk_step) if is_synchronous else t.chunk_step >= 0
    ):
        run = list(group)
        if is_synchronous or run[0].chunk_step < 0:
            yield run
            continue
        yield from _periods(run, period)


def _periods(run: list[Tick], period: float) -> Iterator[list[Tick]]:
    for _, ticks in groupby(run, lambda tick: int((tick.at - run[0].at) / period + 1e-6)):
        yield list(ticks)


def _frame(
    recording: Recording, ticks: list[Tick], sent_from: Tick, action: Vector, jpegs: dict[str, bytes]
) -> EpisodeFrame:
    first, last, contract = ticks[0], ticks[-1], recording.contract
    flange_from_tcp = contract.flange_from_tcp
    tcp = first.state.arm.flange_pose @ flange_from_tcp
    delta = _delta(
        sent_from.sent.flange_pose @ flange_from_tcp, last.sent.flange_pose @ flange_from_tcp, contract.frame
    )
    return EpisodeFrame(
        at=first.at,
        state=np.concatenate([tcp.position, tcp.quaternion, [first.gripper.width]]),
        joint_position=first.state.arm.joint_position,
        action=action,
        executed=np.concatenate([delta, [last.gripper_opening]]),
        verdict=max(SEVERITY.index(tick.verdict.kind) for tick in ticks),
        jpegs=jpegs,
    )


def _delta(before: Pose, after: Pose, frame: str) -> Vector:
    """(6,) what `apply_delta` would have been given to go from `before` to `after`."""
    way, turn = after.position - before.position, rotation_between(before, after)
    if frame == "tool":
        back = quaternion_inverse(before.quaternion)
        way, turn = quaternion_rotate(back, way), quaternion_rotate(back, turn)
    return np.concatenate([way, turn])


def _pictures(recording: Recording, camera: str) -> Pictures:
    """The camera's own pictures; where there are none, those that the policy was shown."""
    found = recording.pictures.get(f"/camera/{camera}") or recording.pictures.get(f"/policy_view/{camera}")
    if not found:
        raise RecordingError(f"{recording.path}: holds no picture of the camera {camera!r}")
    return sorted(found)


def _newest(pictures: Pictures, at: float) -> bytes:
    """The newest picture exposed by then; empty when there was none yet."""
    index = int(np.searchsorted([exposed_at for exposed_at, _ in pictures], at, side="right"))
    return pictures[index - 1][1] if index > 0 else b""
