"""What a policy promises and demands: the document that travels inside every checkpoint folder.

`sim-train` writes it, the server serves it, and the bridge refuses to arm on any mismatch. Two digests over
canonical JSON: `interface_digest` is what the robot must match and must stay equal for as long as a bridge is
connected; `policy_digest` covers weights and statistics too.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from robot_contract.canonical_json import digest
from robot_contract.errors import ContractError
from robot_contract.pose import Pose, Vector, read_only

SCHEMA_VERSION = 1

Reference = Literal["commanded_chain", "measured_each_step"]
DeltaFrame = Literal["base", "tool"]
Execution = Literal["synchronous", "overlapped"]
Mount = Literal["external", "wrist"]
Normalisation = Literal["bounds_q99", "bounds"]
ProprioceptionField = Literal[
    "position",
    "rotation_vector",
    "quaternion",
    "opening",
    "finger_positions",
    "gripper_command",
    "joint_position",
]

PROPRIOCEPTION_WIDTHS: dict[ProprioceptionField, int] = {
    "position": 3,  # [m] of the TCP, seen from proprioception_origin
    "rotation_vector": 3,  # [rad] of the TCP, seen from proprioception_origin
    "quaternion": 4,  # x y z w of the TCP, seen from proprioception_origin
    "opening": 1,  # gripper width over its largest, 0..1
    "finger_positions": 2,  # [m] each finger from the middle: (width / 2, -width / 2)
    "gripper_command": 1,  # last commanded opening, 0..1
    "joint_position": 7,  # [rad]
}
ACTION_WIDTH = 7  # dx dy dz [m], rx ry rz [rad], gripper opening 0..1


@dataclass(frozen=True, kw_only=True)
class GripperContract:
    max_width: float  # [m] what opening 1.0 means
    close_below: float  # opening 0..1: a wanted opening under this closes
    open_above: float  # opening 0..1: a wanted opening over this opens; between the two nothing changes


@dataclass(frozen=True, kw_only=True)
class CameraContract:
    """One image of the observation, as the bridge must deliver it.

    The bridge cuts `crop_height` x `crop_width` (fractions of the camera's height) from the middle of the
    camera's picture and resizes it to `height` x `width`.
    """

    name: str
    mount: Mount
    vertical_field_of_view: float  # [rad] of the image after the crop
    crop_width: (
        float  # fraction of the source picture's height; 1.0 with crop_height 1.0 is the middle square
    )
    crop_height: float  # fraction of the source picture's height
    width: int  # [px]
    height: int  # [px]


@dataclass(frozen=True, kw_only=True, eq=False)
class Statistics:
    """Bounds for normalisation; `low` and `high` are q01 and q99, or minimum and maximum."""

    action_low: Vector  # (7,)
    action_high: Vector  # (7,)
    action_mask: tuple[bool, ...]  # False passes through unnormalised (the gripper)
    proprioception_low: Vector
    proprioception_high: Vector

    def __post_init__(self) -> None:
        for name in ("action_low", "action_high", "proprioception_low", "proprioception_high"):
            object.__setattr__(self, name, read_only(getattr(self, name)))


@dataclass(frozen=True, kw_only=True, eq=False)
class PolicyContract:
    name: str  # what clients ask for
    schema_version: int = SCHEMA_VERSION

    # How actions are meant (docs/architecture.md, "Semantics").
    reference: Reference
    frame: DeltaFrame
    execution: Execution
    step_period: float  # [s] between actions
    chunk_length: int  # K, actions in a chunk
    execute_steps: int  # of these K, how many are carried out before the next chunk
    trained_delay_steps: (
        int  # steps of delay that training injected; how late a chunk may be for an overlapped policy
    )
    time_stretch: float  # 1.0 as trained; 2.0 takes twice as long per step, re-evaluated so in simulation
    max_translation_per_step: float  # [m]
    max_rotation_per_step: float  # [rad]
    flange_from_tcp: Pose
    gripper: GripperContract

    # What the policy wants to see.
    cameras: tuple[CameraContract, ...]
    max_camera_skew: float  # [s] between the oldest and the newest image of one observation
    proprioception: tuple[ProprioceptionField, ...]
    proprioception_origin: Pose  # base_from_origin: positions are seen from here
    prompt_template: str  # with {instruction}

    # What makes it this policy and no other.
    normalisation: Normalisation
    statistics: Statistics
    weights_digest: str  # sha256 of the weights, hexadecimal
    provenance: tuple[tuple[str, str], ...]  # what it was trained on, by which command, when

    def __post_init__(self) -> None:
        problems = find_problems(self)
        if problems:
            raise ContractError(f"policy contract {self.name!r}: " + "; ".join(problems))

    @property
    def control_rate_hz(self) -> float:
        return 1.0 / (self.step_period * self.time_stretch)

    @property
    def proprioception_width(self) -> int:
        return sum(PROPRIOCEPTION_WIDTHS[name] for name in self.proprioception)

    @property
    def interface_digest(self) -> str:
        return digest(interface_document(self))

    @property
    def policy_digest(self) -> str:
        return digest(as_document(self))


_POLICY_ONLY = ("name", "normalisation", "statistics", "weights_digest", "provenance")


def as_document(value: object) -> Any:
    """Plain JSON values of a contract or a part of it; arrays become lists, poses keep their field names."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: as_document(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, tuple):
        return [as_document(item) for item in value]
    return value


def interface_document(contract: PolicyContract) -> dict[str, Any]:
    """The part of the contract that the robot must match."""
    document = as_document(contract)
    return {key: value for key, value in document.items() if key not in _POLICY_ONLY}


def find_problems(contract: PolicyContract) -> list[str]:
    """Return every broken promise of a contract, each as a phrase that names the field."""
    problems: list[str] = []

    def want(holds: bool, phrase: str) -> None:
        if not holds:
            problems.append(phrase)

    def one_of(field: str, accepted: tuple[str, ...]) -> None:
        value = getattr(contract, field)
        want(value in accepted, f"{field} is {value!r}, accepted are {', '.join(accepted)}")

    def between(field: str, low: float, high: float) -> None:
        value = getattr(contract, field)
        want(low <= value <= high, f"{field} is {value!r}, expected {low:g} to {high:g}")

    want(
        contract.schema_version == SCHEMA_VERSION,
        f"schema_version is {contract.schema_version}, this program reads {SCHEMA_VERSION}",
    )
    want(contract.name != "", "name is empty")
    one_of("reference", get_args(Reference))
    one_of("frame", get_args(DeltaFrame))
    one_of("execution", get_args(Execution))
    one_of("normalisation", get_args(Normalisation))
    between("step_period", 0.01, 2.0)
    between("chunk_length", 1, 256)
    between("execute_steps", 1, contract.chunk_length)
    between("trained_delay_steps", 0, contract.chunk_length)
    between("time_stretch", 1.0, 10.0)
    between("max_translation_per_step", 1e-5, 0.2)
    between("max_rotation_per_step", 1e-5, 1.0)
    between("max_camera_skew", 0.0, 1.0)
    want("{instruction}" in contract.prompt_template, "prompt_template lacks {instruction}")
    want(len(contract.weights_digest) == 64, "weights_digest is not a sha256 in 64 hexadecimal digits")
    for field in ("flange_from_tcp", "proprioception_origin"):
        pose = getattr(contract, field)
        unit = abs(float(np.linalg.norm(pose.quaternion)) - 1.0) <= 1e-6
        want(
            pose.position.shape == (3,) and pose.quaternion.shape == (4,) and pose.is_finite() and unit,
            f"{field} is not a finite position with a unit quaternion",
        )
    gripper = contract.gripper
    want(0.0 < gripper.max_width <= 0.3, f"gripper.max_width is {gripper.max_width!r}, expected up to 0.3 m")
    want(
        0.0 <= gripper.close_below <= gripper.open_above <= 1.0,
        "gripper thresholds must satisfy 0 <= close_below <= open_above <= 1",
    )
    names = [camera.name for camera in contract.cameras]
    want(len(set(names)) == len(names) and "" not in names, f"cameras have empty or repeated names: {names}")
    want(1 <= len(names) <= 8, f"cameras are {len(names)}, expected 1 to 8")
    for camera in contract.cameras:
        at = f"cameras[{camera.name}]"
        want(camera.mount in get_args(Mount), f"{at}.mount is {camera.mount!r}, accepted are external, wrist")
        want(16 <= camera.width <= 2048 and 16 <= camera.height <= 2048, f"{at} size is not 16 to 2048 px")
        want(
            0.05 <= camera.vertical_field_of_view <= 3.0, f"{at}.vertical_field_of_view is not 0.05 to 3 rad"
        )
        want(0.0 < camera.crop_width <= 4.0 and 0.0 < camera.crop_height <= 1.0, f"{at} crop is out of range")
    unknown = [name for name in contract.proprioception if name not in PROPRIOCEPTION_WIDTHS]
    want(not unknown, f"proprioception has unknown fields {unknown}")
    if not unknown:
        problems += _statistics_problems(contract.statistics, contract.proprioception_width)
    return problems


def _statistics_problems(statistics: Statistics, proprioception_width: int) -> list[str]:
    problems: list[str] = []
    for prefix, width in (("action", ACTION_WIDTH), ("proprioception", proprioception_width)):
        low, high = getattr(statistics, f"{prefix}_low"), getattr(statistics, f"{prefix}_high")
        if low.shape != (width,) or high.shape != (width,):
            problems.append(
                f"statistics.{prefix}_low, _high have shapes {low.shape}, {high.shape}, expected ({width},)"
            )
        elif not (np.isfinite(low).all() and np.isfinite(high).all() and (low <= high).all()):
            problems.append(f"statistics.{prefix}_low and _high must be finite with low <= high")
    if len(statistics.action_mask) != ACTION_WIDTH:
        problems.append(
            f"statistics.action_mask has {len(statistics.action_mask)} entries, expected {ACTION_WIDTH}"
        )
    return problems
