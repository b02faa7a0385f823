"""Weights that published checkpoints carry and no answer depends on: found and named.

The last block of each vision tower, both final norms, SigLIP's attention pool, the language head under a
continuous action head, and the training-only heads.
"""

from dataclasses import replace

from policy_server.model.config import ModelConfig, TowerConfig
from policy_server.model.policy import OftPolicy


def live_config(config: ModelConfig) -> ModelConfig:
    """Return the same model with nothing dead in it."""
    return replace(
        config,
        towers=tuple(_live_tower(tower) for tower in config.towers),
        language=replace(config.language, lm_head=config.head == "tokens"),
        heat_maps=0,
        position_targets=0,
    )


def _live_tower(tower: TowerConfig) -> TowerConfig:
    return replace(tower, depth=tower.live_blocks, final_norm=False, attention_pool=False)


def dead_keys(config: ModelConfig) -> list[str]:
    """Return the names of the weights that are never read, in the order of the state dict."""
    live = OftPolicy.on_meta(live_config(config)).state_dict()
    return [key for key in OftPolicy.on_meta(config).state_dict() if key not in live]
