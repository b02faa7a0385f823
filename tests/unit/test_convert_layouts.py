"""Published folders of every layout are told apart, become checkpoints that answer, and lose no number.

The folders are look-alikes with the full published key set at small widths.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from policy_server.checkpoint import open_checkpoint
from policy_server.convert.architecture import base_config
from policy_server.convert.command import main
from policy_server.convert.conversion import (
    Choices,
    LayoutName,
    converted_tensors,
    plan_conversion,
    recognise,
    run_conversion,
)
from policy_server.convert.look_alike import (
    add_side_files,
    look_alike_statistics,
    oft_folder,
    openvla_folder,
    rlinf_folder,
    simplevla_folder,
    write_folder,
)
from policy_server.convert.openvla_oft import specialise
from policy_server.convert.published_folder import look_at
from policy_server.convert.published_shapes import (
    FULL,
    SMALL,
    film_shapes,
    head_shapes,
    model_shapes,
    proprio_shapes,
)
from policy_server.convert.robots import robot_preset
from policy_server.model.policy import OftPolicy
from policy_server.model.presets import OPENVLA_OFT_7B
from robot_contract.errors import ContractError

FOLDERS: dict[LayoutName, Callable[[Path], Path]] = {
    "openvla": openvla_folder,
    "openvla-oft": oft_folder,
    "simplevla-rl": simplevla_folder,
    "rlinf": rlinf_folder,
}


def choices(robot: str = "libero", cameras: tuple[str, ...] = ("external", "wrist"), **more: Any) -> Choices:
    return Choices(name="converted", robot=robot_preset(robot), robot_name=robot, cameras=cameras, **more)


CHOICES: dict[LayoutName, Choices] = {
    "openvla": choices("bridge", ("external",), dataset="bridge_orig"),
    "openvla-oft": choices(),
    "simplevla-rl": choices(cameras=("external",)),
    "rlinf": choices("maniskill-put-on", ("external",)),
}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Small matrices on a busy machine: threads would wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("layout", FOLDERS)
def test_each_layout_is_recognised_and_named(layout: LayoutName, tmp_path: Path) -> None:
    name, because = recognise(look_at(FOLDERS[layout](tmp_path / "src")))
    assert name == layout
    assert because


@pytest.mark.parametrize("layout", FOLDERS)
def test_each_layout_becomes_a_checkpoint_that_answers(layout: LayoutName, tmp_path: Path) -> None:
    source = FOLDERS[layout](tmp_path / "src")
    checkpoint = run_conversion(plan_conversion(source, CHOICES[layout]), tmp_path / "dst")
    reopened = open_checkpoint(tmp_path / "dst")
    assert reopened.contract.policy_digest == checkpoint.contract.policy_digest
    for dtype in (torch.bfloat16, torch.float32):
        actions = reopened.load_eager(dtype=dtype).predict(reopened.golden.observation)
        name = str(dtype).removeprefix("torch.")
        assert reopened.golden.complaint(actions, device="cpu", dtype=name) is None
        assert actions.shape == (1 if layout == "openvla" else 8, 7)
    provenance = dict(reopened.contract.provenance)
    assert provenance["layout"].startswith(f"{layout}: ")
    assert provenance["converted from"] == "src"


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        ("openvla", {"mode": "autoregressive", "head": "tokens", "chunk_length": 1, "center_crop_area": 1.0}),
        (
            "openvla-oft",
            {"mode": "oft", "head": "l1", "sequence": "official", "proprio_size": 8, "cameras": 2},
        ),
        ("simplevla-rl", {"mode": "oft", "head": "tokens", "sequence": "official", "proprio_size": 8}),
        ("rlinf", {"head": "tokens", "sequence": "rlinf", "value": "action", "value_widths": (12, 6)}),
    ],
)
def test_each_layout_runs_as_it_was_trained(
    layout: LayoutName, expected: dict[str, Any], tmp_path: Path
) -> None:
    config = plan_conversion(FOLDERS[layout](tmp_path / "src"), CHOICES[layout]).config
    assert {name: getattr(config, name) for name in expected} == expected
    assert config.language.rms_norm_eps == 1e-6
    assert config.towers[0].pixel_mean == (0.484375, 0.455078125, 0.40625)
    assert [tower.live_blocks for tower in config.towers] == [2, 2]


def test_a_token_policys_golden_chunk_notices_other_weights(tmp_path: Path) -> None:
    source = rlinf_folder(tmp_path / "src")
    checkpoint = run_conversion(plan_conversion(source, CHOICES["rlinf"]), tmp_path / "dst")
    eager = checkpoint.load_eager()
    with torch.no_grad():
        eager.policy.language_model.lm_head.weight.neg_()
    actions = eager.predict(checkpoint.golden.observation)
    for dtype in ("float32", "bfloat16"):
        assert checkpoint.golden.complaint(actions, device="cpu", dtype=dtype) is not None


def converted(folder: Path, chosen: Choices) -> dict[str, Tensor]:
    return dict(converted_tensors(plan_conversion(folder, chosen)))


def test_every_number_arrives_under_its_key(tmp_path: Path) -> None:
    source = oft_folder(tmp_path / "src")
    expected: dict[str, Tensor] = {}
    for file in source.glob("model-*.safetensors"):
        expected |= load_file(file)
    for name in ("action_head", "proprio_projector"):
        stored = torch.load(source / f"{name}--150000_checkpoint.pt", weights_only=True)
        expected |= {f"{name}.{key.removeprefix('module.')}": tensor for key, tensor in stored.items()}
    found = converted(source, choices())
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], tensor) for key, tensor in expected.items())


def test_side_files_without_the_data_parallel_prefix_read_the_same(tmp_path: Path) -> None:
    heads = {"action_head": head_shapes(SMALL), "proprio_projector": proprio_shapes(SMALL)}
    expected = converted(oft_folder(tmp_path / "wrapped"), choices())
    plain = add_side_files(oft_folder(tmp_path / "plain"), prefix="", **heads)
    found = converted(plain, choices())
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], tensor) for key, tensor in expected.items())


def test_torch_shards_read_like_safetensors(tmp_path: Path) -> None:
    source = oft_folder(tmp_path / "src")
    expected = {key: tensor.clone() for key, tensor in converted(source, choices()).items()}
    for file in source.glob("model*.safetensors*"):
        file.unlink()
    model = {key: tensor for key, tensor in expected.items() if not key.startswith(("action", "proprio"))}
    torch.save(model, source / "pytorch_model.bin")
    found = converted(source, choices())
    assert all(torch.equal(found[key], tensor) for key, tensor in expected.items())


@pytest.mark.parametrize("rank", [4, 32])
def test_film_towers_replace_the_models_with_their_adapters_merged(rank: int, tmp_path: Path) -> None:
    source = add_side_files(
        oft_folder(tmp_path / "src"), seed=9, vision_backbone=film_shapes(SMALL, rank=rank)
    )
    stored = torch.load(source / "vision_backbone--150000_checkpoint.pt", weights_only=True)
    conversion = plan_conversion(source, choices())
    assert conversion.config.film
    found = dict(converted_tensors(conversion))
    layer = "vision_backbone.featurizer.blocks.1.block.attn.qkv"
    base, a, b = (
        stored[f"module.{layer}.{name}.weight"].float()
        for name in ("base_layer", "lora_A.default", "lora_B.default")
    )
    expected = (base + min(rank, 16) / rank * (b @ a)).to(torch.bfloat16)
    assert torch.equal(found[f"{layer}.weight"], expected)
    assert torch.equal(found[f"{layer}.bias"], stored[f"module.{layer}.base_layer.bias"])
    assert not [key for key in found if "lora" in key or "base_layer" in key]
    checkpoint = run_conversion(conversion, tmp_path / "dst")
    assert checkpoint.load_eager().predict(checkpoint.golden.observation).shape == (8, 7)


def test_statistics_arrive_in_metres_and_radians(tmp_path: Path) -> None:
    contract = plan_conversion(oft_folder(tmp_path / "src"), choices()).contract
    s = contract.statistics
    np.testing.assert_allclose(s.action_low, [-0.035, -0.03, -0.045, -0.05, -0.1, -0.15, 0.0])
    np.testing.assert_allclose(s.action_high, [0.045, 0.04, 0.045, 0.05, 0.1, 0.15, 1.0])
    assert s.action_mask == (True,) * 6 + (False,)
    np.testing.assert_allclose(s.proprioception_high[3:], [3.5, 0.3, 0.3, 0.04, 0.0])
    assert contract.max_translation_per_step == pytest.approx(math.hypot(0.045, 0.04, 0.045), abs=1e-5)
    assert contract.max_rotation_per_step == pytest.approx(math.hypot(0.05, 0.1, 0.15), abs=1e-4)
    assert contract.reference == "measured_each_step"
    assert [camera.name for camera in contract.cameras] == ["external", "wrist"]


def test_the_command_says_what_it_recognised_and_wrote(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, destination = oft_folder(tmp_path / "src"), tmp_path / "put-on"
    options = ["--robot", "libero", "--cameras", "external", "wrist", "--dtype", "fp32"]
    main([str(source), str(destination), *options])
    said = capsys.readouterr().out
    assert "layout    openvla-oft (side files action_head--150000_checkpoint.pt" in said
    opened = open_checkpoint(destination)
    assert opened.contract.policy_digest in said
    assert opened.contract.name == "put-on"
    assert {tensor.dtype for tensor in opened.load_policy().state_dict().values()} == {torch.float32}


def test_a_folder_that_could_be_several_layouts_is_not_guessed(tmp_path: Path) -> None:
    statistics = look_alike_statistics("libero")
    source = write_folder(tmp_path / "src", statistics=statistics)
    with pytest.raises(ContractError, match="found signs of none; say which with --layout"):
        recognise(look_at(source))
    signs = {"use_proprio": False, "add_value_head": True}
    both = write_folder(tmp_path / "both", statistics=statistics, config=signs)
    with pytest.raises(ContractError, match=r"found simplevla-rl \(.*\); rlinf \(.*\); say which"):
        recognise(look_at(both))
    chosen = plan_conversion(source, choices(cameras=("external",), layout="rlinf"))
    assert (chosen.layout, chosen.config.sequence) == ("rlinf", "rlinf")


@pytest.mark.parametrize(
    ("code", "layout"), [("NUM_ACTIONS_CHUNK = 8", "openvla-oft"), ("class Model: ...", "openvla")]
)
def test_the_modelling_code_is_read_as_evidence_and_never_run(
    code: str, layout: LayoutName, tmp_path: Path
) -> None:
    source = write_folder(tmp_path / "src", statistics=look_alike_statistics("libero"))
    (source / "modeling_prismatic.py").write_text(f"{code}\nraise SystemExit('run')\n")
    assert recognise(look_at(source))[0] == layout


def test_openvla_is_one_action_from_one_picture(tmp_path: Path) -> None:
    source = openvla_folder(tmp_path / "src")
    with pytest.raises(ContractError, match="one action from one picture"):
        plan_conversion(source, choices(dataset="bridge_orig"))


def test_an_unknown_camera_robot_or_data_set_gets_the_nearest_name(tmp_path: Path) -> None:
    source = oft_folder(tmp_path / "src")
    with pytest.raises(ContractError, match=r"camera 'wirst' is unknown .*; did you mean 'wrist'"):
        plan_conversion(source, choices(cameras=("external", "wirst")))
    with pytest.raises(ContractError, match="unknown robot 'libera'; did you mean 'libero'"):
        robot_preset("libera")
    with pytest.raises(ContractError, match="no statistics of 'spatial'"):
        plan_conversion(source, choices(dataset="spatial"))
    named = plan_conversion(source, choices(dataset="libero_spatial"))
    assert dict(named.contract.provenance)["data set"] == "libero_spatial_no_noops"


def test_the_full_size_is_read_off_the_full_size_shapes(tmp_path: Path) -> None:
    """Every published key at its published shape, without any memory, gives the 7.5-billion preset."""
    small = look_at(oft_folder(tmp_path / "src"))
    model = model_shapes(FULL)
    text_config = {"model_type": "llama", "vocab_size": 32064}  # sizes are omitted, as published
    full = dataclasses.replace(
        small,
        files={Path("model.safetensors"): model},
        config=dict(small.config) | {"text_config": text_config},
    )
    base = base_config(full, cameras=2, chunk_length=8, crop_area=0.9)
    assert base == dataclasses.replace(OPENVLA_OFT_7B, head="tokens", proprio_size=0)
    assert specialise(base, small).proprio_size == 8
    published = model | {f"action_head.{key}": shape for key, shape in head_shapes(FULL).items()}
    published |= proprio_shapes(FULL, prefix="proprio_projector.")
    own = OftPolicy.on_meta(OPENVLA_OFT_7B).state_dict()
    assert {key: tuple(tensor.shape) for key, tensor in own.items()} == published
    filmed = OftPolicy.on_meta(dataclasses.replace(OPENVLA_OFT_7B, film=True)).vision_backbone.state_dict()
    merged = {
        key.replace(".base_layer.", ".").removeprefix("vision_backbone."): shape
        for key, shape in film_shapes(FULL, rank=32).items()
        if ".lora_" not in key
    }
    assert {key: tuple(tensor.shape) for key, tensor in filmed.items()} == merged
