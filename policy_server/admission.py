"""Does an observation fit the policy that it asks for? Names and sizes before it is queued, picture headers
before they are decoded."""

from robot_contract.errors import WireError, nearest_name
from robot_contract.messages import CameraImage, Observation
from robot_contract.policy_contract import CameraContract, PolicyContract

# A quality-95 picture has under one byte per pixel; far more is a decoder bomb, not a picture.
MAX_BYTES_PER_PIXEL = 4
MAX_HEADER_BYTES = 1 << 16
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BARE_MARKERS = frozenset({0x01, *range(0xD0, 0xD9)})
ROUNDING = 1e-6  # [s]


def check_observation(observation: Observation, contract: PolicyContract) -> None:
    """Raise `WireError` with a sentence when cameras or sizes are not the contract's."""
    wanted = {camera.name: camera for camera in contract.cameras}
    for name in observation.images:
        if name not in wanted:
            raise WireError(
                f"images has {name[:40]!r}, which the policy does not use; {nearest_name(name, wanted)}"
            )
    for name, camera in wanted.items():
        if name not in observation.images:
            raise WireError(f"images lacks {name!r}; the policy needs {', '.join(wanted)}")
        _check_image(observation.images[name], camera)
    exposed_at = [image.exposed_at for image in observation.images.values()]
    skew = max(exposed_at) - min(exposed_at)
    if not skew <= contract.max_camera_skew + ROUNDING:
        raise WireError(f"images are {skew:.3f} s apart, the policy accepts {contract.max_camera_skew:g} s")


def check_pictures(observation: Observation) -> None:
    """Raise `WireError` when a JPEG header says another size than the message: nothing was allocated yet."""
    for name, image in observation.images.items():
        size = jpeg_size(image.jpeg)
        if size is None:
            raise WireError(f"images[{name}].jpeg is not a readable JPEG picture")
        width, height = size
        if not (width == image.width and height == image.height):
            raise WireError(
                f"images[{name}].jpeg holds {width} x {height} pixels,"
                f" declared are {image.width} x {image.height}"
            )


def jpeg_size(jpeg: bytes) -> tuple[int, int] | None:
    """Width and height from the frame header, found as decoders find it; None for what is no JPEG."""
    at = 2  # behind the start-of-image marker
    while at + 9 <= len(jpeg):
        if jpeg[at] != 0xFF:
            return None
        marker = jpeg[at + 1]
        if marker in _FRAME_MARKERS:
            return int.from_bytes(jpeg[at + 7 : at + 9], "big"), int.from_bytes(jpeg[at + 5 : at + 7], "big")
        if marker == 0xFF:  # a fill byte
            at += 1
        elif marker in _BARE_MARKERS:
            at += 2
        else:
            at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    return None


def _check_image(image: CameraImage, camera: CameraContract) -> None:
    field = f"images[{camera.name}]"
    if (image.width, image.height) != (camera.width, camera.height):
        raise WireError(
            f"{field} is {image.width} x {image.height}, the policy wants {camera.width} x {camera.height}"
        )
    limit = MAX_BYTES_PER_PIXEL * camera.width * camera.height + MAX_HEADER_BYTES
    if len(image.jpeg) > limit:
        raise WireError(f"{field}.jpeg has {len(image.jpeg)} bytes, expected at most {limit} for its size")
