"""From frames and history to the observation that the contract asks for.

Pictures are cut and resized here, so that what crosses the network has the policy's own geometry; the state
is the one that was measured when the oldest picture was exposed, interpolated.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import simplejpeg
from PIL import Image

from robot_bridge.devices import Frame, Picture
from robot_bridge.history import MeasuredState, interpolate_state, value_at
from robot_contract.messages import CameraImage, Observation
from robot_contract.policy_contract import CameraContract, PolicyContract

JPEG_QUALITY = 95


@dataclass(frozen=True, kw_only=True, eq=False)
class Ask:
    """What the control thread hands over when it wants a chunk; nothing in it changes any more."""

    contract: PolicyContract
    session: str
    sequence: int
    asked_at: float  # [s]
    deadline: float  # [s] from asked_at
    instruction: str
    frames: Mapping[str, Frame]  # of the contract's cameras
    measured: tuple[tuple[float, MeasuredState], ...]  # the last seconds
    gripper_command: float  # opening 0..1


class ObservationRefused(Exception):
    """What was sensed does not make an observation; the text says why."""


def make_observation(ask: Ask) -> Observation:
    contract = ask.contract
    observed_at, skew = exposure_span(ask.frames, contract)
    if not skew <= contract.max_camera_skew:
        raise ObservationRefused(
            f"the cameras are {skew * 1000:.0f} ms apart,"
            f" accepted are {contract.max_camera_skew * 1000:.0f} ms"
        )
    state = value_at(ask.measured, observed_at, interpolate_state)
    if state is None:
        raise ObservationRefused("the arm's state when the picture was exposed is not known")
    return Observation(
        policy=contract.name,
        session=ask.session,
        sequence=ask.sequence,
        observed_at=observed_at,
        images={camera.name: make_image(ask.frames[camera.name], camera) for camera in contract.cameras},
        tcp_pose=state.tcp_pose,
        joint_position=state.joint_position,
        gripper_width=state.gripper_width,
        gripper_command=ask.gripper_command,
        instruction=ask.instruction,
        deadline=ask.deadline,
    )


def exposure_span(frames: Mapping[str, Frame], contract: PolicyContract) -> tuple[float, float]:
    """When the oldest of the wanted pictures was exposed [s], and how much later the newest [s]."""
    exposures = [frames[camera.name].exposed_at for camera in contract.cameras]
    return min(exposures), max(exposures) - min(exposures)


def make_image(frame: Frame, camera: CameraContract) -> CameraImage:
    picture = cut_and_resize(frame.picture, camera)
    return CameraImage(
        jpeg=encode_for_policy(picture), width=camera.width, height=camera.height, exposed_at=frame.exposed_at
    )


def encode_for_policy(picture: Picture) -> bytes:
    """As the policies' training pictures were made: libjpeg's exact transform, which its fast one is not."""
    encoded = io.BytesIO()
    Image.fromarray(picture).save(encoded, "JPEG", quality=JPEG_QUALITY, subsampling="4:2:0")
    return encoded.getvalue()


def encode_jpeg(picture: Picture) -> bytes:
    """For people: four times as fast, a grey level off."""
    return simplejpeg.encode_jpeg(
        np.ascontiguousarray(picture), quality=JPEG_QUALITY, colorspace="RGB", colorsubsampling="420"
    )


def crop_size(height: int, camera: CameraContract) -> tuple[int, int]:
    """(height, width) [px] of the cut from a picture of this height."""
    return round(camera.crop_height * height), round(camera.crop_width * height)


def cut_and_resize(picture: Picture, camera: CameraContract) -> Picture:
    """The contract's middle part of the picture, at the contract's size."""
    height, width = picture.shape[:2]
    cut_height, cut_width = crop_size(height, camera)
    if cut_width > width:
        raise ObservationRefused(
            f"camera {camera.name}: a cut of {cut_width} px does not fit a picture {width} px wide"
        )
    top, left = (height - cut_height) // 2, (width - cut_width) // 2
    cut = picture[top : top + cut_height, left : left + cut_width]
    if cut.shape[:2] == (camera.height, camera.width):
        return cut
    resized = Image.fromarray(cut).resize((camera.width, camera.height), Image.Resampling.LANCZOS)
    return np.asarray(resized)
