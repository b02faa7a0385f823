"""The twin on its own, to look at: the scripted expert works through scenes, live or for a film."""

import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from robot_bridge.scene.expert import expert_action
from robot_bridge.scene.scene import Scene
from robot_bridge.scene.splits import draw_scene
from robot_bridge.twin.command import Twin
from robot_bridge.twin.expert_trial import carry_out
from robot_bridge.twin.settings import TwinSettings
from robot_bridge.twin.studio import panel, with_studio
from robot_bridge.twin.viewer import Viewer
from robot_bridge.twin.world import TwinWorld
from robot_contract.errors import SceneError

_LIVE_RATE_HZ = 15.0
_FILM_RATE_HZ = 25
_REST_SECONDS = 1.0  # at the end of an episode, before the next scene
_LONGEST_EPISODE = 14.0  # [s]


def facts_of(world: TwinWorld) -> dict[str, str]:
    """What the page says about the episode."""
    progress = world.progress
    factor = world.real_time_factor
    return {
        "task": world.scene.instruction,
        "split": world.scene.split,
        "stage": progress.furthest.name.lower(),
        "done": "yes" if progress.succeeded_at is not None else "not yet",
        "arm": world.arm.read().fault or "well",
        "real-time factor": "-" if factor is None else f"{factor:.3f}",
    }


def act(world: TwinWorld) -> None:
    """One control step of the expert; it stands still when it has finished or the arm has a fault."""
    if world.progress.succeeded_at is None and world.arm.read().fault is None:
        carry_out(world, expert_action(world.truth(), world.scene))
    else:
        world.clock.sleep_until(world.clock.now() + 0.1)


def is_over(world: TwinWorld) -> bool:
    now, done = world.truth().time, world.progress.succeeded_at
    return now > _LONGEST_EPISODE or (done is not None and now > done + _REST_SECONDS)


def view(scenes: Sequence[Scene], *, port: int, until: threading.Event | None = None) -> None:
    """Serve the live page and let the expert go through the scenes, again and again."""
    settings = with_studio(TwinSettings(), rate_hz=_LIVE_RATE_HZ, shadows=False)
    ended = until or threading.Event()
    with (
        TwinWorld(scenes[0], settings) as world,
        Viewer("Touchdown twin", lambda: facts_of(world), port) as viewer,
    ):
        sys.stdout.write(f"The twin is to be seen at {viewer.address}  (Ctrl-C ends it)\n")
        sys.stdout.flush()
        picture_thread = threading.Thread(
            target=_show_pictures, args=(world, viewer, ended), name="twin-pictures", daemon=True
        )
        picture_thread.start()
        number = 0
        try:
            while not ended.is_set():
                act(world)
                if is_over(world):
                    number += 1
                    world.reset(scenes[number % len(scenes)])
        except KeyboardInterrupt:
            ended.set()
        picture_thread.join()


def _show_pictures(world: TwinWorld, viewer: Viewer, ended: threading.Event) -> None:
    while not ended.wait(1 / _LIVE_RATE_HZ):
        picture = panel(world.cameras)
        if picture is not None:
            viewer.show(picture)


def record(scenes: Sequence[Scene], path: Path, *, shadows: bool = True) -> int:
    """Film the expert on the scenes, one after the other; returns the number of pictures."""
    from robot_bridge.twin.film import Film  # needs PyAV, which nothing else here does

    settings = with_studio(TwinSettings(clock="stepped"), rate_hz=_FILM_RATE_HZ, shadows=shadows)
    count = 0
    with TwinWorld(scenes[0], settings) as world:
        first = panel(world.cameras)
        assert first is not None
        with Film(path, first.shape[1], first.shape[0], _FILM_RATE_HZ) as film:
            for scene in scenes:
                world.reset(scene)
                filmed = world.clock.now()
                while not is_over(world):
                    act(world)
                    while filmed <= world.clock.now():
                        picture = panel(world.cameras)
                        assert picture is not None
                        film.add(picture)
                        filmed += 1 / _FILM_RATE_HZ
                        count += 1
    return count


def run(command: Twin) -> None:
    """What `robot-bridge twin` does."""
    if command.scenes < 1:
        raise SceneError(f"scenes: expected at least 1, found {command.scenes}")
    if not 0 <= command.port <= 65535:
        raise SceneError(f"port: expected 0 to 65535, found {command.port}")
    if command.view and command.record is not None:
        raise SceneError("expected one of --view and --record, found both")
    if command.record is not None and command.record.suffix != ".mp4":
        raise SceneError(f"record: expected a name that ends in .mp4, found {command.record}")
    scenes = [draw_scene(command.split, command.seed + number) for number in range(command.scenes)]
    if command.record is not None:
        try:
            count = record(scenes, command.record)
        except OSError as error:
            raise SceneError(f"{command.record}: cannot be written: {error.strerror}") from None
        except KeyboardInterrupt:
            raise SystemExit(f"{command.record}: ended early, it holds what was filmed until then") from None
        sys.stdout.write(f"{command.record}: {count} pictures, {count / _FILM_RATE_HZ:.0f} s\n")
    elif command.view:
        view(scenes, port=command.port)
    else:
        raise SceneError("nothing to do: give --view, or --record FILE")
