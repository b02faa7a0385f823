"""What the model is asked: pictures, a tokenised prompt and normalised proprioception, one row per robot.

B batch, C cameras, I image channels (three per tower), H height, W width, T padded prompt length,
R proprio numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from policy_server.model.config import ModelConfig
from robot_contract.errors import ContractError


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelInput:
    pixels: Tensor  # (B, C, I, H, W) normalised once per tower
    tokens: Tensor  # (B, T) int64: BOS first, the action prefix last, pads after it
    mask: Tensor  # (B, T) bool: False on pads
    proprio: Tensor | None  # (B, R) normalised to -1..1; None for a model without a proprio token

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, rows: slice) -> ModelInput:
        return ModelInput(
            pixels=self.pixels[rows],
            tokens=self.tokens[rows],
            mask=self.mask[rows],
            proprio=None if self.proprio is None else self.proprio[rows],
        )

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> ModelInput:
        """Return it on `device`, with the pictures and proprioception in `dtype`."""
        return ModelInput(
            pixels=self.pixels.to(device, dtype or self.pixels.dtype),
            tokens=self.tokens.to(device),
            mask=self.mask.to(device),
            proprio=None if self.proprio is None else self.proprio.to(device, dtype or self.proprio.dtype),
        )

    def padded_to(self, length: int, pad: int) -> ModelInput:
        """Return it with prompts padded on the right to `length` tokens."""
        missing = length - self.tokens.shape[1]
        if missing < 0:
            raise ContractError(f"prompt of {self.tokens.shape[1]} tokens does not fit {length}")
        return ModelInput(
            pixels=self.pixels,
            tokens=torch.nn.functional.pad(self.tokens, (0, missing), value=pad),
            mask=torch.nn.functional.pad(self.mask, (0, missing), value=False),
            proprio=self.proprio,
        )


def pad_prompts(prompts: Sequence[Sequence[int]], pad: int) -> tuple[Tensor, Tensor]:
    """Return tokens and mask (B, T), the shorter prompts padded on the right."""
    length = max(len(prompt) for prompt in prompts)
    tokens_BT = torch.tensor([[*prompt, *[pad] * (length - len(prompt))] for prompt in prompts])
    mask_BT = torch.tensor([[i < len(prompt) for i in range(length)] for prompt in prompts])
    return tokens_BT, mask_BT


def join(inputs: Sequence[ModelInput], pad: int) -> ModelInput:
    """Return one batch of all rows, prompts padded to the longest."""
    length = max(one.tokens.shape[1] for one in inputs)
    padded = [one.padded_to(length, pad) for one in inputs]
    proprio = [one.proprio for one in padded if one.proprio is not None]
    return ModelInput(
        pixels=torch.cat([one.pixels for one in padded]),
        tokens=torch.cat([one.tokens for one in padded]),
        mask=torch.cat([one.mask for one in padded]),
        proprio=torch.cat(proprio) if proprio else None,
    )


def check_input(x: ModelInput, config: ModelConfig) -> None:
    """Raise unless the shapes are the model's. Looks at no values, so that it never waits for a device."""
    B = len(x.pixels)
    picture = (B, config.cameras, config.channels, config.image_size, config.image_size)
    if tuple(x.pixels.shape) != picture:
        raise ContractError(f"pixels: expected shape {picture}, found {tuple(x.pixels.shape)}")
    if x.tokens.ndim != 2 or len(x.tokens) != B or x.tokens.shape != x.mask.shape:
        raise ContractError(
            f"tokens and mask: expected two of shape ({B}, prompt length), "
            f"found {tuple(x.tokens.shape)} and {tuple(x.mask.shape)}"
        )
    if x.mask.dtype != torch.bool or x.tokens.dtype != torch.int64:
        raise ContractError(
            f"tokens and mask: expected int64 and bool, found {x.tokens.dtype} and {x.mask.dtype}"
        )
    found = None if x.proprio is None else tuple(x.proprio.shape)
    expected = (B, config.proprio_size) if config.proprio_size else None
    if found != expected:
        raise ContractError(f"proprio: expected shape {expected}, found {found}")
    longest = config.prefix_length + x.tokens.shape[1] + config.action_slots
    if longest > config.language.max_positions:
        raise ContractError(f"sequence: expected at most {config.language.max_positions}, found {longest}")
