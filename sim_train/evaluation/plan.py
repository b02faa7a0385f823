"""Which episodes an evaluation consists of: the same for every policy, and none that training saw.

A split of the put-on task that has parts takes them in turn, so that every hundred episodes hold equal
shares; a LIBERO suite takes its tasks in turn, each from its official initial states in order.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from robot_bridge.scene.splits import AXES
from robot_contract.errors import StudyError, nearest_name
from sim_train.seeds import FIRST_EVALUATION_SEED
from sim_train.simulation import Episode

EVERY_SPLIT = "all"
OFFICIAL_STATES = 50  # per LIBERO task


@dataclass(frozen=True, kw_only=True)
class Planned:
    split: str  # under which it is counted
    episode: Episode


def split_members(suite: str, tasks: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Every name that `--split` takes, with its tasks; the groups first."""
    groups = {axis: members for axis, members in AXES.items() if set(members) <= set(tasks)}
    if not groups:
        groups = {suite: tuple(tasks)}
    return groups | {task: (task,) for task in tasks if task not in groups}


def chosen_splits(suite: str, tasks: Sequence[str], wanted: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The splits that were asked for, in order and once each."""
    known = split_members(suite, tasks)
    groups = [name for name in known if known[name] != (name,) or name in AXES]
    chosen: dict[str, tuple[str, ...]] = {}
    for name in wanted:
        if name == EVERY_SPLIT:
            chosen |= {group: known[group] for group in groups}
        elif name in known:
            chosen[name] = known[name]
        else:
            raise StudyError(f"suite {suite}: no split {name!r}; {nearest_name(name, [EVERY_SPLIT, *known])}")
    if not chosen:
        raise StudyError(f"no split to evaluate; accepted are {', '.join([EVERY_SPLIT, *known])}")
    return chosen


def plan_episodes(
    suite: str, tasks: Sequence[str], *, splits: Sequence[str], episodes: int, seed: int = 0
) -> list[Planned]:
    """`episodes` of each split; `seed` moves on to others of the same kind."""
    if not episodes >= 1:
        raise StudyError(f"{episodes} episodes, expected at least 1")
    if not seed >= 0:
        raise StudyError(f"seed is {seed}, expected 0 or more")
    plan: list[Planned] = []
    for split, members in chosen_splits(suite, tasks, splits).items():
        if is_official(suite):
            most = (OFFICIAL_STATES - seed) * len(members)
            if not episodes <= most:
                raise StudyError(
                    f"suite {suite}, split {split}: {episodes} episodes from initial state {seed} on, there"
                    f" are {max(most, 0)}"
                )
        first = seed if is_official(suite) else FIRST_EVALUATION_SEED + seed
        plan += [
            Planned(
                split=split,
                episode=Episode(
                    suite=suite, task=members[number % len(members)], seed=first + number // len(members)
                ),
            )
            for number in _order(episodes, len(members), by_task=is_official(suite))
        ]
    return plan


def _order(episodes: int, tasks: int, *, by_task: bool) -> list[int]:
    """One task after the other where another task is another environment, some seconds to make."""
    return sorted(range(episodes), key=lambda number: number % tasks if by_task else number)


def is_official(suite: str) -> bool:
    """Its seeds are official initial states: they are few, and the benchmark is to run on them."""
    return suite.startswith("libero")
