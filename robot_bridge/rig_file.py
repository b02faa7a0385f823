"""Reads a rig file strictly: an unknown, missing or impossible key is an error with file, line and key."""

import dataclasses
import hashlib
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

import numpy as np

from robot_bridge.franka.settings import read_franka_settings
from robot_bridge.rig import (
    SIMULATED,
    ArmRig,
    CameraRig,
    Driver,
    GripperRig,
    OperatorRig,
    PolicyServerRig,
    RecordingRig,
    Rig,
    SimulationRig,
    WatchdogRig,
)
from robot_bridge.safety import Box, SafetyLimits, ToolPoint, arm_table, profile
from robot_bridge.scene.lined_yaml import Field, read_lined_yaml
from robot_contract.calibration import CameraCalibration, load_calibration
from robot_contract.canonical_json import digest
from robot_contract.channel import is_loopback
from robot_contract.errors import CalibrationError, RigError, SceneError, nearest_name
from robot_contract.policy_contract import as_document
from robot_contract.pose import Pose

T = TypeVar("T")

_DRIVER_OPTIONS: dict[Driver, tuple[str, ...]] = {
    "mock": (),
    "twin": (),
    "franka": ("address", "realtime", "tracking"),
    "crisp": (
        *("target_topic", "pose_topic", "joint_topic", "pose_frame", "base_frame"),
        *("gripper", "gripper_topic", "finger_topic", "recovery"),
    ),
}
_MORE_OPTIONS: dict[Driver, tuple[str, ...]] = {"crisp": ("recovery_action", "robot_state_topic")}
_OPTION_WORDS = {
    "realtime": ("enforce", "ignore"),
    "tracking": ("impedance", "velocity"),
    "pose_frame": ("flange", "tcp"),
    "gripper": ("position", "franka_msgs"),
    "recovery": ("none", "franka_msgs"),
}
_LIMIT_NUMBERS = {  # optional keys of `safety`, each with the range that is worth writing down
    "step_distance": (0.001, 0.2),
    "step_angle": (0.01, 1.0),
    "gross_distance": (0.01, 0.5),
    "gross_angle": (0.01, 1.6),
    "leash_distance": (0.005, 0.1),
    "leash_angle": (0.02, 0.6),
    "arm_age": (0.002, 0.1),
    "joint_margin": (0.02, 0.5),
    "joint_speed_share": (0.05, 0.9),
    "singularity_slow": (1.0, 60.0),
    "singularity_halt": (1.0, 60.0),
}


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
    return _read(path, lambda root: _cameras(root.mapping(["cameras"])["cameras"], path.parent))


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
    arm = _arm(f["arm"])
    if (arm.driver == "franka") != ("franka" in f):
        root.refuse(f"the section `franka` belongs to the driver franka, and to it only; found {arm.driver}")
    if (arm.driver in SIMULATED) != ("simulation" in f):
        root.refuse(
            f"`simulation` belongs to the drivers {', '.join(SIMULATED)} only; this driver is {arm.driver}"
        )
    limits = _limits(f["safety"], arm)
    return Rig(
        name=f["name"].word(),
        file=path,
        digest=hashlib.sha256(path.read_bytes()).hexdigest(),
        arm=arm,
        gripper=_gripper(f["gripper"]),
        cameras=_cameras(f["cameras"], path.parent),
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


def _arm(field: Field) -> ArmRig:
    f = field.mapping(["driver", "id", "model", "system_version", "latency"], ["options"])
    driver: Driver = f["driver"].word(list(_DRIVER_OPTIONS))  # pyright: ignore[reportAssignmentType]
    wanted = _DRIVER_OPTIONS[driver]
    options: dict[str, str] = {}
    if "options" in f:
        given = f["options"].mapping(wanted, _MORE_OPTIONS.get(driver, ()))
        options = {name: value.word(_OPTION_WORDS.get(name)) for name, value in given.items()}
    elif wanted:
        field.refuse(f"missing options: driver {driver} needs {', '.join(wanted)}")
    return ArmRig(
        driver=driver,
        id=f["id"].word(),
        model=f["model"].word(["fr3", "panda", "fer"]),
        system_version=f["system_version"].word(),
        latency=f["latency"].number(0.0, 0.5),
        options=options,
    )


def _gripper(field: Field) -> GripperRig:
    f = field.mapping(["max_width", "latency", "dwell"])
    return GripperRig(
        max_width=f["max_width"].number(0.005, 0.3),
        latency=f["latency"].number(0.0, 1.0),
        dwell=f["dwell"].number(0.0, 5.0),
    )


def _cameras(field: Field, folder: Path) -> tuple[CameraRig, ...]:
    cameras = tuple(_camera(name, value, folder) for name, value in field.items())
    if not cameras:
        field.refuse("expected at least one camera")
    return cameras


def _camera(name: str, field: Field, folder: Path) -> CameraRig:
    f = field.mapping(
        [
            "driver",
            "serial",
            "mount",
            "vertical_field_of_view",
            "width",
            "height",
            "rate_hz",
            "latency",
            "identical_frames",
        ],
        ["calibration", "depth", "playback"],
    )
    driver = f["driver"].word(["mock", "twin", "realsense"])
    for key in ("depth", "playback"):
        if key in f and driver != "realsense":
            f[key].refuse(f"`{key}` belongs to the driver realsense only; this driver is {driver}")
    calibration = _calibration(f["calibration"], folder) if "calibration" in f else None
    latency = f["latency"].number(0.0, 0.5)
    return CameraRig(
        name=name,
        driver=driver,  # pyright: ignore[reportArgumentType]
        serial=f["serial"].word(),
        mount=f["mount"].word(["external", "wrist"]),  # pyright: ignore[reportArgumentType]
        vertical_field_of_view=f["vertical_field_of_view"].number(0.05, 3.0),
        width=_whole(f["width"], 16, 4096),
        height=_whole(f["height"], 16, 4096),
        rate_hz=f["rate_hz"].number(1.0, 240.0),
        latency=latency if calibration is None else calibration.latency,
        identical_frames=_whole(f["identical_frames"], 2, 1000),
        calibration=calibration,
        depth=f["depth"].flag() if "depth" in f else False,
        playback=_path(f["playback"], folder) if "playback" in f else None,
    )


def _calibration(field: Field, folder: Path) -> CameraCalibration:
    try:
        return load_calibration(_path(field, folder))
    except CalibrationError as error:
        field.refuse(str(error))


def _limits(field: Field, arm: ArmRig) -> SafetyLimits:
    f = field.mapping(["profile", "workspace", "table_height", "keep_out", "tool_points"], [*_LIMIT_NUMBERS])
    try:
        limits = SafetyLimits(
            profile=profile(f["profile"].word()),
            arm=arm_table(arm.model, arm.system_version),
            workspace=_box("workspace", f["workspace"]),
            table_height=f["table_height"].number(-2.0, 2.0),
            keep_out=tuple(_box(name, value) for name, value in f["keep_out"].items()),
            tool_points=tuple(_tool_point(name, value) for name, value in f["tool_points"].items()),
        )
        numbers = {name: f[name].number(*_LIMIT_NUMBERS[name]) for name in _LIMIT_NUMBERS if name in f}
        return dataclasses.replace(limits, **numbers)  # pyright: ignore[reportArgumentType]
    except RigError as error:
        field.refuse(str(error))


def _box(name: str, field: Field) -> Box:
    f = field.mapping(["low", "high"])
    return Box(
        name=name,
        low=np.array(f["low"].numbers(3, -3.0, 3.0)),
        high=np.array(f["high"].numbers(3, -3.0, 3.0)),
    )


def _tool_point(name: str, field: Field) -> ToolPoint:
    f = field.mapping(["position", "radius"])
    return ToolPoint(
        name=name, position=np.array(f["position"].numbers(3, -1.0, 1.0)), radius=f["radius"].number(0.0, 0.5)
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
        tls_folder=_path(f["tls_folder"], folder) if "tls_folder" in f else None,
        deadline=f["deadline"].number(0.05, 60.0),
    )


def _operator(field: Field, folder: Path) -> OperatorRig:
    f = field.mapping(["address"], ["tls_folder"])
    address = f["address"].word()
    if "tls_folder" not in f and not is_loopback(address):
        f["address"].refuse(f"{address} is not on this machine: off loopback `tls_folder` is needed")
    return OperatorRig(
        address=address, tls_folder=_path(f["tls_folder"], folder) if "tls_folder" in f else None
    )


def _watchdogs(field: Field) -> WatchdogRig:
    f = field.mapping(["camera_margin", "chunk", "longest_hold", "longest_clamp", "missed_ticks"])
    return WatchdogRig(
        camera_margin=f["camera_margin"].number(0.0, 0.2),
        chunk=f["chunk"].number(0.01, 0.2),
        longest_hold=f["longest_hold"].number(0.05, 0.5),
        longest_clamp=f["longest_clamp"].number(0.1, 60.0),
        missed_ticks=_whole(f["missed_ticks"], 1, 100),
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
        seed=_whole(f["seed"], 0, 2**53),
    )


def _whole(field: Field, low: int, high: int) -> int:
    value = field.number(low, high)
    if value != int(value):
        field.refuse(f"expected a whole number, found {value:g}")
    return int(value)


def _path(field: Field, folder: Path) -> Path:
    """Relative paths are seen from the rig file."""
    return folder / Path(field.word()).expanduser()
