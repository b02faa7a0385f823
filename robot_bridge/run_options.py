"""What a command line, a launch file or a ROS parameter may change in a rig, and how far.

Addresses and folders are free. Limits and watchdogs only become stricter. A simulated arm may stand in for a
real one, never the other way round.
"""

import dataclasses
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from robot_bridge.rig import SIMULATED, CameraRig, Rig, SimulationRig
from robot_bridge.rig_file import load_cameras
from robot_bridge.safety import profile
from robot_contract.canonical_json import digest
from robot_contract.channel import TlsFiles
from robot_contract.errors import RigError, nearest_name
from robot_contract.policy_contract import as_document

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9])?")
_EQUAL = 1e-9  # [s]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Empty means: as the rig file says."""

    policy_server: str = ""  # host:port
    policy_tls: Path | None = None  # folder with the certificates of role `bridge`
    address: str = ""  # host:port for OperatorService
    profile: str = ""  # a safety profile that is stricter than the rig's
    robot_ip: str = ""  # of a real arm; a simulated one that stands in has none, and needs none
    robot_type: str = ""  # which arm the operator believes to start; never changes anything
    driver: str = ""  # mock or twin in the place of the rig's own
    cameras_file: Path | None = None  # a file with `cameras`, in the place of the rig's
    recordings: Path | None = None
    record: bool = True  # false: no trial can be recorded
    dry_run: bool = False


def with_options(rig: Rig, options: RunOptions) -> Rig:
    """The rig with these options, or `RigError` where one would loosen it."""
    if options.robot_type and options.robot_type != rig.arm.model:
        raise RigError(f"robot type {options.robot_type!r}: rig {rig.name} is for {rig.arm.model}")
    changed = _with_cameras(rig, options.cameras_file) if options.cameras_file is not None else rig
    if options.driver not in ("", rig.arm.driver):
        changed = _with_stand_in(changed, options.driver)  # it has no address, whatever a launch file says
    elif options.robot_ip:
        changed = _with_robot_ip(changed, options.robot_ip)
    if options.policy_tls is not None:
        _require_certificates(options.policy_tls)
    limits = changed.limits
    if options.profile:
        limits = limits.with_profile(profile(options.profile))
    return dataclasses.replace(
        changed,
        digest=rig.digest if changed is rig else _digest(rig, options),
        limits=limits,
        limits_digest=digest(as_document(limits)),
        policy_server=dataclasses.replace(
            rig.policy_server,
            address=options.policy_server or rig.policy_server.address,
            tls_folder=options.policy_tls or rig.policy_server.tls_folder,
        ),
        operator=dataclasses.replace(rig.operator, address=options.address or rig.operator.address),
        recording=dataclasses.replace(rig.recording, folder=options.recordings or rig.recording.folder),
    )


def _with_stand_in(rig: Rig, driver: str) -> Rig:
    if driver not in SIMULATED:
        raise RigError(
            f"driver {driver!r}: rig {rig.name} is for driver {rig.arm.driver}; only {' or '.join(SIMULATED)}"
            f" may stand in for it; {nearest_name(driver, (*SIMULATED, rig.arm.driver))}"
        )
    return dataclasses.replace(
        rig,
        name=f"{rig.name}-{driver}",  # a recording must not look like one of the real arm
        arm=dataclasses.replace(rig.arm, driver=driver, id=f"{driver}-arm", options={}),
        cameras=tuple(
            dataclasses.replace(camera, driver=driver, depth=False, playback=None) for camera in rig.cameras
        ),
        simulation=rig.simulation or SimulationRig(clock="real", policy_latency=0.0, split="train", seed=0),
    )


def _with_robot_ip(rig: Rig, robot_ip: str) -> Rig:
    if "address" not in rig.arm.options:
        raise RigError(
            f"robot_ip {robot_ip!r}: rig {rig.name} is for driver {rig.arm.driver}, which has no address;"
            " name the rig file of the robot"
        )
    if not _HOST.fullmatch(robot_ip):
        raise RigError(f"robot_ip {robot_ip!r}: expected a host name or an IP address, such as 172.16.0.2")
    arm = dataclasses.replace(rig.arm, options={**rig.arm.options, "address": robot_ip})
    return dataclasses.replace(rig, arm=arm)


def _with_cameras(rig: Rig, path: Path) -> Rig:
    file, cameras = path.name, load_cameras(path)
    names, wanted = [camera.name for camera in cameras], [camera.name for camera in rig.cameras]
    if sorted(names) != sorted(wanted):
        raise RigError(f"{file}: has cameras {', '.join(names)}; rig {rig.name} has {', '.join(wanted)}")
    for camera in cameras:
        if problem := _loosens(rig, rig.camera(camera.name), camera):
            raise RigError(f"{file}: camera {camera.name}: {problem}; a cameras file may not be looser")
    return dataclasses.replace(rig, cameras=cameras)


def _loosens(rig: Rig, own: CameraRig, other: CameraRig) -> str:
    """Why the other camera would be watched less strictly than the rig's own; empty when it would not."""
    if rig.arm.driver not in SIMULATED and other.driver != own.driver:
        return f"driver {other.driver}, and the rig's is {own.driver}"
    if own.calibration is not None and other.calibration is None:
        return "has no calibration, and the rig's has one"
    ages = rig.camera_age_limit(other), rig.camera_age_limit(own)
    if not ages[0] <= ages[1] + _EQUAL:
        return (
            f"pictures would be believed for {ages[0] * 1000:.0f} ms, the rig's for {ages[1] * 1000:.0f} ms"
        )
    frozen = other.identical_frames / other.rate_hz, own.identical_frames / own.rate_hz
    if not frozen[0] <= frozen[1] + _EQUAL:
        return f"would count as frozen after {frozen[0]:.2f} s, the rig's after {frozen[1]:.2f} s"
    return ""


def _require_certificates(folder: Path) -> None:
    files = TlsFiles.in_folder(folder, "bridge")
    missing = [path.name for path in (files.ca, files.certificate, files.key) if not path.is_file()]
    if missing:
        raise RigError(
            f"policy_tls {folder}: {', '.join(missing)} is missing; copy ca.pem, bridge.pem and bridge.key"
            " there, as `policy-server make-certs` writes them"
        )


def _digest(rig: Rig, options: RunOptions) -> str:
    """Other devices than those of the file are another rig to whoever reads the recording."""
    file = options.cameras_file
    return digest(
        {
            "rig": rig.digest,
            "driver": options.driver,
            "robot_ip": options.robot_ip,
            "cameras": hashlib.sha256(file.read_bytes()).hexdigest() if file is not None else "",
        }
    )
