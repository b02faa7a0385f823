"""A robot's answer does not depend on who asks at the same time."""

from dataclasses import replace

import pytest
import torch

from policy_server.model import sequence
from policy_server.model.engine import Engine
from policy_server.model.example_input import example_input
from policy_server.model.model_input import ModelInput, join
from policy_server.model.policy import OftPolicy, build_policy
from policy_server.model.presets import MINIATURE, TINY
from robot_contract.errors import ContractError

torch.set_num_threads(1)  # for products this small a second thread costs more than it brings

PROMPTS = [9, 17, 12, 24, 10]
CONFIGS = {
    "tiny": replace(TINY, value="action"),
    "two cameras": replace(TINY, cameras=2),
    "rlinf": replace(TINY, sequence="rlinf"),
    "miniature": MINIATURE,
    "laplace": replace(TINY, head="laplace", value="chunk"),
    "tokens": replace(TINY, head="tokens", language=replace(TINY.language, lm_head=True)),
    "autoregressive": replace(
        TINY,
        mode="autoregressive",
        head="tokens",
        chunk_length=1,
        language=replace(TINY.language, lm_head=True),
    ),
}


def unpadded(x: ModelInput) -> ModelInput:
    length = int(x.mask.sum())
    return replace(x, tokens=x.tokens[:, :length], mask=x.mask[:, :length])


@pytest.fixture(params=CONFIGS.values(), ids=CONFIGS.keys())
def policy(request) -> OftPolicy:
    return build_policy(request.param, seed=0).eval()


def test_a_batch_answers_bit_for_bit_as_each_row_alone(policy: OftPolicy):
    x = example_input(policy.config, PROMPTS)
    together = policy.act(x)
    for i in range(len(PROMPTS)):
        alone = policy.act(x[i : i + 1])
        assert torch.equal(alone.actions, together.actions[i : i + 1])
        if together.values is not None:
            assert torch.equal(alone.values, together.values[i : i + 1])


def test_the_engine_keeps_that_promise():
    policy = build_policy(CONFIGS["tiny"], seed=0)
    engine = Engine(policy)
    x = example_input(policy.config, PROMPTS)
    together = engine.act(x)
    for i in range(len(PROMPTS)):
        assert torch.equal(engine.act(x[i : i + 1]).actions, together.actions[i : i + 1])


def test_a_padded_answer_is_the_unpadded_one(policy: OftPolicy):
    x = example_input(policy.config, PROMPTS)
    together = policy.act(x)
    for i in range(len(PROMPTS)):
        alone = policy.act(unpadded(x[i : i + 1]))
        assert float((alone.actions - together.actions[i : i + 1]).abs().max()) <= 5e-6


def test_what_stands_in_a_pad_changes_nothing(policy: OftPolicy):
    x = example_input(policy.config, PROMPTS)
    scribbled = replace(x, tokens=torch.where(x.mask, x.tokens, 300))
    assert not torch.equal(scribbled.tokens, x.tokens)
    assert torch.equal(policy.act(scribbled).actions, policy.act(x).actions)


def test_pads_in_the_middle_would_not_do(monkeypatch):
    """The published way, action slots after a padded prompt, gives a short prompt another answer."""
    policy = build_policy(TINY, seed=0).eval()
    x = example_input(TINY, [9, 24])
    right = policy.act(x).actions[0]
    plain = sequence.lay_out

    def slots_after_the_longest(tokens, mask, config, *, slot_tokens_BK=None):
        layout = plain(tokens, torch.ones_like(mask), config, slot_tokens_BK=slot_tokens_BK)
        live = layout.live.clone()
        live[:, config.prefix_length : config.prefix_length + mask.shape[1] - 1] = mask[:, 1:]
        return replace(layout, live=live)

    monkeypatch.setattr("policy_server.model.policy.lay_out", slots_after_the_longest)
    assert float((policy.act(x).actions[0] - right).abs().max()) > 1e-4


def test_joined_inputs_are_the_rows_in_order():
    single = [example_input(TINY, [length], seed=length) for length in PROMPTS]
    joined = join(single, TINY.tokens.pad)
    assert joined.tokens.shape == (5, 24)
    for i, one in enumerate(single):
        assert torch.equal(unpadded(joined[i : i + 1]).tokens, one.tokens)
        assert torch.equal(joined.pixels[i : i + 1], one.pixels)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"pixels": torch.zeros(1, 2, 6, 96, 96)}, r"pixels: expected shape \(1, 1, 6, 96, 96\)"),
        ({"proprio": None}, r"proprio: expected shape \(1, 8\), found None"),
        ({"mask": torch.ones(1, 9)}, "expected int64 and bool"),
        ({"mask": torch.ones(1, 8, dtype=torch.bool)}, "tokens and mask"),
        (
            {"tokens": torch.zeros(1, 500, dtype=torch.int64), "mask": torch.ones(1, 500, dtype=torch.bool)},
            "sequence: expected at most 512",
        ),
    ],
)
def test_an_input_of_the_wrong_shape_is_refused_by_name(change: dict, sentence: str):
    policy = build_policy(TINY, seed=0)
    with pytest.raises(ContractError, match=sentence):
        policy.act(replace(example_input(TINY, [9]), **change))
