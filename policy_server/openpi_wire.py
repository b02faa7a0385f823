"""openpi's messages: msgpack with numpy arrays, and how its observations map to ours. Pure.

Arrays of plain numbers only: a dtype outside the list, objects above all, is refused before it is looked at.
"""

import math
from collections.abc import Mapping
from typing import Any

import msgpack
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from robot_contract.errors import WireError
from robot_contract.messages import ActionChunk, CameraImage, Observation
from robot_contract.policy_contract import CameraContract, PolicyContract
from robot_contract.pose import Pose

DTYPES = ("|u1", "|b1", "<i4", "<i8", "<f4", "<f8")
MAX_ENTRIES = 200  # of any map or list
MAX_DIMENSIONS = 4

IMAGE_KEYS = {
    "external": ("observation/image", "observation/exterior_image_1_left"),
    "wrist": ("observation/wrist_image", "observation/wrist_image_left"),
}
STATE_KEY = "observation/state"  # x y z [m], rotation vector [rad], two finger positions [m]
JOINT_KEY = "observation/joint_position"  # 7, [rad]
PROMPT_KEY = "prompt"


def pack(document: Mapping[str, Any]) -> bytes:
    return bytes(msgpack.packb(document, default=_pack_array) or b"")


def _pack_array(value: object) -> dict[bytes, Any]:
    array = np.asarray(value)
    if array.dtype.str not in DTYPES:
        raise WireError(f"arrays of {array.dtype} are not sent, only {', '.join(DTYPES)}")
    return {b"__ndarray__": True, b"data": array.tobytes(), b"dtype": array.dtype.str, b"shape": array.shape}


def unpack(data: bytes) -> dict[str, Any]:
    """The document in a message; `WireError` for whatever is no map from text to numbers, text and arrays."""
    try:
        document = msgpack.unpackb(
            data, object_hook=_unpack_array, max_map_len=MAX_ENTRIES, max_array_len=MAX_ENTRIES
        )
    except WireError:
        raise
    except (ValueError, TypeError, msgpack.UnpackException, RecursionError) as error:
        raise WireError(f"these {len(data)} bytes are not a msgpack map: {error}") from error
    if not isinstance(document, dict) or not all(isinstance(key, str) for key in document):
        raise WireError("the message is not a map with text keys")
    return document


def _unpack_array(entry: dict[Any, Any]) -> Any:
    if b"__ndarray__" not in entry:
        return entry
    data, dtype, shape = (entry.get(key) for key in (b"data", b"dtype", b"shape"))
    if dtype not in DTYPES:
        raise WireError(f"an array has dtype {str(dtype)[:40]!r}, accepted are {', '.join(DTYPES)}")
    if not isinstance(data, bytes) or not isinstance(shape, list) or len(shape) > MAX_DIMENSIONS:
        raise WireError("an array has no data, or no shape of at most four numbers")
    if not all(isinstance(size, int) and 0 <= size <= 1 << 24 for size in shape):
        raise WireError(f"an array has shape {str(shape)[:60]}, expected small whole numbers")
    if math.prod(shape) * np.dtype(dtype).itemsize != len(data):
        raise WireError(f"an array of shape {shape} and dtype {dtype} does not have {len(data)} bytes")
    return np.frombuffer(data, dtype).reshape(shape)


def observation_from_openpi(
    document: Mapping[str, Any],
    contract: PolicyContract,
    *,
    session: str,
    sequence: int,
    gripper_command: float | None,
    deadline: float,
) -> Observation:
    """An observation as in the LIBERO examples; pictures may also be called `observation/images/NAME`."""
    state = _numbers(document, STATE_KEY, 8)
    if state is None:
        raise WireError(
            f"{STATE_KEY} is missing: x y z [m], rotation vector [rad] and two finger positions [m]"
        )
    joints = _numbers(document, JOINT_KEY, 7)
    if joints is None and "joint_position" in contract.proprioception:
        raise WireError(f"{JOINT_KEY} is missing, and the policy was trained with it")
    prompt = document.get(PROMPT_KEY)
    if not isinstance(prompt, str) or not 0 < len(prompt) <= 1000:
        raise WireError(f"{PROMPT_KEY} is missing, expected a text of up to 1000 characters")
    width = float(np.clip(abs(state[6]) + abs(state[7]), 0.0, contract.gripper.max_width))
    measured = width / contract.gripper.max_width
    return Observation(
        policy=contract.name,
        session=session,
        sequence=sequence,
        observed_at=0.0,
        images={camera.name: _image(document, camera) for camera in contract.cameras},
        tcp_pose=Pose.from_rotation_vector(state[:3], state[3:6]),
        joint_position=np.zeros(7) if joints is None else joints,
        gripper_width=width,
        gripper_command=measured if gripper_command is None else gripper_command,
        instruction=prompt,
        deadline=deadline,
    )


def _numbers(document: Mapping[str, Any], key: str, size: int) -> NDArray[np.float64] | None:
    value = document.get(key)
    if value is None:
        return None
    if not isinstance(value, np.ndarray) or value.shape != (size,):
        raise WireError(f"{key} has shape {getattr(value, 'shape', None)}, expected ({size},)")
    numbers = value.astype(np.float64)
    if not (np.isfinite(numbers).all() and (np.abs(numbers) <= 100.0).all()):
        raise WireError(f"{key} must be finite numbers in metres and radians")
    return numbers


def _image(document: Mapping[str, Any], camera: CameraContract) -> CameraImage:
    keys = (f"observation/images/{camera.name}", *IMAGE_KEYS[camera.mount])
    picture = next((document[key] for key in keys if key in document), None)
    if picture is None:
        raise WireError(f"the picture of camera {camera.name!r} is missing; accepted are {', '.join(keys)}")
    expected = (camera.height, camera.width, 3)
    if not isinstance(picture, np.ndarray) or picture.shape != expected or picture.dtype != np.uint8:
        found = f"{getattr(picture, 'dtype', type(picture).__name__)} {getattr(picture, 'shape', '')}"
        raise WireError(f"the picture of camera {camera.name!r} is {found}, expected uint8 {expected}")
    # As the bridge sends it: the policy was trained on such pictures.
    jpeg = simplejpeg.encode_jpeg(
        np.ascontiguousarray(picture), quality=95, colorspace="RGB", colorsubsampling="420"
    )
    return CameraImage(jpeg=jpeg, width=camera.width, height=camera.height, exposed_at=0.0)


def chunk_document(chunk: ActionChunk) -> dict[str, Any]:
    """Actions in the contract's physical units: metres, radians, gripper opening 0..1."""
    timings = chunk.timings
    return {
        "actions": np.asarray(chunk.actions, np.float64),
        "policy_digest": chunk.policy_digest,
        "server_timing": {
            "infer_ms": timings.model * 1e3,
            "queue_ms": timings.queue * 1e3,
            "preprocess_ms": timings.preprocess * 1e3,
            "total_ms": timings.total * 1e3,
            "batch_size": timings.batch_size,
        },
    }


def metadata_document(contract: PolicyContract) -> dict[str, Any]:
    """Sent on connecting: what a client must know to use the actions."""
    return {
        "policy": contract.name,
        "interface_digest": contract.interface_digest,
        "policy_digest": contract.policy_digest,
        "action_horizon": contract.chunk_length,
        "control_rate_hz": contract.control_rate_hz,
        "reference": contract.reference,
        "frame": contract.frame,
        "actions": "dx dy dz [m], rx ry rz [rad, rotation vector], gripper opening 0..1",
        "cameras": {camera.name: [camera.height, camera.width] for camera in contract.cameras},
    }
