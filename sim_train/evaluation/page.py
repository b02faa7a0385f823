"""The report for people: one HTML file that needs nothing else, films included."""

import base64
import html
from collections.abc import Mapping, Sequence
from typing import Any

from sim_train.evaluation.films import Filmed
from sim_train.evaluation.outcome import Outcome
from sim_train.evaluation.settings import Settings

_STAGES = ("start", "reach", "grasp", "lift", "over", "place")
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --bar: #3b7dd8; --quiet: #777; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0.2rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
p.quiet, td.quiet, figcaption { color: var(--quiet); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 0.3rem 0.8rem 0.3rem 0; border-bottom: 1px solid var(--line); }
th { font-weight: 600; } tr.part td:first-child { padding-left: 1.4rem; } tr.split td { font-weight: 600; }
td.bar { width: 14rem; } svg { display: block; width: 100%; height: 1.1rem; }
.films { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: 1rem; }
figure { margin: 0; } video { width: 100%; border-radius: 4px; background: #000; }
figcaption { font-size: 0.85rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 1.2rem; }
dt { color: var(--quiet); } dd { margin: 0; overflow-wrap: anywhere; }
"""

_WHISKERS = (
    '<p class="quiet">Whiskers are exact (Clopper-Pearson) 95 % intervals. A part with few episodes can'
    " hardly be told from another.</p>"
)


def report_page(
    document: Mapping[str, Any],
    settings: Settings,
    outcomes: Sequence[Outcome],
    films: Sequence[Filmed],
) -> str:
    title = f"{settings.checkpoint}: {settings.title()}"
    failures = sum(not outcome.succeeded for outcome in outcomes)
    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{_text(title)}</title>',
            f"<style>{_STYLE}</style></head><body>",
            f"<h1>{_text(settings.checkpoint)}</h1>",
            f'<p class="quiet">{_text(settings.title())}</p>',
            "<h2>Success</h2>",
            _success_table(document),
            _WHISKERS,
            *_grasp_section(document),
            *_stage_section(document),
            *_ending_section(document),
            "<h2>Failures</h2>",
            _film_section(films, failures),
            "<h2>Conditions</h2>",
            _conditions(document),
            "</body></html>",
            "",
        ]
    )


def _rows(document: Mapping[str, Any]) -> list[tuple[str, str, Mapping[str, Any]]]:
    """(class, name, figures) of every split and of its parts."""
    rows: list[tuple[str, str, Mapping[str, Any]]] = []
    for name, split in document["splits"].items():
        rows.append(("split", name, split))
        rows += [("part", part, figures) for part, figures in split.get("parts", {}).items()]
    return rows


def _table(head: Sequence[str], rows: Sequence[str]) -> str:
    cells = "".join(f"<th>{_text(cell)}</th>" for cell in head)
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _success_table(document: Mapping[str, Any]) -> str:
    rows = [
        f'<tr class="{kind}"><td>{_text(name)}</td><td>{f["k"]}/{f["n"]}</td>'
        f"<td>{100 * f['k'] / f['n']:.1f} %</td>"
        f"<td>{100 * f['low']:.1f} to {100 * f['high']:.1f} %</td>"
        f'<td class="bar">{_whiskers(f)}</td><td>{_number(f.get("mean_steps_to_success"))}</td></tr>'
        for kind, name, f in _rows(document)
    ]
    head = ["split", "k/n", "success", "95 % interval", "0 to 100 %", "mean steps to success"]
    return _table(head, rows)


def _whiskers(figures: Mapping[str, Any]) -> str:
    low, high = 100 * figures["low"], 100 * figures["high"]
    rate = 100 * figures["k"] / figures["n"]
    return (
        '<svg viewBox="0 0 100 10" preserveAspectRatio="none" role="img">'
        f'<rect x="0" y="3" width="{rate:.2f}" height="4" fill="var(--bar)" opacity="0.45"/>'
        f'<rect x="{low:.2f}" y="4.3" width="{high - low:.2f}" height="1.4" fill="var(--bar)"/>'
        f'<rect x="{max(rate - 0.3, 0):.2f}" y="1" width="0.6" height="8" fill="var(--bar)"/></svg>'
    )


def _grasp_section(document: Mapping[str, Any]) -> list[str]:
    rows = [
        f'<tr class="{kind}"><td>{_text(name)}</td><td>{f["first_grasp"]["named"]}</td>'
        f"<td>{f['first_grasp']['other']}</td><td>{f['first_grasp']['none']}</td>"
        f"<td>{_share(f['named_of_grasps'])}</td></tr>"
        for kind, name, f in _rows(document)
        if "first_grasp" in f
    ]
    if not rows:
        return []
    note = ""
    if document["settings"]["instruct"] == "other":
        note = (
            '<p class="quiet">The policy was told of another object than the scene\'s own; "scene\'s own" is'
            " the one that it was not told of.</p>"
        )
    own = "scene's own" if note else "named object"
    head = ["split", own, "another", "none", f"{own} of all first grasps"]
    return ["<h2>What was grasped first</h2>", note, _table(head, rows)]


def _stage_section(document: Mapping[str, Any]) -> list[str]:
    rows = [
        f'<tr class="{kind}"><td>{_text(name)}</td>'
        + "".join(f"<td>{f['stages'].get(stage, 0) or ''}</td>" for stage in _STAGES)
        + "</tr>"
        for kind, name, f in _rows(document)
        if "stages" in f
    ]
    return ["<h2>How far the episodes came</h2>", _table(["split", *_STAGES], rows)] if rows else []


def _ending_section(document: Mapping[str, Any]) -> list[str]:
    rows = [
        f"<tr><td>{_text(name)}</td><td>{count}</td><td>{_text(why)}</td></tr>"
        for name, split in document["splits"].items()
        for why, count in split.get("ended_otherwise", {}).items()
    ]
    if not rows:
        return []
    note = '<p class="quiet">Neither success nor out of time: counted as failures.</p>'
    return ["<h2>Ended by the bridge</h2>", note, _table(["split", "episodes", "why"], rows)]


def _film_section(films: Sequence[Filmed], failures: int) -> str:
    if not failures:
        return "<p>There were none.</p>"
    figures = "".join(_figure(film) for film in films)
    return f'<p class="quiet">{len(films)} of {failures} filmed.</p><div class="films">{figures}</div>'


def _figure(film: Filmed) -> str:
    outcome = film.outcome
    video = base64.b64encode(film.file.read_bytes()).decode()
    facts = [f"{outcome.split} / {outcome.task}, seed {outcome.seed}", f"{outcome.steps} steps"]
    if outcome.stage:
        facts.append(f"came to {outcome.stage}")
    if outcome.first_grasp is not None:
        facts.append(f"grasped {outcome.first_grasp}")
    if not film.is_same:
        facts.append("filmed again it ended otherwise")
    return (
        f'<figure><video controls muted loop preload="metadata" src="data:video/mp4;base64,{video}"></video>'
        f"<figcaption><b>{_text(outcome.instruction)}</b><br>{_text('; '.join(facts))}</figcaption></figure>"
    )


def _conditions(document: Mapping[str, Any]) -> str:
    skipped = {"splits", "settings", "checkpoint", "decoding"}
    facts = {**document["settings"], **{k: v for k, v in document.items() if k not in skipped}}
    lines = [
        f"<dt>{_text(name.replace('_', ' '))}</dt><dd>{_text(_plain(value))}</dd>"
        for name, value in facts.items()
        if value is not None
    ]
    return f"<dl>{''.join(lines)}</dl>"


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {inner}" for name, inner in value.items())
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)


def _share(found: Mapping[str, Any]) -> str:
    if not found["n"]:
        return "-"
    return (
        f"{found['k']}/{found['n']} = {100 * found['k'] / found['n']:.1f} %"
        f" ({100 * found['low']:.1f} to {100 * found['high']:.1f} %)"
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _text(value: str) -> str:
    return html.escape(value)
