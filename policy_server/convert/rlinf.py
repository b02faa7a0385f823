"""RLinf's own OpenVLA-OFT: discrete tokens in parallel, no stop token after them, perhaps a value head.

Its weights have the names and shapes of the others, and would answer wrongly in the others' sequence.
"""

from dataclasses import replace

from policy_server.convert.published_folder import PublishedFolder
from policy_server.model.config import ModelConfig

NAME = "rlinf"

_VALUE = "value_head.mlp."
_SETTINGS = ("add_value_head", "num_action_chunks", "max_prompt_length", "value_type")


def recognise(folder: PublishedFolder) -> str | None:
    if folder.side_files:
        return None
    if _VALUE + "0.weight" in folder.shapes:
        return "the model's own weights hold value_head"
    said = [name for name in _SETTINGS if name in folder.config]
    return f"config.json has {', '.join(said)}" if said else None


def specialise(config: ModelConfig, folder: PublishedFolder) -> ModelConfig:
    layers = sorted(
        (int(key.removeprefix(_VALUE).partition(".")[0]), shape)
        for key, shape in folder.shapes.items()
        if key.startswith(_VALUE) and key.endswith(".weight")
    )
    config = replace(config, sequence="rlinf")
    if not layers:
        return config
    widths = [shape[0] for _, shape in layers]
    level = "chunk" if widths[-1] == 1 else "action"
    return replace(config, value=level, value_widths=tuple(widths[:-1]))
