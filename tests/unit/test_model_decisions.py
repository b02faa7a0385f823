"""The interface for reinforcement learning: what `act` drew, `evaluate` finds as likely as `act` said."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from policy_server.model.config import ModelConfig
from policy_server.model.engine import Engine
from policy_server.model.example_input import example_input
from policy_server.model.film import FilmedBlock
from policy_server.model.policy import OftPolicy, build_policy
from policy_server.model.presets import MINIATURE
from policy_server.model.sequence import lay_out, spoken
from policy_server.model.vision import Block
from robot_contract.errors import ContractError

torch.set_num_threads(1)  # for products this small a second thread costs more than it brings

BASE = replace(MINIATURE, value="action")
CONFIGS: dict[str, ModelConfig] = {
    "tokens": replace(BASE, head="tokens"),
    "laplace": replace(BASE, head="laplace"),
    "tokens, rlinf": replace(BASE, head="tokens", sequence="rlinf", value="chunk"),
    "laplace, FiLM": replace(BASE, head="laplace", film=True),
    "autoregressive": replace(BASE, mode="autoregressive", head="tokens", chunk_length=1),
    "autoregressive, FiLM, chunk": replace(BASE, mode="autoregressive", head="tokens", film=True),
}
PROMPTS = [9, 16, 12]


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture(params=CONFIGS.values(), ids=CONFIGS.keys())
def policy(request) -> OftPolicy:
    return build_policy(request.param, seed=0).eval()


@pytest.mark.parametrize("sample", [True, False])
@pytest.mark.parametrize("temperature", [1.0, 1.6])
def test_act_and_evaluate_agree(policy: OftPolicy, sample: bool, temperature: float):
    x = example_input(policy.config, PROMPTS)
    draw = torch.Generator().manual_seed(0)
    decision = policy.act(x, sample=sample, temperature=temperature, generator=draw)
    evaluation = policy.evaluate(x, decision.choices, temperature=temperature)
    shape = (len(PROMPTS), policy.config.chunk_length, policy.config.action_size)
    assert decision.actions.shape == decision.log_probs.shape == evaluation.entropy.shape == shape
    assert decision.log_probs.dtype == torch.float32
    assert torch.allclose(evaluation.log_probs, decision.log_probs, rtol=0, atol=1e-5)
    assert torch.allclose(evaluation.values, decision.values, rtol=0, atol=1e-5)


def test_another_temperature_is_another_distribution(policy: OftPolicy):
    x = example_input(policy.config, PROMPTS)
    decision = policy.act(x, sample=True, generator=torch.Generator().manual_seed(0))
    cooler = policy.evaluate(x, decision.choices, temperature=0.5)
    assert float((cooler.log_probs.detach() - decision.log_probs).abs().max()) > 1e-3
    with pytest.raises(ContractError, match="temperature: expected a number over 0, found 0"):
        policy.act(x, temperature=0.0)


def test_samples_repeat_with_their_generator(policy: OftPolicy):
    x = example_input(policy.config, PROMPTS)

    def draw(seed: int) -> torch.Tensor:
        return policy.act(x, sample=True, generator=torch.Generator().manual_seed(seed)).choices

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


def test_evaluate_reaches_every_live_part_with_gradients(policy: OftPolicy):
    x = example_input(policy.config, PROMPTS)
    decision = policy.act(x, sample=True, generator=torch.Generator().manual_seed(0))
    evaluation = policy.evaluate(x, decision.choices)
    (evaluation.log_probs.sum() + evaluation.values.sum()).backward()
    for part in ("vision_backbone", "projector", "language_model", "proprio_projector", "value_head"):
        gradients = [p.grad for p in policy.get_submodule(part).parameters() if p.grad is not None]
        assert any(float(g.abs().max()) > 0 for g in gradients), part


def test_the_value_head_reads_the_state_before_the_first_action_alone():
    policy = build_policy(replace(BASE, value="chunk"), seed=0).eval()
    rows = torch.randn(2, policy.config.action_slots, 64)
    moved = rows.clone()
    moved[:, 1:] += 1.0
    assert torch.equal(policy.values(rows), policy.values(moved))
    assert policy.values(rows).shape == (2, 1)
    moved[:, 0] += 1.0
    assert not torch.equal(policy.values(rows), policy.values(moved))


@pytest.mark.parametrize("detached", [True, False])
def test_a_detached_value_loss_stops_at_its_head(detached: bool):
    policy = build_policy(replace(BASE, value_detached=detached), seed=0)
    policy(example_input(BASE, PROMPTS)).values.sum().backward()
    assert (policy.projector.fc1.weight.grad is None) == detached
    assert policy.value_head.mlp[0].weight.grad is not None


def test_the_laplace_scale_starts_at_minus_three_everywhere():
    policy = build_policy(CONFIGS["laplace"], seed=0)
    rows = policy.features(example_input(policy.config, PROMPTS)).rows
    assert torch.equal(policy.scale_head(rows), torch.full((3, 3, 7), -3.0))


def test_the_l1_head_says_that_it_has_no_likelihood():
    policy = build_policy(MINIATURE, seed=0).eval()
    x = example_input(MINIATURE, PROMPTS)
    decision = policy.act(x)
    assert decision.log_probs is None
    assert decision.values is None
    with pytest.raises(ContractError, match="no likelihood to sample from"):
        policy.act(x, sample=True)
    with pytest.raises(ContractError, match="no likelihood to evaluate"):
        policy.evaluate(x, decision.choices)


def test_the_greedy_laplace_decision_is_the_l1_decision():
    """What reinforcement learning changes is what is served: the mean."""
    l1 = build_policy(MINIATURE, seed=0).eval()
    laplace = OftPolicy(replace(MINIATURE, head="laplace")).eval()
    laplace.load_state_dict({**laplace.state_dict(), **l1.state_dict()})
    x = example_input(MINIATURE, PROMPTS)
    assert torch.equal(laplace.act(x).actions, l1.act(x).actions)


def test_autoregressive_decoding_is_causal_and_needs_the_choices():
    policy = build_policy(CONFIGS["autoregressive"], seed=0).eval()
    x = example_input(policy.config, PROMPTS)
    choices = policy.act(x).choices
    changed = choices.clone()
    changed[..., 4] = (changed[..., 4] + 100) % 256
    one, other = (policy.evaluate(x, c).log_probs.detach() for c in (choices, changed))
    assert torch.allclose(one[..., :4], other[..., :4], atol=1e-6)
    assert not torch.allclose(one[..., 5:], other[..., 5:], atol=1e-4)
    with pytest.raises(ContractError, match="expected the choices"):
        policy(x)


def test_training_heads_see_where_the_serving_policy_sees():
    policy = build_policy(replace(MINIATURE, heat_maps=2, position_targets=5), seed=0)
    out = policy(example_input(MINIATURE, PROMPTS))
    assert out.heat_maps.shape == (3, 2, MINIATURE.cameras * MINIATURE.patches)
    assert out.positions.shape == (3, 5)
    out.heat_maps.sum().backward(retain_graph=True)
    assert policy.projector.fc3.weight.grad is not None
    assert policy.language_model.model.layers[0].mlp.up_proj.weight.grad is None  # read before it
    out.positions.sum().backward()
    assert policy.language_model.model.layers[0].mlp.up_proj.weight.grad is not None


def test_film_averages_the_prompt_with_its_first_and_last_token_and_no_slot_or_pad():
    config = replace(MINIATURE, film=True)
    x = example_input(config, [9, 12])
    layout = lay_out(x.tokens, x.mask, config)
    text = torch.cat([x.tokens[:, :1], layout.text], dim=1)
    for i, counted in enumerate(spoken(layout, config)):
        prompt = x.tokens[i][x.mask[i]].tolist()
        assert text[i][counted].tolist() == [*prompt, config.tokens.stop]


def test_a_filmed_block_is_the_published_formula():
    block = FilmedBlock(Block(MINIATURE.towers[1]), 64, 48)
    x, film = torch.randn(2, 4, 48), torch.randn(2, 64)
    attended = x + block.block.attn(block.block.norm1(x))
    gamma, beta = (F.linear(film, part.weight, part.bias)[:, None] for part in (block.scale, block.shift))
    modulated = attended * (1 + gamma) + beta
    expected = modulated + block.block.mlp(block.block.norm2(modulated))
    assert torch.allclose(block(x, film), expected, atol=1e-6)


def test_another_word_reaches_the_vision_towers_through_film_alone():
    config = replace(MINIATURE, film=True)
    policy = build_policy(config, seed=0).eval()
    for module in policy.modules():
        if type(module).__name__ == "FilmedBlock":
            torch.nn.init.normal_(module.scale.weight, std=0.5)
    x = example_input(config, [12])
    other = replace(x, tokens=torch.where(x.tokens == x.tokens[0, 5], 200, x.tokens))
    film = [policy.prompted(one).patches.detach() for one in (x, other)]
    assert not torch.allclose(film[0], film[1], atol=1e-4)
    plain = build_policy(MINIATURE, seed=0).eval()
    same = [plain.prompted(one).patches.detach() for one in (x, other)]
    assert torch.equal(same[0], same[1])


def test_the_engine_draws_what_the_policy_draws():
    policy = build_policy(CONFIGS["laplace"], seed=0).eval()
    x = example_input(policy.config, PROMPTS)
    ours, theirs = (
        player.act(x, sample=True, temperature=1.3, generator=torch.Generator().manual_seed(0))
        for player in (Engine(policy), policy)
    )
    assert torch.allclose(ours.actions, theirs.actions, atol=1e-6)
    assert torch.allclose(ours.log_probs, theirs.log_probs, atol=1e-4)
