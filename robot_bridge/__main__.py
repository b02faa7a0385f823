"""`robot-bridge`: the robot computer's program."""

import logging
import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from robot_bridge.demo import Demo, run_demo
from robot_bridge.franka.command import Franka, run_franka
from robot_bridge.modes import table_for_people
from robot_bridge.realsense.command import Cameras, run_cameras
from robot_bridge.recording.commands import Export, Plot, Replay, run_export, run_plot, run_replay
from robot_bridge.rig_file import find_rig, load_rig, shipped_rigs
from robot_bridge.run_options import RunOptions
from robot_bridge.running import check_rig, run_bridge
from robot_bridge.twin.command import Twin, run_twin
from robot_contract.errors import CalibrationError, DeviceFault, RecordingError, RigError, SceneError


@dataclass(frozen=True, kw_only=True)
class Run:
    """Run the bridge for a rig: control loop, policy client and operator service, until Ctrl-C.

    Nothing moves before a person has armed the bridge and started a trial. Ctrl-C lets a moving arm
    decelerate along its path, and then leaves it stopped.
    """

    rig: str = "mock"
    """A shipped rig's name (`robot-bridge rigs` lists them) or the path of a rig file."""
    policy_server: str = ""
    """host:port of the policy server instead of the rig's own."""
    policy_tls: Path | None = None
    """Folder with ca.pem, bridge.pem and bridge.key for the policy server instead of the rig's own."""
    address: str = ""
    """host:port for OperatorService instead of the rig's own; loopback unless the rig names certificates."""
    profile: str = ""
    """A safety profile that is stricter than the rig's; a looser one is refused."""
    robot_ip: str = ""
    """Address of the real arm instead of the rig's own."""
    robot_type: str = ""
    """Which arm you believe to start: fr3, panda or fer. Refused when the rig is for another."""
    driver: str = ""
    """mock or twin: simulated arm, gripper and cameras in the place of the rig's; limits and the key stay."""
    cameras_file: Path | None = None
    """A file with the section `cameras` of a rig, instead of the rig's own; one that is watched less strictly
    is refused."""
    recordings: Path | None = None
    """Folder for recordings instead of the rig's own."""
    record: bool = True
    """--no-record: this bridge records nothing, and refuses a trial that asks for a recording."""
    dry_run: bool = False
    """Compute and record everything, never move the arm or the gripper."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """How much is written to standard error."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """Read a rig file and say what is wrong with it, or what is in it. Opens no device."""

    rig: Annotated[str, tyro.conf.Positional]
    """A shipped rig's name or the path of a rig file."""


@dataclass(frozen=True, kw_only=True)
class Rigs:
    """List the rigs that are shipped."""


@dataclass(frozen=True, kw_only=True)
class Modes:
    """Print the table of modes and events, as it stands in the manual."""


Command = Run | Check | Rigs | Modes | Demo | Twin | Replay | Export | Plot | Cameras | Franka


def main(arguments: list[str] | None = None) -> None:
    command: Command = tyro.cli(Command, prog="robot-bridge", description=__doc__, args=arguments)  # pyright: ignore[reportArgumentType, reportCallIssue]
    try:
        match command:
            case Run():
                _run(command)
            case Check():
                print(check_rig(load_rig(find_rig(command.rig))))
            case Rigs():
                for name, path in shipped_rigs().items():
                    print(f"{name:12} {path}")
            case Cameras():
                run_cameras(command, print)
            case Franka():
                run_franka(command, print)
            case Modes():
                print(table_for_people())
            case Demo():
                run_demo(command)
            case Twin():
                run_twin(command)
            case Replay():
                sys.exit(run_replay(command, print))
            case Export():
                run_export(command, print)
            case Plot():
                run_plot(command, print)
    except (RigError, CalibrationError, SceneError, RecordingError, DeviceFault) as error:
        print(f"robot-bridge: {error}", file=sys.stderr)
        sys.exit(2)


def _run(command: Run) -> None:
    logging.basicConfig(
        level=command.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    ending = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: ending.set())
    options = RunOptions(
        policy_server=command.policy_server,
        policy_tls=command.policy_tls,
        address=command.address,
        profile=command.profile,
        robot_ip=command.robot_ip,
        robot_type=command.robot_type,
        driver=command.driver,
        cameras_file=command.cameras_file,
        recordings=command.recordings,
        record=command.record,
        dry_run=command.dry_run,
    )
    run_bridge(
        load_rig(find_rig(command.rig)),
        options,
        ending,
        is_up=lambda port: print(f"robot-bridge serves operators on port {port}", flush=True),
    )


if __name__ == "__main__":
    main()
