"""`sim-train tasks`: everything that a policy can be trained and evaluated on."""

import sys
from collections.abc import Iterator
from importlib.util import find_spec

from robot_bridge.scene.splits import AXES, axis_of, draw_scene
from robot_contract.errors import SceneError, nearest_name
from sim_train.libero.tasks import SIZES, find_task


def tasks(*, suite: str = "", split: str = "", seed: int = 0, episodes: int = 3) -> None:
    """List the put-on splits, with what a few of their scenes ask for, and LIBERO's 130 tasks.

    Args:
        suite: Only this one: put-on, libero_spatial, ...; all of them when empty.
        split: Only this axis or sub-split of put-on.
        seed: First seed of the scenes shown.
        episodes: How many scenes of each are shown.
    """
    suites = ("put-on", *SIZES)
    if suite and suite not in suites:
        raise SceneError(f"no suite is named {suite!r}; {nearest_name(suite, suites)}")
    for name in [suite] if suite else ["put-on"] if split else suites:
        lines = _put_on(split, range(seed, seed + episodes)) if name == "put-on" else _libero(name)
        sys.stdout.writelines(f"{line}\n" for line in lines)


def _put_on(split: str, seeds: range) -> Iterator[str]:
    for name in [split] if split else AXES:
        yield f"put-on {name}: {', '.join(AXES.get(name, (f'part of {axis_of(name)}',)))}"
        for number in seeds:
            yield f"  seed {number}: {draw_scene(name, number).instruction}"


def _libero(suite: str) -> Iterator[str]:
    if find_spec("libero") is None:
        yield f"{suite}: {SIZES[suite]} tasks, which are listed where the extra `libero` is installed"
        return
    yield f"{suite}:"
    for number in range(SIZES[suite]):
        yield f"  {number}: {find_task(suite, str(number)).instruction}"
