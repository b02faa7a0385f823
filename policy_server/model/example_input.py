"""A random but valid input of any configuration: for warm-up, benchmarks and tests."""

from collections.abc import Sequence

import torch

from policy_server.model.config import ModelConfig
from policy_server.model.model_input import ModelInput, pad_prompts


def example_input(config: ModelConfig, prompt_lengths: Sequence[int], *, seed: int = 0) -> ModelInput:
    """Return one row for each prompt length, the same for the same seed."""
    draw = torch.Generator().manual_seed(seed)
    ids = config.tokens
    words = range(5, ids.action_end - ids.action_bins)

    def prompt(length: int) -> list[int]:
        between = torch.randint(words.start, words.stop, (length - 2,), generator=draw).tolist()
        return [ids.bos, *between, ids.action_prefix]

    tokens, mask = pad_prompts([prompt(length) for length in prompt_lengths], ids.pad)
    B, side = len(prompt_lengths), config.image_size
    return ModelInput(
        pixels=torch.randn(B, config.cameras, config.channels, side, side, generator=draw),
        tokens=tokens,
        mask=mask,
        proprio=torch.rand(B, config.proprio_size, generator=draw) * 2 - 1 if config.proprio_size else None,
    )
