"""Range, mean and spread of every feature, per episode and for all, as LeRobotDataset keeps them."""

import numpy as np
import numpy.typing as npt

Statistic = dict[str, npt.NDArray[np.float64]]  # min, max, mean, std, count
_PICTURES = 20  # of an episode's pictures, evenly spread
_EVERY = 4  # rows and columns of a picture


def of_values(values: npt.NDArray[np.generic]) -> Statistic:
    """Over the first axis of (n, ...) values."""
    rows = values.reshape(len(values), -1).astype(np.float64)
    return _statistic(rows, len(values))


def of_pictures(pictures: list[npt.NDArray[np.uint8]]) -> Statistic:
    """Per colour, (3, 1, 1) in 0..1, over a sample."""
    chosen = np.unique(np.linspace(0, len(pictures) - 1, _PICTURES).round().astype(int))
    rows = np.concatenate([pictures[i][::_EVERY, ::_EVERY].reshape(-1, 3) for i in chosen]) / 255.0
    found = _statistic(rows, len(chosen))
    return {name: value if name == "count" else value.reshape(3, 1, 1) for name, value in found.items()}


def sampled(count: int) -> list[int]:
    """Which of an episode's pictures `of_pictures` needs."""
    return sorted(set(np.linspace(0, count - 1, _PICTURES).round().astype(int).tolist()))


def _statistic(rows: npt.NDArray[np.float64], count: int) -> Statistic:
    return {
        "min": rows.min(axis=0),
        "max": rows.max(axis=0),
        "mean": rows.mean(axis=0),
        "std": rows.std(axis=0),
        "count": np.array([count]),
    }


def of_all(episodes: list[Statistic]) -> Statistic:
    """One statistic from those of the episodes, each with the weight of its count."""
    counts = np.array([float(each["count"][0]) for each in episodes])
    means = np.stack([each["mean"] for each in episodes])
    weights = counts.reshape(-1, *([1] * (means.ndim - 1))) / counts.sum()
    mean = (means * weights).sum(axis=0)
    spread = np.stack([each["std"] for each in episodes]) ** 2 + (means - mean) ** 2
    return {
        "min": np.min([each["min"] for each in episodes], axis=0),
        "max": np.max([each["max"] for each in episodes], axis=0),
        "mean": mean,
        "std": np.sqrt((spread * weights).sum(axis=0)),
        "count": np.array([int(counts.sum())]),
    }
