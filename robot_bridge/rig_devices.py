"""The parts of a rig file that name devices: arm, gripper, cameras."""

from pathlib import Path

from robot_bridge.rig import ArmRig, CameraRig, Driver, GripperRig
from robot_bridge.scene.lined_yaml import Field
from robot_contract.calibration import CameraCalibration, load_calibration
from robot_contract.errors import CalibrationError

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


def read_arm(field: Field) -> ArmRig:
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


def read_gripper(field: Field) -> GripperRig:
    f = field.mapping(["max_width", "latency", "dwell"])
    return GripperRig(
        max_width=f["max_width"].number(0.005, 0.3),
        latency=f["latency"].number(0.0, 1.0),
        dwell=f["dwell"].number(0.0, 5.0),
    )


def read_cameras(field: Field, folder: Path) -> tuple[CameraRig, ...]:
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
        width=f["width"].whole(16, 4096),
        height=f["height"].whole(16, 4096),
        rate_hz=f["rate_hz"].number(1.0, 240.0),
        latency=latency if calibration is None else calibration.latency,
        identical_frames=f["identical_frames"].whole(2, 1000),
        calibration=calibration,
        depth=f["depth"].flag() if "depth" in f else False,
        playback=f["playback"].path(folder) if "playback" in f else None,
    )


def _calibration(field: Field, folder: Path) -> CameraCalibration:
    try:
        return load_calibration(field.path(folder))
    except CalibrationError as error:
        field.refuse(str(error))
