"""From frames to a training batch: the model's input as it is served, and what is to be answered.

What is constant per frame is computed once (tokens, proprioception, normalised actions); pictures are
gathered, changed as training changes them, and normalised as serving does. A batch is the same whatever part
of it a process takes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from policy_server.actions import normalise_actions
from policy_server.model.config import ModelConfig
from policy_server.model.model_input import ModelInput, pad_prompts
from policy_server.preprocessing import Tokenizer, fit_picture, normalise_pixels, prompt_for
from policy_server.proprioception import normalise_proprioception
from robot_contract.policy_contract import PolicyContract
from sim_train.sft.augmentation import Augmentation, Draw, cropped, cropped_points, draw, recoloured
from sim_train.sft.augmentation import centred as centred_draw
from sim_train.sft.frames import Frames, Indices, proprioception_of_frames
from sim_train.sft.losses import Counts, Targets
from sim_train.sft.targets import heat_map_targets, position_numbers


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    x: ModelInput
    targets: Targets


class Samples:
    def __init__(
        self,
        frames: Frames,
        contract: PolicyContract,
        config: ModelConfig,
        tokenizer: Tokenizer,
        *,
        position_low: npt.ArrayLike,
        position_high: npt.ArrayLike,
    ) -> None:
        self._frames = frames
        self._config = config
        self._prompts = [
            tokenizer.encode(prompt_for(text, contract.prompt_template)) for text in frames.instructions
        ]
        proprioception = proprioception_of_frames(frames, contract)
        self._proprio = torch.from_numpy(
            normalise_proprioception(proprioception, contract).astype(np.float32)
        )
        actions = normalise_actions(frames.chunks, contract.statistics)
        self._actions = torch.from_numpy(np.clip(actions, -1.0, 1.0).astype(np.float32))
        low, high = np.asarray(position_low), np.asarray(position_high)
        positions = 2.0 * (position_numbers(frames.marks) - low) / (high - low) - 1.0
        self._positions = torch.from_numpy(positions.astype(np.float32))
        self._approaching = torch.from_numpy(frames.approaching)
        self._pixels = torch.from_numpy(frames.mark_pixels)

    def counts(self, indices: Indices) -> Counts:
        """Of the whole batch. The crop may hide a mark from one process's count; that is not counted here."""
        rows = torch.from_numpy(indices)
        pixels = self._pixels[rows]
        seen = ((pixels >= 0.0) & (pixels <= 1.0)).all(dim=-1).any(dim=1)
        return Counts(
            rows=len(indices),
            seen=int(seen.sum()),
            positions=int(self._positions[rows].isfinite().sum()),
            approaching=int(self._approaching[rows].sum()),
        )

    def training(
        self, indices: Indices, part: slice, augmentation: Augmentation, *, seed: int, step: int
    ) -> Sample:
        """The rows `part` of a step's batch, changed as the step says."""

        def drawn(camera: int) -> Draw:
            return draw(augmentation, len(indices), seed=seed, step=step, camera=camera)[part]

        def changed(pictures: Tensor, one: Draw) -> Tensor:
            return recoloured(cropped(pictures, one, self._config.center_crop_area), one)

        return self._sample(indices[part], drawn, changed)

    def served(self, indices: Indices) -> Sample:
        """As a server would see these frames."""

        def fitted(pictures: Tensor, _: Draw) -> Tensor:
            return fit_picture(pictures, self._config.image_size, self._config.center_crop_area)

        return self._sample(indices, lambda _: centred_draw(len(indices)), fitted)

    def _sample(
        self, indices: Indices, drawn: Callable[[int], Draw], changed: Callable[[Tensor, Draw], Tensor]
    ) -> Sample:
        config, rows = self._config, torch.from_numpy(indices)
        cameras = [drawn(camera) for camera in range(config.cameras)]
        pixels, points = list[Tensor](), list[Tensor]()
        for camera, one in enumerate(cameras):
            pictures = torch.from_numpy(self._frames.pictures_of(indices, camera))
            pixels.append(normalise_pixels(changed(pictures, one), config.towers))
            points.append(cropped_points(self._pixels[rows, camera], one, config.center_crop_area))
        tokens, mask = pad_prompts(
            [self._prompts[number] for number in self._frames.instruction[indices]], config.tokens.pad
        )
        heat_maps = seen = None
        if config.heat_maps:
            side = config.image_size // config.patch_size
            heat_maps, seen = heat_map_targets(torch.stack(points, dim=1), side)
        return Sample(
            x=ModelInput(
                pixels=torch.stack(pixels, dim=1),
                tokens=tokens,
                mask=mask,
                proprio=self._proprio[rows] if config.proprio_size else None,
            ),
            targets=Targets(
                actions=self._actions[rows],
                heat_maps=heat_maps,
                seen=seen,
                positions=self._positions[rows] if config.position_targets else None,
                approaching=self._approaching[rows],
            ),
        )
