"""PRIME-RL/SimpleVLA-RL: discrete tokens in parallel, the proprioception inside the model, no side files."""

from dataclasses import replace

from policy_server.convert.published_folder import PublishedFolder
from policy_server.model.config import ModelConfig

NAME = "simplevla-rl"

_PROPRIO = "proprio_projector.fc1.weight"


def recognise(folder: PublishedFolder) -> str | None:
    if folder.side_files or "value_head.mlp.0.weight" in folder.shapes:
        return None
    if _PROPRIO in folder.shapes:
        return "the model's own weights hold proprio_projector"
    if "use_proprio" in folder.config:
        return "config.json says use_proprio, and there are no side files"
    return None


def specialise(config: ModelConfig, folder: PublishedFolder) -> ModelConfig:
    return replace(config, proprio_size=folder.shapes.get(_PROPRIO, (0, 0))[1])
