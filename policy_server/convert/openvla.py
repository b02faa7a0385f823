"""openvla/openvla: one picture, causal attention, seven action tokens one after the other."""

from dataclasses import replace

from policy_server.convert.published_folder import PublishedFolder
from policy_server.model.config import ModelConfig
from robot_contract.errors import ContractError

NAME = "openvla"
CHUNK_MARK = "NUM_ACTIONS_CHUNK"  # in the modelling code of everything that decodes in parallel


def recognise(folder: PublishedFolder) -> str | None:
    keys = folder.shapes
    if folder.side_files or "value_head.mlp.0.weight" in keys or "proprio_projector.fc1.weight" in keys:
        return None
    if folder.modelling_code is not None:
        if CHUNK_MARK in folder.modelling_code:
            return None
        return f"its modelling code knows no {CHUNK_MARK} and there are no side files"
    if folder.has_own_statistics or "use_proprio" in folder.config:
        return None
    return "there are no side files and no dataset_statistics.json: the base model"


def specialise(config: ModelConfig, folder: PublishedFolder) -> ModelConfig:
    if config.chunk_length != 1 or config.cameras != 1:
        raise ContractError(
            f"{folder.path}: OpenVLA answers one action from one picture: expected chunk length 1 and one "
            f"camera, found {config.chunk_length} and {config.cameras}"
        )
    return replace(config, mode="autoregressive")
