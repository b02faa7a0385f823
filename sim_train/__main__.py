"""`sim-train`: the tasks that policies are trained and evaluated on."""

import sys

import tyro

from robot_bridge.scene.splits import AXES, axis_of, draw_scene
from robot_contract.errors import (
    ContractError,
    PolicyUnavailable,
    RecordingError,
    SceneError,
    SimulationUnavailable,
    StudyError,
)
from sim_train.demos.command import demos
from sim_train.demos.contact_sheet import contact_sheet
from sim_train.evaluation.command import evaluate


def tasks(*, split: str = "", seed: int = 0, episodes: int = 3) -> None:
    """List the put-on splits, and what a few of their scenes ask for.

    Args:
        split: Only this axis or sub-split; every axis when empty.
        seed: First seed of the scenes shown.
        episodes: How many scenes of each are shown.
    """
    for name in [split] if split else AXES:
        print(f"{name}: {', '.join(AXES.get(name, (f'part of {axis_of(name)}',)))}")
        for number in range(seed, seed + episodes):
            print(f"  seed {number}: {draw_scene(name, number).instruction}")


def main() -> None:
    try:
        tyro.extras.subcommand_cli_from_dict(
            {"tasks": tasks, "demos": demos, "contact-sheet": contact_sheet, "evaluate": evaluate},
            prog="sim-train",
            description=__doc__,
        )
    except (
        *(ContractError, StudyError, SceneError, RecordingError),
        *(SimulationUnavailable, PolicyUnavailable),
    ) as error:
        sys.exit(f"sim-train: {error}")


if __name__ == "__main__":
    main()
