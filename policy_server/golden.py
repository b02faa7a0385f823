"""`golden.npz`: one observation, the chunk that the saved weights answered, and how near is near.

A server that answers differently on its own device does not serve. The observation is a whole one, JPEG
included, so that a changed decoder, resampler, tokenizer or decoding is noticed, not only a changed model.
"""

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import simplejpeg

from robot_contract.errors import ContractError
from robot_contract.messages import CameraImage, Observation
from robot_contract.policy_contract import ACTION_WIDTH, PolicyContract
from robot_contract.pose import Pose, Vector

GOLDEN_FILE = "golden.npz"
GOLDEN_INSTRUCTION = "put the red cube on the white plate"

_TOLERANCE = "tolerance/"  # + device kind + "/" + dtype
_IMAGE = "image/"  # + camera
_STATE = {
    "tcp_position": (3,),
    "tcp_quaternion": (4,),
    "joint_position": (7,),
    "gripper_width": (),
    "gripper_command": (),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Golden:
    observation: Observation
    actions: Vector  # (K, 7) physical units
    tolerance: Mapping[str, Vector]  # "cpu/float32" and the like to (7,) largest difference, physical units

    def complaint(self, actions: Vector, *, device: str, dtype: str) -> str | None:
        """Say how `actions` differ from the golden ones, or None when they agree."""
        key = f"{device.partition(':')[0]}/{dtype}"
        if key not in self.tolerance:
            return f"{GOLDEN_FILE}: no tolerance for {key}; it has {', '.join(sorted(self.tolerance))}"
        if actions.shape != self.actions.shape:
            return f"{GOLDEN_FILE}: expected actions of shape {self.actions.shape}, found {actions.shape}"
        difference = np.abs(actions - self.actions)
        within = difference <= self.tolerance[key]  # false for NaN
        if within.all():
            return None
        step, entry = (int(i) for i in np.argwhere(~within)[0])
        return (
            f"{GOLDEN_FILE}: action {step}, entry {entry}: expected {self.actions[step, entry]:.6g} within "
            f"{self.tolerance[key][entry]:.2g} on {key}, found {actions[step, entry]:.6g}"
        )


def golden_observation(contract: PolicyContract) -> Observation:
    """An observation that every run builds alike: coloured shapes, a pose in the middle of the statistics."""
    images = {
        camera.name: CameraImage(
            jpeg=encode_picture(_shapes(camera.height, camera.width, seed)),
            width=camera.width,
            height=camera.height,
            exposed_at=0.0,
        )
        for seed, camera in enumerate(contract.cameras)
    }
    return _observation(
        contract.name,
        GOLDEN_INSTRUCTION,
        images,
        {
            "tcp_position": contract.proprioception_origin.position + np.array([0.01, -0.02, 0.03]),
            "tcp_quaternion": contract.proprioception_origin.quaternion,
            "joint_position": np.array([0.0, -0.6, 0.0, -2.3, 0.0, 1.7, 0.8]),
            "gripper_width": np.array(0.75 * contract.gripper.max_width),
            "gripper_command": np.array(1.0),
        },
    )


def encode_picture(picture: np.ndarray) -> bytes:
    """Quality 95, 4:2:0, as on the wire; this encoder rounds in its own way, so for made-up pictures only."""
    return simplejpeg.encode_jpeg(
        np.ascontiguousarray(picture), quality=95, colorspace="RGB", colorsubsampling="420"
    )


def _shapes(height: int, width: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    picture = np.stack([200 - 90 * y, 180 - 60 * x, 150 + 50 * y * x], axis=-1)
    for _ in range(4):
        centre, radius = random.uniform(0.15, 0.85, size=2), random.uniform(0.05, 0.15)
        picture[np.hypot(y - centre[0], x - centre[1]) < radius] = random.uniform(20, 235, size=3)
    return picture.astype(np.uint8)


def save_golden(golden: Golden, folder: Path) -> None:
    observation = golden.observation
    arrays: dict[str, np.ndarray] = {
        "instruction": np.array(observation.instruction),
        "tcp_position": observation.tcp_pose.position,
        "tcp_quaternion": observation.tcp_pose.quaternion,
        "joint_position": observation.joint_position,
        "gripper_width": np.array(observation.gripper_width),
        "gripper_command": np.array(observation.gripper_command),
        "actions": golden.actions,
    }
    for name, image in observation.images.items():
        arrays[_IMAGE + name] = np.frombuffer(image.jpeg, dtype=np.uint8)
    for key, bound in golden.tolerance.items():
        arrays[_TOLERANCE + key] = bound
    with (folder / GOLDEN_FILE).open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def read_golden(folder: Path, contract: PolicyContract) -> Golden:
    """Read and check against the contract; a file that would need unpickling is refused."""
    file = folder / GOLDEN_FILE
    arrays = _read_arrays(file)
    shapes = {**_STATE, "actions": (contract.chunk_length, ACTION_WIDTH)}
    for key, shape in shapes.items():
        _check(file, arrays, key, shape)
    instruction = arrays.get("instruction")
    if instruction is None or instruction.dtype.kind != "U" or instruction.shape != ():
        raise ContractError(f"{file}: instruction: expected one string")
    images: dict[str, CameraImage] = {}
    for camera in contract.cameras:
        jpeg = arrays.get(_IMAGE + camera.name)
        if jpeg is None or jpeg.dtype != np.uint8 or jpeg.ndim != 1:
            raise ContractError(f"{file}: {_IMAGE}{camera.name}: expected the bytes of a JPEG picture")
        images[camera.name] = CameraImage(
            jpeg=jpeg.tobytes(), width=camera.width, height=camera.height, exposed_at=0.0
        )
    tolerance = {
        key.removeprefix(_TOLERANCE): _check(file, arrays, key, (ACTION_WIDTH,))
        for key in arrays
        if key.startswith(_TOLERANCE)
    }
    known = {
        *shapes,
        "instruction",
        *(_IMAGE + name for name in images),
        *(_TOLERANCE + k for k in tolerance),
    }
    unknown = sorted(arrays.keys() - known)
    if unknown:
        raise ContractError(f"{file}: {unknown[0]} is unknown; expected are {', '.join(sorted(known))}")
    observation = _observation(contract.name, str(instruction), images, arrays)
    return Golden(observation=observation, actions=arrays["actions"], tolerance=tolerance)


def _read_arrays(file: Path) -> dict[str, np.ndarray]:
    try:
        with file.open("rb") as stream, zipfile.ZipFile(stream) as archive:
            return {name.removesuffix(".npy"): _read_array(archive, name) for name in archive.namelist()}
    except FileNotFoundError:
        raise ContractError(f"{file}: this file is missing") from None
    except (OSError, EOFError, ValueError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise ContractError(f"{file}: expected plain arrays in an npz file ({error})") from None


def _read_array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with archive.open(name) as stored:
        return np.lib.format.read_array(stored, allow_pickle=False)


def _check(file: Path, arrays: Mapping[str, np.ndarray], key: str, shape: tuple[int, ...]) -> np.ndarray:
    if key not in arrays:
        raise ContractError(f"{file}: {key}: expected shape {shape}, found no such array")
    array = arrays[key]
    if array.shape != shape:
        raise ContractError(f"{file}: {key}: expected shape {shape}, found {array.shape}")
    if array.dtype.kind != "f" or not np.isfinite(array).all():
        raise ContractError(f"{file}: {key}: expected finite floating-point numbers")
    return array


def _observation(
    policy: str, instruction: str, images: Mapping[str, CameraImage], state: Mapping[str, np.ndarray]
) -> Observation:
    return Observation(
        policy=policy,
        session="golden",
        sequence=0,
        observed_at=0.0,
        images=images,
        tcp_pose=Pose(position=state["tcp_position"], quaternion=state["tcp_quaternion"]),
        joint_position=state["joint_position"],
        gripper_width=float(state["gripper_width"]),
        gripper_command=float(state["gripper_command"]),
        instruction=instruction,
        deadline=60.0,
    )
