"""`robot-bridge twin`: the twin on its own, to look at. Imports the physics only when it is run."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Twin:
    """Show the digital twin at work, without a bridge: the scripted expert goes through scenes.

    `--view` serves a live page on this computer until Ctrl-C; `--record FILE` writes a film.
    """

    view: bool = False
    """Serve a live page on the loopback address."""
    port: int = 0
    """Of the page; 0 takes a free one."""
    record: Path | None = None
    """Write a film (MP4) of the scenes, as fast as it can be drawn."""
    split: str = "train"
    """What the scenes are drawn from: train, vision, semantics, execution, or one of their sub-splits."""
    seed: int = 0
    """Number of the first scene."""
    scenes: int = 4
    """How many scenes, one after the other."""


def run_twin(command: Twin) -> None:
    from robot_bridge.twin.show import run

    run(command)
