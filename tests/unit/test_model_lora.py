from dataclasses import replace

import pytest
import torch

from policy_server.model.example_input import example_input
from policy_server.model.lora import (
    LoraConfig,
    adapted_layers,
    adapter_state,
    add_adapters,
    load_adapters,
    merge,
    merged_state,
    save_adapters,
    unmerge,
)
from policy_server.model.policy import OftPolicy, build_policy
from policy_server.model.presets import MINIATURE
from robot_contract.errors import ContractError

torch.set_num_threads(1)  # for products this small a second thread costs more than it brings

CONFIG = replace(MINIATURE, head="tokens")
SMALL = LoraConfig(rank=4, alpha=8.0)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def adapted(*, trained: bool = True) -> OftPolicy:
    policy = build_policy(CONFIG, seed=0).eval()
    add_adapters(policy, SMALL)
    if trained:
        for name, parameter in policy.named_parameters():
            if name.endswith("lora_b"):
                torch.nn.init.normal_(parameter, std=0.1)
    return policy


def log_probs(policy: OftPolicy) -> torch.Tensor:
    x = example_input(CONFIG, [9, 12])
    choices = torch.arange(2 * 3 * 7).view(2, 3, 7)
    return policy.evaluate(x, choices).log_probs.detach()


def test_the_targets_are_those_of_the_recipes():
    policy = build_policy(CONFIG, seed=0)
    names = add_adapters(policy, SMALL)
    tower = [
        f"blocks.{i}.{layer}" for i in (0, 1) for layer in ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
    ]
    layer = [f"self_attn.{n}_proj" for n in "qkvo"] + [f"mlp.{n}_proj" for n in ("gate", "up", "down")]
    assert sorted(names) == sorted(
        [
            f"vision_backbone.{tower_name}.{t}"
            for tower_name in ("featurizer", "fused_featurizer")
            for t in tower
        ]
        + [f"projector.fc{i}" for i in (1, 2, 3)]
        + [f"language_model.model.layers.{i}.{n}" for i in (0, 1) for n in layer]
        + ["language_model.lm_head"]
    )


def test_a_dead_language_head_is_left_alone():
    policy = build_policy(MINIATURE, seed=0)
    assert "language_model.lm_head" not in add_adapters(policy, SMALL)


def test_adapters_and_heads_train_and_nothing_else():
    policy = build_policy(replace(MINIATURE, value="action"), seed=0)
    add_adapters(policy, SMALL)
    trained = {name for name, parameter in policy.named_parameters() if parameter.requires_grad}
    heads = ("action_head.", "value_head.", "proprio_projector.")
    assert all(name.endswith(("lora_a", "lora_b")) or name.startswith(heads) for name in trained)
    assert any(name.startswith("value_head.") for name in trained)
    assert sum(name.endswith("lora_a") for name in trained) == len(list(adapted_layers(policy)))


def test_fresh_adapters_change_nothing_and_trained_ones_do():
    plain = log_probs(build_policy(CONFIG, seed=0).eval())
    assert torch.equal(log_probs(adapted(trained=False)), plain)
    assert not torch.allclose(log_probs(adapted()), plain, atol=1e-2)


def test_merged_answers_are_the_unmerged_ones_and_unmerging_gives_back_every_bit():
    policy = adapted()
    before = log_probs(policy)
    weights = {name: layer.base.weight.detach().clone() for name, layer in adapted_layers(policy)}
    merge(policy)
    assert torch.allclose(log_probs(policy), before, atol=1e-4)
    assert all(not torch.equal(layer.base.weight, weights[n]) for n, layer in adapted_layers(policy))
    merge(policy)  # a second time is no second change
    assert torch.allclose(log_probs(policy), before, atol=1e-4)
    unmerge(policy)
    assert all(torch.equal(layer.base.weight, weights[n]) for n, layer in adapted_layers(policy))
    assert torch.equal(log_probs(policy), before)


@pytest.mark.parametrize("merged_before", [False, True])
def test_the_merged_state_is_a_policy_without_adapters(merged_before: bool):
    policy = adapted()
    before = log_probs(policy)
    if merged_before:
        merge(policy)
    plain = build_policy(CONFIG, seed=1).eval()
    plain.load_state_dict(merged_state(policy))
    assert torch.allclose(log_probs(plain), before, atol=1e-4)


def test_adapters_are_saved_alone(tmp_path):
    policy = adapted()
    save_adapters(policy, SMALL, tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["adapter.json", "adapter.safetensors"]
    other = build_policy(CONFIG, seed=0).eval()
    assert load_adapters(other, tmp_path) == SMALL
    assert torch.equal(log_probs(other), log_probs(policy))
    size = sum(tensor.numel() for tensor in adapter_state(policy).values())
    assert size < 0.3 * sum(parameter.numel() for parameter in policy.parameters())


def test_adapters_of_another_policy_are_refused_by_name(tmp_path):
    save_adapters(adapted(), SMALL, tmp_path)
    wider = replace(CONFIG, projector_width=48)
    with pytest.raises(
        ContractError, match=r"projector.fc1.lora_b: expected shape \(48, 4\), found \(96, 4\)"
    ):
        load_adapters(build_policy(wider, seed=0), tmp_path)
    with pytest.raises(ContractError, match=r"unknown key 'language_model.lm_head.lora_a'"):
        load_adapters(build_policy(MINIATURE, seed=0), tmp_path)


def test_a_policy_is_adapted_once():
    with pytest.raises(ContractError, match="has adapters already"):
        add_adapters(adapted(), SMALL)
