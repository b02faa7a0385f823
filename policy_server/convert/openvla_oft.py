"""moojink/openvla-oft: a merged model and side files for the head, the proprioception and FiLM.

The FiLM side file replaces the vision towers whole, with LoRA layers that are not merged; `alpha` is by
upstream's rule the smaller of the rank and 16.
"""

from dataclasses import replace

from policy_server.convert.architecture import count_layers
from policy_server.convert.openvla import CHUNK_MARK
from policy_server.convert.published_folder import PublishedFolder
from policy_server.convert.tensor_files import tensor_shapes
from policy_server.model.config import ModelConfig
from robot_contract.errors import ContractError

NAME = "openvla-oft"


def recognise(folder: PublishedFolder) -> str | None:
    if folder.side_files:
        return "side files " + ", ".join(file.name for file in folder.side_files.values())
    code = folder.modelling_code
    inside = any(key.startswith(("proprio_projector.", "value_head.")) for key in folder.shapes)
    if code is not None and CHUNK_MARK in code and "use_proprio" not in folder.config and not inside:
        return f"its modelling code knows {CHUNK_MARK}; no side file of a head, so discrete tokens"
    return None


def specialise(config: ModelConfig, folder: PublishedFolder) -> ModelConfig:
    if "noisy_action_projector" in folder.side_files:
        file = folder.side_files["noisy_action_projector"]
        raise ContractError(f"{file}: a diffusion head; accepted are L1 and token heads")
    if "action_head" in folder.side_files:
        config = _with_l1_head(config, folder)
    if "proprio_projector" in folder.side_files:
        file = folder.side_files["proprio_projector"]
        shape = tensor_shapes(file).get("fc1.weight")
        if shape is None:
            raise ContractError(f"{file}: fc1.weight: expected a matrix, found no such key")
        config = replace(config, proprio_size=shape[1])
    return replace(config, film="vision_backbone" in folder.side_files)


def _with_l1_head(config: ModelConfig, folder: PublishedFolder) -> ModelConfig:
    file = folder.side_files["action_head"]
    shapes = tensor_shapes(file)
    if any(key.startswith("noise_predictor.") for key in shapes):
        raise ContractError(f"{file}: a diffusion head; accepted are L1 and token heads")
    for key in ("model.fc1.weight", "model.fc2.weight"):
        if key not in shapes:
            raise ContractError(f"{file}: {key}: expected a matrix, found no such key")
    return replace(
        config,
        head="l1",
        action_size=shapes["model.fc2.weight"][0],
        head_width=shapes["model.fc1.weight"][0],
        head_blocks=count_layers(shapes, "model.mlp_resnet_blocks."),
    )
