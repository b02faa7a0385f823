import json
from dataclasses import fields, replace

import pytest
import torch

from policy_server.model.config import ModelConfig
from policy_server.model.dead_weights import live_config
from policy_server.model.policy import build_policy
from policy_server.model.presets import MINIATURE, OPENVLA_7B, OPENVLA_OFT_7B, PRESETS, TINY, preset
from robot_contract.errors import ContractError


@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS.keys())
def test_a_config_survives_its_file(config: ModelConfig, tmp_path):
    config.save(tmp_path / "model.json")
    assert ModelConfig.load(tmp_path / "model.json") == config


@pytest.mark.parametrize("name", [field.name for field in fields(ModelConfig)])
def test_every_key_must_be_there(name: str):
    data = TINY.to_json()
    del data[name]
    with pytest.raises(ContractError, match=name):
        ModelConfig.from_json(data)


def test_an_unknown_key_gets_the_nearest_name():
    with pytest.raises(ContractError, match=r"chunk_lenght.*did you mean 'chunk_length'"):
        ModelConfig.from_json({**TINY.to_json(), "chunk_lenght": 8})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("film", 1),
        ("cameras", True),
        ("cameras", 1.0),
        ("head", "l2"),
        ("towers", {}),
        ("log_scale_range", [-5.0]),
        ("log_scale_range", [-5.0, "0"]),
    ],
)
def test_a_value_of_another_kind_is_refused_by_name(key: str, value: object):
    with pytest.raises(ContractError, match=key):
        ModelConfig.from_json({**TINY.to_json(), key: value})


def test_a_nested_key_is_named_with_its_place():
    data = TINY.to_json()
    data["language"]["rms_norm_eps"] = "1e-6"
    with pytest.raises(ContractError, match=r"language.*rms_norm_eps"):
        ModelConfig.from_json(data)


def test_a_file_that_is_no_json_is_named(tmp_path):
    file = tmp_path / "model.json"
    file.write_text("{")
    with pytest.raises(ContractError, match=r"model\.json"):
        ModelConfig.load(file)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"image_size": 97}, "97 is no multiple of 12"),
        ({"head": "tokens"}, "needs language.lm_head"),
        ({"mode": "autoregressive"}, "needs head 'tokens'"),
        ({"towers": ()}, "one or two towers"),
        ({"cameras": 0}, "cameras: expected at least 1, found 0"),
        ({"log_scale_range": (0.0, 0.0)}, "is empty"),
        ({"tokens": replace(TINY.tokens, action_end=769)}, "outside the vocabulary"),
        ({"towers": (replace(TINY.towers[0], live_blocks=3),)}, "3 of 2 blocks"),
    ],
)
def test_a_config_that_cannot_be_built_is_refused(change: dict, sentence: str):
    with pytest.raises(ContractError, match=sentence):
        replace(TINY, **change)


def test_presets_are_found_by_name():
    assert preset("tiny") is TINY
    with pytest.raises(ContractError, match="did you mean 'tiny'"):
        preset("tyny")


def test_the_tiny_preset_is_tiny():
    parameters = sum(p.numel() for p in build_policy(TINY, seed=0).parameters())
    assert 1_000_000 <= parameters <= 4_000_000


def test_sequence_lengths_are_the_published_ones():
    prompt = 32
    two_images = OPENVLA_OFT_7B
    assert two_images.prefix_length + (prompt - 1) + two_images.action_slots + two_images.has_stop == 602
    one_image = replace(OPENVLA_OFT_7B, cameras=1, proprio_size=0)
    assert one_image.prefix_length + (prompt - 1) + one_image.action_slots + one_image.has_stop == 345
    assert not OPENVLA_7B.has_stop


def test_a_build_repeats_and_leaves_the_random_state_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second = (build_policy(MINIATURE, seed=3).state_dict() for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_nothing_dead_is_left_in_a_live_config():
    live = live_config(MINIATURE)
    assert live_config(live) == live
    assert json.dumps(live.to_json()) != json.dumps(MINIATURE.to_json())
