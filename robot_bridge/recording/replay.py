"""`robot-bridge replay`: judge a recorded trial again.

With the recorded limits every verdict and target must come out bit for bit on the same build; with other
limits it shows what they would have changed, tick by tick, for the same proposals.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from robot_bridge.recording.decode import Tick, limits_from
from robot_bridge.recording.reading import Recording, read_recording
from robot_bridge.safety import Memory, SafetyLimits, Target, Verdict, filter_action
from robot_contract.errors import RecordingError


@dataclass(frozen=True, kw_only=True, eq=False)
class Difference:
    tick: int
    at: float  # [s], bridge clock
    recorded: Verdict
    judged: Verdict
    distance: float  # [m] between the recorded and the judged target


@dataclass(kw_only=True)
class Rejudged:
    path: Path
    ticks: int = 0
    skipped: int = 0  # ticks after a gap in the record, before the next whole memory
    gaps: int = 0
    cut: str = ""
    recorded: Counter[str] = field(default_factory=Counter[str])
    judged: Counter[str] = field(default_factory=Counter[str])
    differences: list[Difference] = field(default_factory=list[Difference])


def replay(path: Path, limits: SafetyLimits | None = None) -> Rejudged:
    """Judge every tick of a file again, with its own limits or with others."""
    recording = read_recording(path, with_pictures=False)
    if not recording.ticks:
        raise RecordingError(f"{path}: holds no tick")
    return judge_again(recording, limits)


def judge_again(recording: Recording, limits: SafetyLimits | None = None) -> Rejudged:
    own_limits = limits_from(recording.begin.limits_json)
    result = Rejudged(path=recording.path, cut=recording.cut)
    memory: Memory | None = None
    last_tick: int | None = None
    for tick in recording.ticks:
        if last_tick is not None and tick.tick != last_tick + 1:
            memory = None
            result.gaps += 1
        last_tick = tick.tick
        # The memory that a chain of ticks leaves belongs to the limits that judged them.
        if tick.memory is not None and (limits is None or memory is None or tick.memory_is_new):
            memory = tick.memory
        if memory is None:
            result.skipped += 1
            continue
        target, verdict, memory = filter_action(
            tick.state, tick.proposed, limits or own_limits, memory, now=tick.at, stopping=tick.stopping
        )
        _compare(result, tick, target, verdict)
    return result


def _compare(result: Rejudged, tick: Tick, target: Target, verdict: Verdict) -> None:
    result.ticks += 1
    result.recorded[tick.verdict.kind] += 1
    result.judged[verdict.kind] += 1
    if verdict != tick.verdict or not _same(target, tick.sent):
        offset = target.flange_pose.position - tick.sent.flange_pose.position
        result.differences.append(
            Difference(
                tick=tick.tick,
                at=tick.at,
                recorded=tick.verdict,
                judged=verdict,
                distance=float(np.sqrt(offset @ offset)),
            )
        )


def _same(a: Target, b: Target) -> bool:
    """Bit for bit."""
    if (a.joint_posture is None) != (b.joint_posture is None):
        return False
    postures = (a.joint_posture, b.joint_posture)
    return a.flange_pose == b.flange_pose and (
        postures[0] is None or postures[1] is None or np.array_equal(postures[0], postures[1])
    )


def report(result: Rejudged, *, shown: int = 10) -> str:
    """The outcome for people."""
    lines = [f"{result.path}: {result.ticks} ticks judged again"]
    if result.cut:
        lines.append(f"  this recording is not whole: {result.cut}")
    if result.gaps:
        lines.append(f"  {result.gaps} gaps in the record, {result.skipped} ticks could not be judged")
    for kind in ("PASS", "CLAMP", "HOLD", "STOP"):
        lines.append(f"  {kind:5}  recorded {result.recorded[kind]:6}  judged {result.judged[kind]:6}")
    if not result.differences:
        lines.append("  every verdict and every target is the same, bit for bit")
        return "\n".join(lines)
    farthest = max(difference.distance for difference in result.differences)
    lines.append(
        f"  {len(result.differences)} ticks differ; their targets are up to {farthest * 1000:.3f} mm apart"
    )
    for difference in result.differences[:shown]:
        lines.append(
            f"  tick {difference.tick}: recorded {_in_short(difference.recorded)},"
            f" judged {_in_short(difference.judged)}, {difference.distance * 1000:.3f} mm apart"
        )
    if len(result.differences) > shown:
        lines.append(f"  and {len(result.differences) - shown} more")
    return "\n".join(lines)


def _in_short(verdict: Verdict) -> str:
    return " ".join((verdict.kind, *verdict.codes))
