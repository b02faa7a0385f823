"""The same module learns: gradients reach what they should, and a few steps fit a few examples."""

from dataclasses import replace

import torch
from torch.nn import functional as F

from policy_server.model.example_input import example_input
from policy_server.model.lora import LoraConfig, add_adapters
from policy_server.model.policy import OftPolicy, build_policy
from policy_server.model.presets import MINIATURE

torch.set_num_threads(1)  # for products this small a second thread costs more than it brings

LEARNER = replace(MINIATURE, film=True, positions_after_projector=True, heat_maps=2, position_targets=5)


def losses(policy: OftPolicy, *, steps: int) -> list[float]:
    x = example_input(policy.config, [9, 12, 10, 11])
    draw = torch.Generator().manual_seed(0)
    actions = torch.rand(4, 3, 7, generator=draw) * 2 - 1
    patches = torch.randint(0, 8, (4, 2), generator=draw)
    places = torch.rand(4, 5, generator=draw)
    optimiser = torch.optim.AdamW([p for p in policy.parameters() if p.requires_grad], lr=3e-3)
    history = []
    for _ in range(steps):
        out = policy(x)
        loss = (
            2 * F.l1_loss(out.actions, actions)
            + 0.5 * F.cross_entropy(out.heat_maps.flatten(0, 1), patches.flatten())
            + F.l1_loss(out.positions, places)
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        history.append(loss.item())
    return history


def test_a_few_steps_fit_a_few_examples():
    history = losses(build_policy(LEARNER, seed=0), steps=60)
    assert history[-1] < 0.35 * history[0]


def test_adapters_alone_learn_too():
    policy = build_policy(LEARNER, seed=0)
    add_adapters(policy, LoraConfig(rank=4))
    before = policy.language_model.model.embed_tokens.weight.detach().clone()
    history = losses(policy, steps=60)
    assert history[-1] < 0.6 * history[0]
    assert torch.equal(policy.language_model.model.embed_tokens.weight, before)


def test_every_live_weight_gets_a_gradient():
    policy = build_policy(LEARNER, seed=0)
    out = policy(example_input(LEARNER, [9, 12]))
    (out.actions.sum() + out.heat_maps.square().sum() + out.positions.sum()).backward()
    idle = {name for name, parameter in policy.named_parameters() if parameter.grad is None}
    dead = ("blocks.2.", "featurizer.norm.", "attn_pool.", "lm_head.")
    assert all(any(part in name for part in dead) for name in idle)


def test_gradient_checkpointing_changes_memory_and_no_gradient():
    x = example_input(LEARNER, [9, 12])

    def gradient(checkpointing: bool) -> torch.Tensor:
        policy = build_policy(LEARNER, seed=0).train()
        if checkpointing:
            policy.language_model.model.activation_checkpointing_enable()
        policy(x).actions.sum().backward()
        return policy.projector.fc1.weight.grad

    assert torch.allclose(gradient(True), gradient(False), atol=1e-6)
