"""Which frames make up which step: shuffled epochs that are a function of the seed, so that a run can go on
where it stopped without having stored anything but the number of its step."""

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]


def repeated(frames: Indices, often: npt.NDArray[np.bool_], times: int) -> Indices:
    """`frames`, those that are `often` (bool, one per frame) as many times."""
    return np.repeat(frames, np.where(often, times, 1))


class Epochs:
    """An endless row of indices: all of them in a new order each epoch."""

    def __init__(self, indices: Indices, *, seed: int) -> None:
        self._indices = indices
        self._seed = seed
        self._shuffled: dict[int, Indices] = {}

    def batch(self, step: int, size: int) -> Indices:
        """The `size` indices of a step; steps follow each other without a gap, over the ends of epochs."""
        count = len(self._indices)
        first = step * size
        parts = list[Indices]()
        while size:
            epoch, at = divmod(first, count)
            part = self._epoch(epoch)[at : at + size]
            parts.append(part)
            first, size = first + len(part), size - len(part)
        return np.concatenate(parts)

    def _epoch(self, number: int) -> Indices:
        if number not in self._shuffled:
            self._shuffled = {number: np.random.default_rng([self._seed, number]).permutation(self._indices)}
        return self._shuffled[number]


def held_out(episode: Indices, *, share: float, seed: int) -> npt.NDArray[np.bool_]:
    """(N,) whether a frame belongs to an episode that is kept for validation; episodes are never split."""
    episodes = np.unique(episode)
    count = round(share * len(episodes))
    chosen = np.random.default_rng([seed, 0x5E7]).permutation(episodes)[:count]
    return np.isin(episode, chosen)
