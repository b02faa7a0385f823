"""From observations to the model's input: JPEG to pixels, instruction to tokens, state to normalised numbers.

`decode` is work for a CPU thread, one observation at a time, and refuses what the contract does not allow;
`collate` is work for the model's device, a whole batch at a time. No TensorFlow; the numbers are its numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import simplejpeg
import torch
from torch import Tensor

from policy_server.image_resampling import centre_crop, resize_lanczos3
from policy_server.model.config import ModelConfig, TowerConfig
from policy_server.model.model_input import ModelInput, pad_prompts
from policy_server.proprioception import proprioception_of
from robot_contract.errors import WireError
from robot_contract.messages import CameraImage, Observation
from robot_contract.policy_contract import CameraContract, PolicyContract
from robot_contract.pose import Vector

OPENVLA_PROMPT = "In: What action should the robot take to {instruction}?\nOut:"

Picture = npt.NDArray[np.uint8]  # (height, width, 3), RGB


class Tokenizer(Protocol):
    def encode(self, prompt: str) -> list[int]:
        """Token ids of a prompt: BOS first, the action prefix last."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class DecodedObservation:
    pictures: tuple[Picture, ...]  # in the order of the contract's cameras, as they came
    tokens: tuple[int, ...]
    proprioception: Vector  # normalised


class Preprocessor:
    """One policy's way from an observation to its model; remembers tokenised prompts, nothing else."""

    def __init__(
        self,
        contract: PolicyContract,
        config: ModelConfig,
        tokenizer: Tokenizer,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._contract = contract
        self._config = config
        self._tokenizer = tokenizer
        self._device = torch.device(device)
        self._dtype = dtype
        self._prompts: dict[str, tuple[int, ...]] = {}

    def decode(self, observation: Observation) -> DecodedObservation:
        wanted = [camera.name for camera in self._contract.cameras]
        if sorted(observation.images) != sorted(wanted):
            raise WireError(f"images: expected those of {wanted}, found {sorted(observation.images)}")
        return DecodedObservation(
            pictures=tuple(
                decode_picture(observation.images[camera.name], camera) for camera in self._contract.cameras
            ),
            tokens=self._tokens(observation.instruction),
            proprioception=proprioception_of(self._contract, observation),
        )

    def collate(self, decoded: Sequence[DecodedObservation]) -> ModelInput:
        cameras = range(len(self._contract.cameras))
        tokens, mask = pad_prompts([one.tokens for one in decoded], self._config.tokens.pad)
        proprio = None
        if self._config.proprio_size:
            rows = np.stack([one.proprioception for one in decoded])
            proprio = torch.from_numpy(rows).to(self._device, self._dtype)
        return ModelInput(
            pixels=torch.stack([self._pixels([one.pictures[c] for one in decoded]) for c in cameras], dim=1),
            tokens=tokens.to(self._device),
            mask=mask.to(self._device),
            proprio=proprio,
        )

    def prepare(self, observations: Sequence[Observation]) -> ModelInput:
        return self.collate([self.decode(observation) for observation in observations])

    def _pixels(self, pictures: Sequence[Picture]) -> Tensor:
        batch = torch.from_numpy(np.stack(pictures)).to(self._device)
        fitted = fit_picture(batch, self._config.image_size, self._config.center_crop_area)
        return normalise_pixels(fitted, self._config.towers).to(self._dtype)

    def _tokens(self, instruction: str) -> tuple[int, ...]:
        tokens = self._prompts.get(instruction)
        if tokens is None:
            tokens = tuple(self._tokenizer.encode(prompt_for(instruction, self._contract.prompt_template)))
            room = (
                self._config.language.max_positions - self._config.prefix_length - self._config.action_slots
            )
            if len(tokens) > room:  # here, where it costs one observation, and not its whole batch
                raise WireError(
                    f"instruction: expected a prompt of at most {room} tokens, found {len(tokens)}"
                )
            if len(self._prompts) >= 1000:  # instructions come from outside: never remember without end
                self._prompts.clear()
            self._prompts[instruction] = tokens
        return tokens


def prompt_for(instruction: str, template: str) -> str:
    """The policy was trained on lower case; the template is filled once, whatever the instruction holds."""
    return template.replace("{instruction}", instruction.lower(), 1)


def decode_picture(image: CameraImage, camera: CameraContract) -> Picture:
    """Decode with libjpeg's fast DCT and smooth upsampling, bit for bit what TensorFlow decodes.

    The header is read first, so that no small file unfolds into a large picture.
    """
    at = f"images[{camera.name}]"
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(image.jpeg)
    except ValueError as error:
        raise WireError(f"{at}: expected a JPEG picture, found bytes that are none ({error})") from None
    if (width, height) != (camera.width, camera.height):
        raise WireError(f"{at}: expected {camera.width} x {camera.height} px, found {width} x {height}")
    if colours != "YCbCr":
        raise WireError(f"{at}: expected a colour JPEG (YCbCr), found {colours}")
    try:
        return simplejpeg.decode_jpeg(image.jpeg, colorspace="RGB", fastdct=True, fastupsample=False)
    except ValueError as error:
        raise WireError(f"{at}: expected a whole JPEG picture, found a damaged one ({error})") from None


def fit_picture(picture_BHWC: Tensor, size: int, crop_area: float) -> Tensor:
    """uint8 pictures of any size to uint8 squares of `size`, as the policy saw them in training."""
    return centre_crop(resize_lanczos3(picture_BHWC, size), crop_area)


def normalise_pixels(picture_BHWC: Tensor, towers: Sequence[TowerConfig]) -> Tensor:
    """(B, H, W, 3) uint8 to (B, 3 per tower, H, W) float32: one picture, normalised once for each tower."""
    unit_B3HW = picture_BHWC.permute(0, 3, 1, 2).to(torch.float32) / 255.0
    return torch.cat([_normalise(unit_B3HW, tower) for tower in towers], dim=1)


def _normalise(unit_B3HW: Tensor, tower: TowerConfig) -> Tensor:
    mean, std = (
        torch.tensor(values, dtype=torch.float32, device=unit_B3HW.device)[:, None, None]
        for values in (tower.pixel_mean, tower.pixel_std)
    )
    return (unit_B3HW - mean) / std
