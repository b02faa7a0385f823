"""`sim-train`: the tasks that policies are trained and evaluated on."""

import sys

import tyro

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
from sim_train.export_command import export
from sim_train.sft.command import sft
from sim_train.task_list import tasks


def main() -> None:
    try:
        tyro.extras.subcommand_cli_from_dict(
            {
                "tasks": tasks,
                "demos": demos,
                "contact-sheet": contact_sheet,
                "evaluate": evaluate,
                "sft": sft,
                "export": export,
            },
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
