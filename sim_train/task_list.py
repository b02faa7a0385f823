"""`sim-train tasks`: everything that a policy can be trained and evaluated on."""

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
        if name == "put-on":
            _list_put_on(split, range(seed, seed + episodes))
        else:
            _list_libero(name)


def _list_put_on(split: str, seeds: range) -> None:
    for name in [split] if split else AXES:
        print(f"put-on {name}: {', '.join(AXES.get(name, (f'part of {axis_of(name)}',)))}")
        for number in seeds:
            print(f"  seed {number}: {draw_scene(name, number).instruction}")


def _list_libero(suite: str) -> None:
    if find_spec("libero") is None:
        print(f"{suite}: {SIZES[suite]} tasks, to be listed where the extra `libero` is installed")
        return
    print(f"{suite}:")
    for number in range(SIZES[suite]):
        print(f"  {number}: {find_task(suite, str(number)).instruction}")
