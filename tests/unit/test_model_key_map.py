"""Names, shapes and counts are those of the published checkpoints: at full size, without any memory."""

import re

import pytest
import torch

from policy_server.model.dead_weights import dead_keys, live_config
from policy_server.model.example_input import example_input
from policy_server.model.policy import OftPolicy, build_policy
from policy_server.model.presets import MINIATURE, OPENVLA_OFT_7B, TINY
from robot_contract.errors import ContractError

torch.set_num_threads(1)  # for products this small a second thread costs more than it brings


@pytest.fixture(scope="module")
def full() -> OftPolicy:
    return OftPolicy.on_meta(OPENVLA_OFT_7B)


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def block_keys(prefix: str, width: int, mlp: int) -> dict[str, tuple[int, ...]]:
    return {
        f"{prefix}norm1.weight": (width,),
        f"{prefix}norm1.bias": (width,),
        f"{prefix}attn.qkv.weight": (3 * width, width),
        f"{prefix}attn.qkv.bias": (3 * width,),
        f"{prefix}attn.proj.weight": (width, width),
        f"{prefix}attn.proj.bias": (width,),
        f"{prefix}norm2.weight": (width,),
        f"{prefix}norm2.bias": (width,),
        f"{prefix}mlp.fc1.weight": (mlp, width),
        f"{prefix}mlp.fc1.bias": (mlp,),
        f"{prefix}mlp.fc2.weight": (width, mlp),
        f"{prefix}mlp.fc2.bias": (width,),
    }


def published_keys() -> dict[str, tuple[int, ...]]:
    """Every key of an OpenVLA-OFT checkpoint with its side files, written out from the published layout."""
    dino, siglip = "vision_backbone.featurizer.", "vision_backbone.fused_featurizer."
    keys: dict[str, tuple[int, ...]] = {
        f"{dino}cls_token": (1, 1, 1024),
        f"{dino}reg_token": (1, 4, 1024),
        f"{dino}pos_embed": (1, 256, 1024),
        f"{dino}patch_embed.proj.weight": (1024, 3, 14, 14),
        f"{dino}patch_embed.proj.bias": (1024,),
        f"{dino}norm.weight": (1024,),
        f"{dino}norm.bias": (1024,),
        f"{siglip}pos_embed": (1, 256, 1152),
        f"{siglip}patch_embed.proj.weight": (1152, 3, 14, 14),
        f"{siglip}patch_embed.proj.bias": (1152,),
        f"{siglip}norm.weight": (1152,),
        f"{siglip}norm.bias": (1152,),
        f"{siglip}attn_pool.latent": (1, 1, 1152),
        f"{siglip}attn_pool.q.weight": (1152, 1152),
        f"{siglip}attn_pool.q.bias": (1152,),
        f"{siglip}attn_pool.kv.weight": (2304, 1152),
        f"{siglip}attn_pool.kv.bias": (2304,),
        f"{siglip}attn_pool.proj.weight": (1152, 1152),
        f"{siglip}attn_pool.proj.bias": (1152,),
        f"{siglip}attn_pool.norm.weight": (1152,),
        f"{siglip}attn_pool.norm.bias": (1152,),
        f"{siglip}attn_pool.mlp.fc1.weight": (4304, 1152),
        f"{siglip}attn_pool.mlp.fc1.bias": (4304,),
        f"{siglip}attn_pool.mlp.fc2.weight": (1152, 4304),
        f"{siglip}attn_pool.mlp.fc2.bias": (1152,),
        "projector.fc1.weight": (8704, 2176),
        "projector.fc1.bias": (8704,),
        "projector.fc2.weight": (4096, 8704),
        "projector.fc2.bias": (4096,),
        "projector.fc3.weight": (4096, 4096),
        "projector.fc3.bias": (4096,),
        "language_model.model.embed_tokens.weight": (32064, 4096),
        "language_model.model.norm.weight": (4096,),
        "language_model.lm_head.weight": (32064, 4096),
        "proprio_projector.fc1.weight": (4096, 8),
        "proprio_projector.fc1.bias": (4096,),
        "proprio_projector.fc2.weight": (4096, 4096),
        "proprio_projector.fc2.bias": (4096,),
        "action_head.model.layer_norm1.weight": (28672,),
        "action_head.model.layer_norm1.bias": (28672,),
        "action_head.model.fc1.weight": (4096, 28672),
        "action_head.model.fc1.bias": (4096,),
        "action_head.model.layer_norm2.weight": (4096,),
        "action_head.model.layer_norm2.bias": (4096,),
        "action_head.model.fc2.weight": (7, 4096),
        "action_head.model.fc2.bias": (7,),
    }
    for i in range(24):
        keys |= block_keys(f"{dino}blocks.{i}.", 1024, 4096)
        keys |= {f"{dino}blocks.{i}.ls{j}.scale_factor": (1024,) for j in (1, 2)}
    for i in range(27):
        keys |= block_keys(f"{siglip}blocks.{i}.", 1152, 4304)
    for i in range(32):
        layer = f"language_model.model.layers.{i}."
        keys |= {f"{layer}self_attn.{name}_proj.weight": (4096, 4096) for name in "qkvo"}
        keys |= {f"{layer}mlp.{name}_proj.weight": (11008, 4096) for name in ("gate", "up")}
        keys |= {
            f"{layer}mlp.down_proj.weight": (4096, 11008),
            f"{layer}input_layernorm.weight": (4096,),
            f"{layer}post_attention_layernorm.weight": (4096,),
        }
    for i in (0, 1):
        block = f"action_head.model.mlp_resnet_blocks.{i}.ffn."
        keys |= {f"{block}0.weight": (4096,), f"{block}0.bias": (4096,)}
        keys |= {f"{block}1.weight": (4096, 4096), f"{block}1.bias": (4096,)}
    return keys


def test_keys_and_shapes_are_the_published_ones(full: OftPolicy):
    assert {key: tuple(tensor.shape) for key, tensor in full.state_dict().items()} == published_keys()


def test_parameter_counts_are_the_published_ones(full: OftPolicy):
    assert count(full.vision_backbone.featurizer) == 303_230_976
    assert count(full.vision_backbone.fused_featurizer) == 427_680_704
    assert count(full.projector) == 71_385_600
    assert count(full.language_model) == 6_738_939_904
    assert count(full.vision_backbone) + count(full.projector) + count(full.language_model) == 7_541_237_184
    assert count(full.action_head) == 151_117_831
    assert count(full.proprio_projector) == 16_818_176


def test_the_dead_weights_are_known_by_name():
    dead = dead_keys(OPENVLA_OFT_7B)
    expected = re.compile(
        r"vision_backbone\.featurizer\.(norm|blocks\.23)\."
        r"|vision_backbone\.fused_featurizer\.(norm|attn_pool|blocks\.26)\."
        r"|language_model\.lm_head\.weight$"
    )
    assert sorted(dead) == sorted(key for key in published_keys() if expected.match(key))


def test_dead_weights_change_nothing():
    policy = build_policy(MINIATURE, seed=0).eval()
    x = example_input(MINIATURE, [9, 12])
    before = policy.act(x).actions
    state = policy.state_dict()
    for key in dead_keys(MINIATURE):
        state[key].fill_(float("nan"))
    assert torch.equal(policy.act(x).actions, before)
    live = policy.restricted_to(live_config(MINIATURE))
    assert torch.equal(live.act(x).actions, before)
    assert not set(live.state_dict()) & set(dead_keys(MINIATURE))


def test_serving_drops_the_training_heads_and_nothing_else():
    policy = build_policy(TINY, seed=0).eval()
    served = policy.without_auxiliary()
    gone = policy.state_dict().keys() - served.state_dict().keys()
    assert gone == {key for key in policy.state_dict() if key.startswith("auxiliary.")} != set()
    assert served.config.heat_maps == served.config.position_targets == 0
    x = example_input(TINY, [20])
    assert torch.equal(served.act(x).actions, policy.act(x).actions)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda s: s.pop("projector.fc2.bias"), "missing 1 keys, the first is 'projector.fc2.bias'"),
        (lambda s: s.update({"projector.fc4.bias": torch.zeros(3)}), r"unknown key 'projector.fc4.bias'"),
        (
            lambda s: s.update({"projector.fc2.bias": torch.zeros(3)}),
            r"projector.fc2.bias: expected shape \(64,\), found \(3,\)",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(spoil, sentence: str):
    state = build_policy(MINIATURE, seed=0).state_dict()
    spoil(state)
    with pytest.raises(ContractError, match=sentence):
        OftPolicy.on_meta(MINIATURE).adopt(state)


def test_a_policy_built_without_memory_answers_like_the_one_its_weights_came_from():
    policy = build_policy(MINIATURE, seed=0).eval()
    adopted = OftPolicy.on_meta(MINIATURE)
    adopted.adopt(policy.state_dict())
    x = example_input(MINIATURE, [9])
    assert torch.equal(adopted.eval().act(x).actions, policy.act(x).actions)
