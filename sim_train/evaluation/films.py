"""Failures to look at: what was done in them once more, a picture at every step, as videos for browsers.

Equal episodes start equal and the same actions lead to the same end, so what is seen is what was counted;
where it is not, that is said. The policy is not asked again: it would see other camera noise.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from robot_bridge.twin.film import Film
from robot_contract.pose import Vector
from sim_train.evaluation.outcome import Outcome, Played, file_name
from sim_train.simulation import Episode, Picture
from sim_train.vector import Cells, T, View, Void

_HEIGHT = 256  # [px] at least, for people
_LAST_PICTURES = 8  # the end stands still for so many pictures


@dataclass(frozen=True, kw_only=True)
class Filmed:
    outcome: Outcome  # as it was counted
    file: Path
    is_same: bool = True  # did it end as it was counted?


class FilmFailed(Exception):
    """The simulation died while it was filmed."""


def keep_actions(played: Played, folder: Path) -> None:
    """Of a failure, so that it can be shown."""
    if not played.outcome.succeeded and played.actions is not None:
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / file_name(played.outcome, "npy"), played.actions, allow_pickle=False)


def film_failures(
    cells: Cells, chosen: Sequence[Outcome], *, suite: str, actions: Path, films: Path, rate_hz: float
) -> Iterator[Filmed]:
    """Of those whose actions were kept."""
    films.mkdir(parents=True, exist_ok=True)
    for outcome in chosen:
        kept, file = actions / file_name(outcome, "npy"), films / file_name(outcome, "mp4")
        if not kept.exists():
            continue
        episode = Episode(suite=suite, task=outcome.task, seed=outcome.seed)
        try:
            pictures, is_same = replayed(cells, episode, np.load(kept, allow_pickle=False), outcome)
        except FilmFailed:
            continue
        write_film(pictures, file, rate_hz=rate_hz)
        yield Filmed(outcome=outcome, file=file, is_same=is_same)


def worth_seeing(outcomes: Sequence[Outcome], most: int) -> list[Outcome]:
    """Failures, from every split and part in turn, so that no part is left out for another's sake."""
    parts: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        if not outcome.succeeded:
            parts.setdefault((outcome.split, outcome.task), []).append(outcome)
    chosen: list[Outcome] = []
    for turn in range(most):
        chosen += [failures[turn] for failures in parts.values() if turn < len(failures)]
        if len(chosen) >= most:
            break
    order = {id(outcome): at for at, outcome in enumerate(outcomes)}
    return sorted(chosen[:most], key=lambda outcome: order[id(outcome)])


def replayed(cells: Cells, episode: Episode, actions: Vector, counted: Outcome) -> tuple[list[Picture], bool]:
    """Pictures of one episode in cell 0, and whether it ended as it was counted."""
    _alive(cells.reset({0: episode})[0])
    pictures = [_seen(cells)]
    steps, succeeded = 0, False
    for at in range(len(actions)):
        report = _alive(cells.step({0: actions[at : at + 1]})[0])
        steps, succeeded = steps + report.steps, report.succeeded
        pictures.append(_seen(cells))
        if report.is_over:
            break
    pictures += pictures[-1:] * _LAST_PICTURES
    return pictures, (succeeded, steps) == (counted.succeeded, counted.steps)


def _seen(cells: Cells) -> Picture:
    view: View = _alive(cells.look([0])[0])
    return side_by_side(view.pictures)


def side_by_side(pictures: Mapping[str, Picture]) -> Picture:
    """All cameras in one picture, of one height and of even sizes."""
    height = max(_HEIGHT, *(picture.shape[0] for picture in pictures.values()))
    height += height % 2
    tiles: list[Picture] = []
    for picture in pictures.values():
        width = round(picture.shape[1] * height / picture.shape[0])
        size = (width + width % 2, height)
        tiles.append(np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC)))
    return np.concatenate(tiles, axis=1)


def write_film(pictures: Sequence[Picture], file: Path, *, rate_hz: float) -> None:
    if not pictures:
        return
    height, width = pictures[0].shape[:2]
    with Film(file, width, height, max(1, round(rate_hz))) as film:
        for picture in pictures:
            film.add(picture)


def _alive(answer: T | Void) -> T:
    if isinstance(answer, Void):
        raise FilmFailed(answer.why)
    return answer
