"""`robot-bridge plot`: a recorded trial on one page, for a person who wants to know what happened.

Targets proposed, sent and measured; speed against its limit; what the filter judged and why; gripper; ages
and latencies. A PNG, or an HTML page with the same figure and the trial's facts, which needs nothing else.
"""

import base64
import html
import io
from collections import Counter
from itertools import cycle
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from robot_bridge.recording.decode import Tick, limits_from
from robot_bridge.recording.reading import Recording, read_recording
from robot_contract.errors import RecordingError
from robot_contract.pose import Pose

mpl.use("Agg")

_BANDS = {"CLAMP": "#f2c14e", "HOLD": "#7aa6c2", "STOP": "#c8553d"}
_MODES = {"ARMED": "#dddddd", "HOLDING": "#f0e2b6", "FAULT": "#f3c5bc", "IDLE": "#eeeeee"}
_PROPOSED, _SENT, _MEASURED = "#9aa0a6", "#1b6ca8", "#e07a1f"
_STYLES = (("-", 2.2, "#a8c5da"), ("-", 0.9, "#1b6ca8"), ("--", 0.9, "#3a7d44"))  # line, width, colour
Numbers = npt.NDArray[np.float64]


def plot(path: Path, out: Path | None = None) -> Path:
    """Draw the recording; where the figure was written."""
    recording = read_recording(path, with_pictures=False)
    if not recording.ticks:
        raise RecordingError(f"{path}: holds no tick")
    out = out or path.with_name(f"{recording.begin.setup.trial_id}.png")
    figure = draw(recording)
    match out.suffix:
        case ".png":
            figure.savefig(out, dpi=110)
        case ".html":
            out.write_text(_page(recording, figure), encoding="utf-8")
        case suffix:
            raise RecordingError(f"{out}: found the ending {suffix!r}; accepted are .png and .html")
    return out


def draw(recording: Recording) -> Figure:
    ticks = recording.ticks
    at = np.array([tick.at - recording.begin.at for tick in ticks])
    figure = Figure(figsize=(14, 15), layout="constrained")
    axes: npt.NDArray[np.object_] = figure.subplots(
        8, 1, sharex=True, gridspec_kw={"height_ratios": [3, 3, 3, 2.4, 1.5, 1.5, 2.2, 2.2]}
    )
    figure.suptitle(_title(recording), fontsize=12, x=0.01, ha="left")
    for row, name in enumerate("xyz"):
        _draw_position(axes[row], recording, at, row, name)
    _draw_speed(axes[3], recording, at)
    _draw_verdicts(axes[4], ticks, at)
    _draw_gripper(axes[5], ticks, at)
    _draw_ages(axes[6], recording, at)
    _draw_latencies(axes[7], recording, at)
    for axis in axes:
        _shade_modes(axis, ticks, at)
        axis.grid(True, color="#e4e4e4", linewidth=0.6)
        axis.set_axisbelow(True)
        axis.margins(x=0.005)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
        if axis.get_legend_handles_labels()[0]:
            axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.02), frameon=False, fontsize=8)
    axes[-1].set_xlabel("seconds since the trial began")
    figure.align_ylabels(list(axes))
    shades = [Patch(color=colour, label=name) for name, colour in _MODES.items()]
    axes[1].legend(
        handles=shades, loc="upper left", bbox_to_anchor=(1.0, 1.02), frameon=False, fontsize=8, title="mode"
    )
    return figure


def _title(recording: Recording) -> str:
    begin, end = recording.begin, recording.end
    why = end.why if end is not None else "the recording ends early"
    counts = Counter(tick.verdict.kind for tick in recording.ticks)
    verdicts = ", ".join(f"{counts[kind]} {kind}" for kind in ("PASS", "CLAMP", "HOLD", "STOP"))
    return (
        f"{begin.setup.trial_id}: “{begin.instruction}”, policy {recording.contract.name}, rig {begin.rig}\n"
        f"{verdicts}; ended: {why}"
    )


def _tcp(recording: Recording, poses: list[Pose | None]) -> Numbers:
    """(n, 3) [m], NaN where there is none."""
    tcp = recording.contract.flange_from_tcp
    return np.array([(pose @ tcp).position if pose is not None else np.full(3, np.nan) for pose in poses])


def _draw_position(axis: Axes, recording: Recording, at: Numbers, row: int, name: str) -> None:
    ticks = recording.ticks
    proposed = _tcp(recording, [tick.proposed.flange_pose if tick.proposed else None for tick in ticks])
    sent = _tcp(recording, [tick.sent.flange_pose for tick in ticks])
    measured = _tcp(recording, [tick.state.arm.flange_pose for tick in ticks])
    for values, label, colour, width in (
        (proposed, "proposed", _PROPOSED, 2.6),
        (sent, "sent", _SENT, 1.3),
        (measured, "measured", _MEASURED, 1.0),
    ):
        axis.plot(at, values[:, row] * 1000, label=label if row == 0 else None, color=colour, linewidth=width)
    axis.set_ylabel(f"TCP {name} [mm]")


def _draw_speed(axis: Axes, recording: Recording, at: Numbers) -> None:
    sent = _tcp(recording, [tick.sent.flange_pose for tick in recording.ticks])
    steps = np.diff(at)
    speed = np.linalg.norm(np.diff(sent, axis=0), axis=1) / np.where(steps > 0, steps, np.nan)
    axis.plot(at[1:], speed * 1000, color=_SENT, linewidth=1.1, label="sent, TCP")
    limit = limits_from(recording.begin.limits_json).profile.speed * 1000
    axis.axhline(limit, color="#c8553d", linewidth=0.9, linestyle="--", label=f"limit {limit:g} mm/s")
    axis.set_ylabel("speed [mm/s]")
    axis.set_ylim(bottom=0)


def _draw_verdicts(axis: Axes, ticks: list[Tick], at: Numbers) -> None:
    """A row per reason, a bar wherever it held; the colour is the verdict's."""
    counts = Counter(code for tick in ticks for code in tick.verdict.codes)
    codes = [code for code, _ in counts.most_common(8)][::-1]
    period = float(np.median(np.diff(at))) if len(at) > 1 else 0.01
    for kind, colour in _BANDS.items():
        for row, code in enumerate(codes):
            begins = [
                float(t) for t, tick in zip(at, ticks, strict=True)
                if tick.verdict.kind == kind and code in tick.verdict.codes
            ]  # fmt: skip
            axis.broken_barh([(t, period) for t in begins], (row - 0.4, 0.8), color=colour)
        if any(tick.verdict.kind == kind for tick in ticks):
            axis.plot([], [], color=colour, linewidth=6, label=kind)
    axis.set_yticks(range(len(codes)), codes, fontsize=7)
    axis.set_ylim(-0.6, max(len(codes), 1) - 0.4)
    axis.set_ylabel("verdicts")


def _draw_gripper(axis: Axes, ticks: list[Tick], at: Numbers) -> None:
    axis.plot(
        at, [tick.gripper_opening for tick in ticks], color=_SENT, linewidth=1.3, label="commanded, 0..1"
    )
    axis.set_ylim(-0.1, 1.1)
    axis.set_ylabel("gripper")
    width = axis.twinx()
    width.plot(at, [tick.gripper.width * 1000 for tick in ticks], color=_MEASURED, linewidth=1.0)
    width.set_ylabel("width [mm]", color=_MEASURED, fontsize=8)
    width.set_ylim(bottom=-5)
    width.spines["top"].set_visible(False)


def _draw_ages(axis: Axes, recording: Recording, at: Numbers) -> None:
    ticks = recording.ticks
    names = sorted({name for tick in ticks for name in tick.camera_ages})
    for name, style in zip(names, cycle(_STYLES)):  # equal ages lie on each other
        ages = [tick.camera_ages.get(name, np.nan) * 1000 for tick in ticks]
        axis.plot(at, ages, style[0], linewidth=style[1], color=style[2], label=f"picture, {name}")
    arm = [(tick.at - tick.state.arm.measured_at) * 1000 for tick in ticks]
    axis.plot(at, arm, linewidth=0.9, color="#555555", label="arm state")
    starving = np.array([tick.chunk_age for tick in ticks]) * 1000
    starving = np.where(np.isfinite(starving) & (starving > 0), starving, np.nan)
    if np.isfinite(starving).any():
        axis.plot(at, starving, linewidth=1.6, color="#c8553d", label="past the last target")
    axis.set_ylabel("age [ms]")
    axis.set_ylim(bottom=0)


def _draw_latencies(axis: Axes, recording: Recording, at: Numbers) -> None:
    chunks = [chunk for chunk in recording.chunks if chunk.HasField("chunk")]
    when = np.array([chunk.at - recording.begin.at for chunk in chunks])
    whole = np.array([(chunk.at - chunk.observation.observed_at) * 1000 for chunk in chunks])
    model = np.array([chunk.chunk.timings.total * 1000 for chunk in chunks])
    used = np.array([chunk.refusal == "" for chunk in chunks], dtype=bool)
    if chunks:
        axis.vlines(when, 0, whole, color="#c9d6df", linewidth=1.0)
        axis.plot(when[used], whole[used], "o", markersize=3.5, color=_SENT, label="picture to chunk")
        if not used.all():
            axis.plot(when[~used], whole[~used], "x", markersize=5, color="#c8553d", label="chunk not used")
        axis.plot(when, model, ".", markersize=4, color=_MEASURED, label="of it in the server")
    late = np.array([tick.lateness * 1000 for tick in recording.ticks])
    axis.plot(at, late, linewidth=0.8, color="#555555", label="tick late")
    axis.set_ylabel("latency [ms]")
    axis.set_ylim(bottom=0)


def _shade_modes(axis: Axes, ticks: list[Tick], at: Numbers) -> None:
    """Behind everything: where the policy was not running."""
    begin = 0
    for i in range(1, len(ticks) + 1):
        if i < len(ticks) and ticks[i].mode == ticks[begin].mode:
            continue
        colour = _MODES.get(ticks[begin].mode.split("_")[0])
        if colour is not None:
            axis.axvspan(
                float(at[begin]), float(at[min(i, len(at) - 1)]), color=colour, zorder=-10, linewidth=0
            )
        begin = i


def _page(recording: Recording, figure: Figure) -> str:
    picture = io.BytesIO()
    figure.savefig(picture, format="svg")
    svg = base64.b64encode(picture.getvalue()).decode()
    begin, end = recording.begin, recording.end
    facts = {
        "trial": begin.setup.trial_id,
        "instruction": begin.instruction,
        "policy": f"{recording.contract.name}, {recording.contract.policy_digest[:12]}",
        "rig": f"{begin.rig}, {begin.rig_digest[:12]}",
        "limits": begin.limits_digest[:12],
        "calibrations": ", ".join(f"{k} {v[:12]}" for k, v in sorted(begin.calibration_digests.items()))
        or "none",
        "software": begin.software,
        "ticks": str(len(recording.ticks)),
        "not recorded": str(end.dropped) if end is not None else "unknown",
        "ended": end.why if end is not None else "the recording ends early",
        "the file": recording.cut or "whole",
    }
    for event in recording.events:
        when = f"{event.at - begin.at:.2f} s"
        words = f"{event.event.operator}: {event.mode_before} to {event.mode_after}"
        facts[f"event at {when}"] = f"{words} {event.event.note} {event.refusal}".strip()
    rows = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>" for name, value in facts.items()
    )
    title = html.escape(begin.setup.trial_id)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>'
        "body{font:14px system-ui,sans-serif;margin:1.5rem;max-width:1300px}img{width:100%}"
        "th{text-align:left;padding-right:1.5rem;font-weight:600;vertical-align:top}</style></head><body>"
        f'<h1>{title}</h1><table>{rows}</table><img alt="The trial, tick by tick"'
        f' src="data:image/svg+xml;base64,{svg}"></body></html>\n'
    )
