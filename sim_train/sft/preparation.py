"""What a run decides before its first step: the contract with the data's statistics, the model, the words."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from policy_server.checkpoint import open_checkpoint
from policy_server.model.config import ModelConfig
from policy_server.model.lora import LoraConfig, add_adapters
from policy_server.model.policy import OftPolicy, build_policy
from policy_server.model.presets import preset
from policy_server.model.tokenizer import PromptTokenizer, word_tokenizer
from policy_server.weights import read_tensors
from robot_bridge.scene.catalogue import catalogue
from robot_bridge.scene.wording import SEEN_TEMPLATES, UNSEEN_TEMPLATES
from robot_contract.errors import ContractError
from robot_contract.policy_contract import PolicyContract, Statistics
from sim_train.sft.frames import Frames, Indices, proprioception_of_frames
from sim_train.sft.recipe import Recipe
from sim_train.sft.statistics import statistics_of

_FRESH = ("action_head.", "scale_head.", "proprio_projector.", "value_head.", "auxiliary.")


@dataclass(frozen=True, kw_only=True, eq=False)
class Start:
    """The model before its first step."""

    config: ModelConfig
    tokenizer: PromptTokenizer
    policy: OftPolicy


def fitted_contract(
    contract: PolicyContract, frames: Frames, training: Indices, recipe: Recipe
) -> PolicyContract:
    """The contract with the statistics of the training frames.

    Of the ways to write one orientation, the contract takes the one nearest to the middle of its statistics;
    before there are any, the one nearest to the first frame.
    """
    for _ in range(2):
        first = proprioception_of_frames(frames, contract, training[:1])[0]
        contract = _with_proprioception(contract, first, first)
    proprioception = proprioception_of_frames(frames, contract, training)
    actions = frames.chunks[training].reshape(-1, frames.chunks.shape[-1])
    statistics = statistics_of(actions, proprioception, contract, recipe.action_scale)
    normalisation = "bounds_q99" if recipe.action_scale == "bounds_q99" else "bounds"
    return replace(contract, statistics=statistics, normalisation=normalisation)


def _with_proprioception(contract: PolicyContract, low: np.ndarray, high: np.ndarray) -> PolicyContract:
    old = contract.statistics
    return replace(
        contract,
        statistics=Statistics(
            action_low=old.action_low,
            action_high=old.action_high,
            action_mask=old.action_mask,
            proprioception_low=low,
            proprioception_high=high,
        ),
    )


def start_model(recipe: Recipe, contract: PolicyContract, instructions: Iterable[str]) -> Start:
    if recipe.initial is None:
        config = _sized(preset(recipe.model), recipe, contract)
        tokenizer = word_tokenizer(_texts(contract.prompt_template, instructions), config.tokens)
        policy = build_policy(config, seed=recipe.seed)
    else:
        config, tokenizer, policy = _from_checkpoint(recipe, contract)
    policy.train()
    if recipe.lora_rank:
        add_adapters(policy, LoraConfig(rank=recipe.lora_rank, alpha=recipe.lora_alpha))
        for parameter in policy.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()
    return Start(config=config, tokenizer=tokenizer, policy=policy)


def _sized(config: ModelConfig, recipe: Recipe, contract: PolicyContract) -> ModelConfig:
    """With the suite's cameras, state and chunk, and the recipe's head and training-only heads."""
    return replace(
        config,
        mode="oft",
        head=recipe.head,
        cameras=len(contract.cameras),
        proprio_size=contract.proprioception_width,
        chunk_length=contract.chunk_length,
        language=replace(config.language, lm_head=config.language.lm_head or recipe.head == "tokens"),
        heat_maps=2 if recipe.loss.heat_maps else 0,
        position_targets=5 if recipe.loss.positions else 0,
    )


def _from_checkpoint(
    recipe: Recipe, contract: PolicyContract
) -> tuple[ModelConfig, PromptTokenizer, OftPolicy]:
    """Weights of another policy; heads that it lacks begin at random, whatever else it lacks is refused."""
    path = Path(recipe.initial or "")
    checkpoint = open_checkpoint(path)
    config = _sized(checkpoint.config, recipe, contract)
    policy = OftPolicy.on_meta(config)
    shapes = {key: tensor.shape for key, tensor in policy.state_dict().items()}
    dtype = torch.bfloat16 if recipe.lora_rank and recipe.precision == "bf16" else torch.float32
    tensors = {key: tensor for key, tensor in read_tensors(path, dtype=dtype) if key in shapes}
    fresh = _fresh_heads(config, recipe.seed)
    for key, shape in shapes.items():
        if key in tensors and tensors[key].shape == shape:
            continue
        if not key.startswith(_FRESH):
            found = f"shape {tuple(tensors[key].shape)}" if key in tensors else "no such key"
            raise ContractError(f"{path}: {key}: expected shape {tuple(shape)}, found {found}")
        tensors[key] = fresh[key]
    policy.adopt(tensors)
    return config, checkpoint.tokenizer(), policy


def _fresh_heads(config: ModelConfig, seed: int) -> dict[str, Tensor]:
    """Random heads as a new model has them, without building the rest of a large one."""
    small = replace(
        config,
        towers=tuple(replace(tower, depth=1, live_blocks=1) for tower in config.towers),
        language=replace(config.language, layers=1),
    )
    state = build_policy(small, seed=seed).state_dict()
    return {key: tensor for key, tensor in state.items() if key.startswith(_FRESH)}


def _texts(template: str, instructions: Iterable[str]) -> list[str]:
    """Whatever may be said: the data, and the catalogue with words that training does not use."""
    things = catalogue()
    nouns = [
        noun
        for thing in (*things.objects.values(), *things.receptacles.values())
        for noun in (thing.noun, *getattr(thing, "other_nouns", ()), getattr(thing, "preposition", ""))
    ]
    templates = [re.sub(r"{\w+}", " ", text) for text in (*SEEN_TEMPLATES, *UNSEEN_TEMPLATES)]
    return [template.replace("{instruction}", ""), *sorted(instructions), *nouns, *templates]
