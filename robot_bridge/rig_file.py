"""Reads a rig file strictly: an unknown, missing or impossible key is an error with file, line and key."""

import hashlib
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

import numpy as np

from robot_bridge.franka.settings import read_franka_settings
from robot_bridge.rig import (
    SIMULATED,
    CameraRig,
    OperatorRig,
    PolicyServerRig,
    RecordingRig,
    Rig,
    SimulationRig,
    WatchdogRig,
)
from robot_bridge.rig_devices import read_arm, read_cameras, read_gripper
from robot_bridge.rig_limits import read_limits
from robot_bridge.scene.lined_yaml import Field, read_lined_yaml
from robot_contract.canonical_json import digest
from robot_contract.channel import is_loopback
from robot_contract.errors import RigError, SceneError, nearest_name
from robot_contract.policy_contract import as_document
from robot_contract.pose import Pose

T = TypeVar("T")


def shipped_rigs() -> dict[str, Path]:
    folder = Path(str(files("robot_bridge") / "rigs"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find_rig(name: str) -> Path:
    """The file of a shipped rig by its name, or of any rig by its path."""
    shipped = shipped_rigs()
    if name in shipped:
        return shipped[name]
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        return path
    raise RigError(f"no rig {name!r}; {nearest_name(name, shipped)}; or give the path of a .yaml file")


def load_rig(path: Path) -> Rig:
    return _read(path, lambda root: _rig(path, root))


def load_cameras(path: Path) -> tuple[CameraRig, ...]:
    """A file that holds the section `cameras` of a rig and nothing else."""
    return _read(path, lambda root: read_cameras(root.mapping(["cameras"])["cameras"], path.parent))


def _read(path: Path, parse: Callable[[Field], T]) -> T:
    try:
        return parse(read_lined_yaml(path))
    except OSError as error:
        raise RigError(f"{path}: cannot be read: {error.strerror}") from error
    except SceneError as error:  # the strict reader's own complaint
        raise RigError(str(error)) from None


def _rig(path: Path, root: Field) -> Rig:
    f = root.mapping(
        [
            "name",
            "arm",
            "gripper",
            "cameras",
            "flange_from_tcp",
            "safety",
            "poses",
            "policy_server",
            "operator",
            "watchdogs",
            "recording",
            "hold_to_run",
            "control_rate_hz",
        ],
        ["simulation", "franka"],
    )
    arm = read_arm(f["arm"])
    if (arm.driver == "franka") != ("franka" in f):
        root.refuse(f"the section `franka` belongs to the driver franka, and to it only; found {arm.driver}")
    if (arm.driver in SIMULATED) != ("simulation" in f):
        root.refuse(
            f"`simulation` belongs to the drivers {', '.join(SIMULATED)} only; this driver is {arm.driver}"
        )
    limits = read_limits(f["safety"], arm)
    return Rig(
        name=f["name"].word(),
        file=path,
        digest=hashlib.sha256(path.read_bytes()).hexdigest(),
        arm=arm,
        gripper=read_gripper(f["gripper"]),
        cameras=read_cameras(f["cameras"], path.parent),
        flange_from_tcp=_pose(f["flange_from_tcp"]),
        limits=limits,
        limits_digest=digest(as_document(limits)),
        poses={name: value.numbers(7, -3.2, 4.7) for name, value in f["poses"].items()},
        policy_server=_policy_server(f["policy_server"], path.parent),
        operator=_operator(f["operator"], path.parent),
        watchdogs=_watchdogs(f["watchdogs"]),
        recording=_recording(f["recording"]),
        hold_to_run=f["hold_to_run"].flag(),
        control_rate_hz=f["control_rate_hz"].number(20, 1000),
        simulation=_simulation(f["simulation"]) if "simulation" in f else None,
        franka=read_franka_settings(f["franka"], path.parent) if "franka" in f else None,
    )


def _pose(field: Field) -> Pose:
    f = field.mapping(["position", "quaternion"])
    quaternion = np.array(f["quaternion"].numbers(4, -1.0, 1.0))
    norm = float(np.linalg.norm(quaternion))
    if not abs(norm - 1.0) <= 1e-3:
        field.refuse(f"expected a unit quaternion x y z w, found one of length {norm:.4f}")
    return Pose(position=np.array(f["position"].numbers(3, -1.0, 1.0)), quaternion=quaternion / norm)


def _policy_server(field: Field, folder: Path) -> PolicyServerRig:
    f = field.mapping(["address", "deadline"], ["tls_folder"])
    return PolicyServerRig(
        address=f["address"].word(),
        tls_folder=f["tls_folder"].path(folder) if "tls_folder" in f else None,
        deadline=f["deadline"].number(0.05, 60.0),
    )


def _operator(field: Field, folder: Path) -> OperatorRig:
    f = field.mapping(["address"], ["tls_folder"])
    address = f["address"].word()
    if "tls_folder" not in f and not is_loopback(address):
        f["address"].refuse(f"{address} is not on this machine: off loopback `tls_folder` is needed")
    return OperatorRig(
        address=address, tls_folder=f["tls_folder"].path(folder) if "tls_folder" in f else None
    )


def _watchdogs(field: Field) -> WatchdogRig:
    f = field.mapping(["camera_margin", "chunk", "longest_hold", "longest_clamp", "missed_ticks"])
    return WatchdogRig(
        camera_margin=f["camera_margin"].number(0.0, 0.2),
        chunk=f["chunk"].number(0.01, 0.2),
        longest_hold=f["longest_hold"].number(0.05, 0.5),
        longest_clamp=f["longest_clamp"].number(0.1, 60.0),
        missed_ticks=f["missed_ticks"].whole(1, 100),
    )


def _recording(field: Field) -> RecordingRig:
    f = field.mapping(["folder", "free_space_floor"])
    return RecordingRig(
        folder=Path(f["folder"].word()).expanduser(),
        free_space_floor=int(f["free_space_floor"].number(0, 1e13)),
    )


def _simulation(field: Field) -> SimulationRig:
    f = field.mapping(["clock", "policy_latency", "split", "seed"])
    return SimulationRig(
        clock=f["clock"].word(["real", "stepped"]),  # pyright: ignore[reportArgumentType]
        policy_latency=f["policy_latency"].number(0.0, 10.0),
        split=f["split"].word(),
        seed=f["seed"].whole(0, 2**53),
    )
