"""Put-on's cells in one batched simulation: `Cells` of vector.py over `PutOnBatch`.

A call means the cells that it names, as everywhere. Physics moves all of them at once, so cells that are not
named, whose chunk is shorter or whose episode is over, are put back after every step to where they stood and
how they moved: no time passes for them. What a solver remembers of its contacts is lost by that, so an
episode that others interrupted is the same one, though not to the last bit.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch

from robot_bridge.scene.splits import draw_scene
from robot_contract.errors import SceneError
from robot_contract.pose import Vector
from sim_train.put_on.batch_environment import PutOnBatch
from sim_train.put_on.episode import PutOnEpisode
from sim_train.simulation import Episode, Picture, Reading, Report
from sim_train.vector import Question, T, View, Void


@dataclass(eq=False)
class _Chunk:
    """What a cell has still to do in this call, and what it earned."""

    awaited: int  # steps in which the arm stands first
    actions: list[Vector]
    rewards: list[float] = field(default_factory=list)


class BatchedCells:
    def __init__(self, batch: PutOnBatch, *, size: int, rate_hz: float, episode_steps: int) -> None:
        torch.set_num_threads(1)
        self._batch = batch
        self._size = size
        self._rate_hz = rate_hz
        self._episode_steps = episode_steps
        self._episodes: dict[int, PutOnEpisode] = {}

    @property
    def count(self) -> int:
        return self._batch.count

    def reset(self, episodes: Mapping[int, Episode]) -> Mapping[int, str | Void]:
        scenes = {cell: draw_scene(episode.task, episode.seed) for cell, episode in episodes.items()}
        if scenes:
            self._batch.begin(scenes)
        for cell, scene in scenes.items():
            self._episodes[cell] = PutOnEpisode(
                scene, rate_hz=self._rate_hz, episode_steps=self._episode_steps
            )
        return {cell: scene.instruction for cell, scene in scenes.items()}

    def step(self, actions: Mapping[int, Vector]) -> Mapping[int, Report | Void]:
        chunks = {cell: self._chunk(cell, chunk) for cell, chunk in actions.items()}
        while sent := {
            cell: command
            for cell, chunk in chunks.items()
            if (command := self._next_command(cell, chunk)) is not None
        }:
            self._batch.carry_out(sent)
            for cell in sent:
                self._follow(cell, chunks[cell])
        return {
            cell: self.episode(cell).report(chunk.rewards, self._batch.progress(cell))
            for cell, chunk in chunks.items()
        }

    def _chunk(self, cell: int, actions: Vector) -> _Chunk:
        awaited = self.episode(cell).awaited_steps(self._batch.conditions(cell).delay_steps)
        return _Chunk(awaited=awaited, actions=list(actions))

    def _next_command(self, cell: int, chunk: _Chunk) -> Vector | None:
        if chunk.awaited:
            return self.episode(cell).standing()
        if not chunk.actions or self.episode(cell).is_over(self._batch.progress(cell)):
            return None
        return self.episode(cell).command(chunk.actions[0])

    def _follow(self, cell: int, chunk: _Chunk) -> None:
        if chunk.awaited:
            chunk.awaited -= 1
            return
        del chunk.actions[0]
        truth, progress = self._batch.truth(cell), self._batch.progress(cell)
        chunk.rewards.append(self.episode(cell).carried_out(truth, progress))

    def look(self, cells: Iterable[int]) -> Mapping[int, View | Void]:
        return {
            cell: View(
                instruction=self.episode(cell).scene.instruction,
                reading=self.view(cell).read(),
                pictures=pictures,
            )
            for cell, pictures in self.pictures(cells).items()
        }

    def pictures(self, cells: Iterable[int]) -> dict[int, dict[str, Picture]]:
        drawn = self._batch.draw(list(cells))
        return {cell: self.episode(cell).expose(of_cell, size=self._size) for cell, of_cell in drawn.items()}

    def ask(self, question: Question[T], cells: Iterable[int]) -> Mapping[int, T | Void]:
        return {cell: question(self.view(cell)) for cell in cells}

    def view(self, cell: int) -> "CellView":
        return CellView(self, self._batch, cell)

    def episode(self, cell: int) -> PutOnEpisode:
        if cell not in self._episodes:
            raise SceneError(f"cell {cell} has no episode: it has to be reset first")
        return self._episodes[cell]

    def close(self) -> None:
        self._batch.close()


class CellView:
    """One of the cells as a `Simulation`, for whoever asks it something."""

    def __init__(self, cells: BatchedCells, batch: PutOnBatch, cell: int) -> None:
        self._cells = cells
        self._batch = batch
        self._cell = cell

    def reset(self, episode: Episode) -> None:
        self._cells.reset({self._cell: episode})

    @property
    def instruction(self) -> str:
        return self._episode.scene.instruction

    def step(self, actions: Vector) -> Report:
        report = self._cells.step({self._cell: actions})[self._cell]
        assert isinstance(report, Report)
        return report

    def look(self) -> Mapping[str, Picture]:
        return self._cells.pictures([self._cell])[self._cell]

    def read(self) -> Reading:
        return self._episode.reading(self._batch.truth(self._cell), self._batch.joint_position(self._cell))

    def marks(self) -> Vector:
        return self._episode.marks(self._batch.truth(self._cell))

    def mark_pixels(self) -> Mapping[str, Vector]:
        cameras = self._batch.put_on_cameras
        poses = {name: self._batch.base_from_camera(self._cell, name) for name in cameras}
        factor = self._batch.conditions(self._cell).field_of_view
        return self._episode.mark_pixels(self._batch.truth(self._cell), cameras, poses, field_of_view=factor)

    def other_instructions(self) -> tuple[str, ...]:
        return self._episode.other_instructions()

    def expert(self, steps: int) -> Vector:
        return self._episode.expert(self._batch.truth(self._cell), steps)

    def close(self) -> None:
        """The batch is closed as a whole."""

    @property
    def _episode(self) -> PutOnEpisode:
        return self._cells.episode(self._cell)
