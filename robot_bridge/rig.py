"""A rig: which arm, cameras, limits and servers belong together on one table.

Frozen values, read once from a YAML file by `rig_file.load_rig`. What moves has no default that a person did
not see: every key stands in the file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from robot_bridge.franka.settings import FrankaSettings
from robot_bridge.safety import SafetyLimits
from robot_contract.calibration import CameraCalibration
from robot_contract.errors import RigError, nearest_name
from robot_contract.pose import Pose

Driver = Literal["mock", "twin", "franka", "crisp"]
ClockKind = Literal["real", "stepped"]
SIMULATED: tuple[Driver, ...] = ("mock", "twin")  # nobody can be hurt
JointPosition = tuple[float, ...]  # 7 [rad]


@dataclass(frozen=True, kw_only=True)
class ArmRig:
    driver: Driver
    id: str  # which arm: its serial number, shown and recorded
    model: str  # fr3, panda or fer; a real arm's own report is checked against it
    system_version: str  # such as 5.9
    latency: float  # [s] from command to motion
    options: Mapping[str, str] = field(default_factory=dict)  # the driver's own keys: address, realtime


@dataclass(frozen=True, kw_only=True)
class GripperRig:
    max_width: float  # [m]
    latency: float  # [s] from command to motion
    dwell: float  # [s] between two changes of the command


@dataclass(frozen=True, kw_only=True)
class CameraRig:
    name: str  # as in the contract
    driver: Literal["mock", "twin", "realsense"]
    serial: str
    mount: Literal["external", "wrist"]
    vertical_field_of_view: float  # [rad] of the whole picture
    width: int  # [px]
    height: int  # [px]
    rate_hz: float
    latency: float  # [s] from exposure to arrival, calibrated where there is a calibration
    identical_frames: int  # so many equal pictures in a row mean that the camera is frozen
    calibration: CameraCalibration | None  # what `calibrate` wrote; its latency is then the camera's
    depth: bool = False  # realsense: depth with each picture, aligned to it, into the recordings
    playback: Path | None = None  # realsense: a .db3 recording of this serial instead of the camera itself


@dataclass(frozen=True, kw_only=True)
class PolicyServerRig:
    address: str
    tls_folder: Path | None  # certificates of role `bridge`
    deadline: float  # [s] the longest that an answer is waited for


@dataclass(frozen=True, kw_only=True)
class OperatorRig:
    address: str  # where OperatorService listens
    tls_folder: Path | None  # needed off loopback


@dataclass(frozen=True, kw_only=True)
class WatchdogRig:
    camera_margin: float  # [s] beyond latency + 2 frame periods
    chunk: float  # [s] past the last valid target
    longest_hold: float  # [s] a HOLD that lasts longer becomes HOLDING
    longest_clamp: float  # [s] more against a wall than not; then it is a fault of the policy
    missed_ticks: int  # so many in a row stop the policy


@dataclass(frozen=True, kw_only=True)
class RecordingRig:
    folder: Path
    free_space_floor: int  # [bytes] no trial begins with less


@dataclass(frozen=True, kw_only=True)
class SimulationRig:
    """What only `mock` and `twin` have."""

    clock: ClockKind
    policy_latency: float  # [s] charged for an answer when the clock is stepped
    split: str  # twin: of the scene that stands there at the start
    seed: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Rig:
    name: str
    file: Path
    digest: str  # sha256 of the file
    arm: ArmRig
    gripper: GripperRig
    cameras: tuple[CameraRig, ...]
    flange_from_tcp: Pose
    limits: SafetyLimits
    limits_digest: str
    poses: Mapping[str, JointPosition]
    policy_server: PolicyServerRig
    operator: OperatorRig
    watchdogs: WatchdogRig
    recording: RecordingRig
    hold_to_run: bool
    control_rate_hz: float
    simulation: SimulationRig | None
    franka: FrankaSettings | None = None  # driver franka only

    def __post_init__(self) -> None:
        played = [camera.name for camera in self.cameras if camera.playback is not None]
        if played and self.arm.driver not in SIMULATED:
            raise RigError(
                f"{self.file.name}: camera {', '.join(played)} plays a recording: an arm of driver"
                f" {self.arm.driver} needs cameras that see it"
            )
        if self.is_stepped and any(camera.driver == "realsense" for camera in self.cameras):
            raise RigError(f"{self.file.name}: a realsense camera runs in real time: clock: real")
        if self.arm.driver not in SIMULATED and not self.hold_to_run:
            raise RigError(
                f"{self.file.name}: hold_to_run: false is for the drivers {', '.join(SIMULATED)} only;"
                f" {self.arm.driver} needs hold_to_run: true"
            )
        if self.is_stepped and self.hold_to_run:
            raise RigError(
                f"{self.file.name}: a stepped clock has no real time to hold a key in: hold_to_run: false"
            )

    @property
    def is_stepped(self) -> bool:
        return self.simulation is not None and self.simulation.clock == "stepped"

    @property
    def tick_period(self) -> float:
        """[s]"""
        return 1.0 / self.control_rate_hz

    def camera(self, name: str) -> CameraRig:
        for camera in self.cameras:
            if camera.name == name:
                return camera
        names = [camera.name for camera in self.cameras]
        raise RigError(f"{self.file.name}: no camera {name!r}; {nearest_name(name, names)}")

    def camera_age_limit(self, camera: CameraRig) -> float:
        """[s] older pictures are not believed."""
        return camera.latency + 2.0 / camera.rate_hz + self.watchdogs.camera_margin

    def pose(self, name: str) -> JointPosition:
        if name not in self.poses:
            raise RigError(f"{self.file.name}: no pose {name!r}; {nearest_name(name, self.poses)}")
        return self.poses[name]
