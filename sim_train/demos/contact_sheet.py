"""`sim-train contact-sheet`: a page of a demonstration data set, three pictures an episode."""

import base64
import html
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tyro
from rich.console import Console

from robot_contract.errors import RecordingError
from sim_train.demos.data_set import Row, read_rows

_STATE = "observation.state"
_CLOSED_BELOW = 0.5  # of the gripper's last command, the last number of the state
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 14px system-ui, sans-serif; margin: 1.5rem; background: #fafafa; color: #222 }}
input {{ font: inherit; width: 24rem; padding: 0.3rem; margin-bottom: 1rem }}
main {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: 0.8rem }}
article {{ background: #fff; border: 1px solid #ddd; padding: 0.5rem }}
img {{ width: 32%; image-rendering: pixelated }}
p {{ margin: 0.3rem 0 0 }} small {{ color: #666 }}
</style></head><body>
<h1>{title}</h1><p>{facts}</p>
<p>First frame, the fingers closing, last frame.</p>
<input type="search" placeholder="words of an instruction" aria-label="Filter by instruction">
<main>
{cells}
</main>
<script>
document.querySelector("input").addEventListener("input", (event) => {{
  const words = event.target.value.toLowerCase();
  for (const cell of document.querySelectorAll("article"))
    cell.hidden = !cell.dataset.instruction.includes(words);
}});
</script></body></html>
"""


@dataclass(frozen=True, kw_only=True)
class _Shown:
    row: Row
    jpegs: tuple[bytes, bytes, bytes]


def contact_sheet(
    folder: Annotated[Path, tyro.conf.Positional],
    /,
    *,
    out: Path | None = None,
    episodes: int = 200,
    camera: str = "",
) -> None:
    """Make a page that shows a demonstration data set: three pictures of an episode, its words and length.

    Args:
        folder: The data set.
        out: The page; contact_sheet.html in the data set's folder where none is named.
        episodes: How many are shown at most, evenly spread.
        camera: Whose pictures; the first one's where none is named.
    """
    rows = read_rows(folder)
    if not rows:
        raise RecordingError(f"{folder}: holds no demonstrations yet")
    chosen = np.unique(np.linspace(0, len(rows) - 1, max(1, min(episodes, len(rows)))).round().astype(int))
    column = _camera_column(folder, rows[0], camera)
    cells = "\n".join(_cell(shown) for shown in _shown(folder, [rows[i] for i in chosen], column))
    frames = rows[-1]["dataset_to_index"]
    facts = f"{len(rows)} episodes, {frames} frames, {len(chosen)} of the episodes shown."
    page = out or folder / "contact_sheet.html"
    title = html.escape(f"Demonstrations: {folder.resolve().name}")
    page.write_text(_PAGE.format(title=title, facts=facts, cells=cells), encoding="utf-8")
    Console().print(str(page), soft_wrap=True, highlight=False)


def _camera_column(folder: Path, row: Row, camera: str) -> str:
    names = pq.read_schema(_data_file(folder, row)).names
    cameras = [name for name in names if name.startswith("observation.images.")]
    wanted = f"observation.images.{camera}" if camera else cameras[0]
    if wanted not in cameras:
        there = ", ".join(name.rsplit(".", 1)[1] for name in cameras)
        raise RecordingError(f"{folder}: has no camera {camera!r}; there are {there}")
    return wanted


def _shown(folder: Path, rows: list[Row], column: str) -> Iterator[_Shown]:
    """One row group after the other: never more than an episode in memory."""
    path, file, first = Path(), None, 0
    for row in rows:
        if _data_file(folder, row) != path or file is None:
            path = _data_file(folder, row)
            file = pq.ParquetFile(path)
            first = file.read_row_group(0, ["episode_index"])["episode_index"][0].as_py()
        yield _three_pictures(
            row, file.read_row_group(row["episode_index"] - first, [_STATE, column]), column
        )


def _three_pictures(row: Row, table: pa.Table, column: str) -> _Shown:
    states: Any = np.array(table[_STATE].to_pylist())
    closing = np.flatnonzero(states[:, -1] < _CLOSED_BELOW)
    jpegs = table[column].to_pylist()
    frames = (0, int(closing[0]) if len(closing) else len(table) // 2, len(table) - 1)
    first, grasp, last = (jpegs[frame]["bytes"] for frame in frames)
    return _Shown(row=row, jpegs=(first, grasp, last))


def _cell(shown: _Shown) -> str:
    row = shown.row
    instruction = html.escape(row["tasks"][0], quote=True)
    images = "".join(
        f'<img alt="{moment}" src="data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}">'
        for moment, jpeg in zip(("first", "grasp", "last"), shown.jpegs, strict=True)
    )
    words = f"{row['task']}, seed {row['seed']}: {row['steps']} steps, {row['length']} frames"
    return (
        f'<article data-instruction="{instruction.lower()}">{images}<p>{instruction}</p>'
        f"<small>{html.escape(words)}</small></article>"
    )


def _data_file(folder: Path, row: Row) -> Path:
    chunk, file = row["data/chunk_index"], row["data/file_index"]
    return folder / f"data/chunk-{chunk:03d}/file-{file:03d}.parquet"
