"""Failures to look at: the failed episodes once more, a picture at every step, as videos that browsers play.

Equal episodes start equal and a greedy policy decides equally, so what is seen is what was counted; where it
is not, that is said.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import methodcaller
from pathlib import Path

import numpy as np
from PIL import Image

from robot_bridge.twin.film import Film
from sim_train.evaluation.asking import Asked
from sim_train.evaluation.deciders import Decider
from sim_train.evaluation.outcome import Outcome
from sim_train.evaluation.plan import Planned
from sim_train.evaluation.rounds import another
from sim_train.evaluation.settings import Instruct
from sim_train.simulation import Episode, Picture
from sim_train.vector import Cells, T, View, Void

_HEIGHT = 256  # [px] at least, for people
_LAST_PICTURES = 8  # the end stands still for so many pictures


@dataclass(frozen=True, kw_only=True)
class Filmed:
    outcome: Outcome  # as it was counted
    file: Path
    is_same: bool  # did it end as it was counted?


class FilmFailed(Exception):
    """The simulation died while it was filmed."""


def film_failures(
    cells: Cells,
    decider: Decider,
    outcomes: Sequence[Outcome],
    folder: Path,
    *,
    suite: str,
    most: int,
    execute_steps: int,
    instruct: Instruct,
    rate_hz: float,
) -> Iterator[Filmed]:
    folder.mkdir(parents=True, exist_ok=True)
    for outcome in worth_seeing(outcomes, most):
        episode = Episode(suite=suite, task=outcome.task, seed=outcome.seed)
        planned = Planned(split=outcome.split, episode=episode)
        file = folder / f"{outcome.split}-{outcome.task}-{outcome.seed}.mp4"
        try:
            pictures, succeeded, steps = replayed(
                cells, decider, planned, execute_steps=execute_steps, instruct=instruct
            )
        except FilmFailed:
            continue
        write_film(pictures, file, rate_hz=rate_hz)
        is_same = (succeeded, steps) == (outcome.succeeded, outcome.steps)
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


def replayed(
    cells: Cells, decider: Decider, planned: Planned, *, execute_steps: int, instruct: Instruct
) -> tuple[list[Picture], bool, int]:
    """(pictures, succeeded, steps) of one episode in cell 0."""
    told = _alive(cells.reset({0: planned.episode})[0])
    if instruct == "other":
        others = _alive(cells.ask(methodcaller("other_instructions"), [0])[0])
        told = another(others, planned)
    pictures: list[Picture] = []
    steps, question = 0, 0
    while True:
        view = _alive(cells.look([0])[0])
        asked = Asked(view=view, instruction=told, session="film", sequence=question)
        chunk = _alive(decider.decide({0: asked})[0])
        question += 1
        pictures.append(side_by_side(view.pictures))
        for at in range(min(execute_steps, len(chunk))):
            report = _alive(cells.step({0: chunk[at : at + 1]})[0])
            steps += report.steps
            if report.is_over:
                last: View = _alive(cells.look([0])[0])
                pictures += [side_by_side(last.pictures)] * _LAST_PICTURES
                return pictures, report.succeeded, steps
            if at + 1 < execute_steps:
                seen: View = _alive(cells.look([0])[0])
                pictures.append(side_by_side(seen.pictures))


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
    height, width = pictures[0].shape[:2]
    with Film(file, width, height, max(1, round(rate_hz))) as film:
        for picture in pictures:
            film.add(picture)


def _alive(answer: T | Void) -> T:
    if isinstance(answer, Void):
        raise FilmFailed(answer.why)
    return answer
