"""Published folders of every layout become checkpoints that answer; wrong ones get one sentence.

The folders are made here, with the full published key set at small widths, and know nothing of the converter.
"""

import dataclasses
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, models, normalizers
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
from policy_server.convert.openvla_oft import specialise
from policy_server.convert.published_folder import PublishedFolder, look_at
from policy_server.convert.robots import robot_preset
from policy_server.golden_making import SMALL_MODEL_BYTES
from policy_server.model.policy import build_policy
from policy_server.model.presets import OPENVLA_OFT_7B
from robot_contract.errors import ContractError

D, V1, V2, WIDE = 16, 32, 48, 24  # language, DINO, SigLIP and MLP widths
PATCHES, VOCABULARY = 4, 32064
METRES = 0.05
Tensors = dict[str, Tensor]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Small matrices on a busy machine: threads would wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def linear(generator: torch.Generator, name: str, inputs: int, outputs: int, *, bias: bool = True) -> Tensors:
    made = {f"{name}.weight": torch.randn(outputs, inputs, generator=generator) * inputs**-0.5}
    return made | ({f"{name}.bias": torch.randn(outputs, generator=generator) * 0.02} if bias else {})


def norm(name: str, width: int) -> Tensors:
    return {f"{name}.weight": torch.ones(width), f"{name}.bias": torch.zeros(width)}


def tower(g: torch.Generator, prefix: str, width: int, *, dino: bool, depth: int = 3) -> Tensors:
    made = {f"{prefix}pos_embed": torch.randn(1, PATCHES, width, generator=g) * 0.02}
    made[f"{prefix}patch_embed.proj.weight"] = torch.randn(width, 3, 14, 14, generator=g) * 0.04
    made[f"{prefix}patch_embed.proj.bias"] = torch.zeros(width)
    if dino:
        made[f"{prefix}cls_token"] = torch.randn(1, 1, width, generator=g) * 0.02
        made[f"{prefix}reg_token"] = torch.randn(1, 4, width, generator=g) * 0.02
    else:
        pool = f"{prefix}attn_pool."
        made[f"{pool}latent"] = torch.zeros(1, 1, width)
        made |= linear(g, f"{pool}q", width, width) | linear(g, f"{pool}kv", width, 2 * width)
        made |= linear(g, f"{pool}proj", width, width) | norm(f"{pool}norm", width)
        made |= linear(g, f"{pool}mlp.fc1", width, WIDE) | linear(g, f"{pool}mlp.fc2", WIDE, width)
    made |= norm(f"{prefix}norm", width)
    for i in range(depth):
        block = f"{prefix}blocks.{i}."
        made |= norm(f"{block}norm1", width) | norm(f"{block}norm2", width)
        made |= linear(g, f"{block}attn.qkv", width, 3 * width) | linear(g, f"{block}attn.proj", width, width)
        made |= linear(g, f"{block}mlp.fc1", width, WIDE) | linear(g, f"{block}mlp.fc2", WIDE, width)
        if dino:
            made |= {f"{block}ls{j}.scale_factor": torch.full((width,), 0.3) for j in (1, 2)}
    return made


def model_tensors(seed: int = 0, *, layers: int = 2) -> Tensors:
    """Every key of `OpenVLAForActionPrediction`, as the Hugging Face folders name them."""
    g = torch.Generator().manual_seed(seed)
    made = tower(g, "vision_backbone.featurizer.", V1, dino=True)
    made |= tower(g, "vision_backbone.fused_featurizer.", V2, dino=False)
    made |= linear(g, "projector.fc1", V1 + V2, WIDE) | linear(g, "projector.fc2", WIDE, D)
    made |= linear(g, "projector.fc3", D, D)
    made["language_model.model.embed_tokens.weight"] = torch.randn(VOCABULARY, D, generator=g) * 0.1
    for i in range(layers):
        layer = f"language_model.model.layers.{i}."
        for name in "qkvo":
            made |= linear(g, f"{layer}self_attn.{name}_proj", D, D, bias=False)
        for name in ("gate", "up"):
            made |= linear(g, f"{layer}mlp.{name}_proj", D, WIDE, bias=False)
        made |= linear(g, f"{layer}mlp.down_proj", WIDE, D, bias=False)
        made[f"{layer}input_layernorm.weight"] = torch.ones(D)
        made[f"{layer}post_attention_layernorm.weight"] = torch.ones(D)
    made["language_model.model.norm.weight"] = torch.ones(D)
    return made | linear(g, "language_model.lm_head", D, VOCABULARY, bias=False)


def head_tensors(seed: int = 1, actions: int = 7) -> Tensors:
    g = torch.Generator().manual_seed(seed)
    made = norm("model.layer_norm1", 7 * D) | linear(g, "model.fc1", 7 * D, D)
    for i in (0, 1):
        block = f"model.mlp_resnet_blocks.{i}.ffn"
        made |= norm(f"{block}.0", D) | linear(g, f"{block}.1", D, D)
    return made | norm("model.layer_norm2", D) | linear(g, "model.fc2", D, actions)


def proprio_tensors(prefix: str = "") -> Tensors:
    g = torch.Generator().manual_seed(2)
    return linear(g, f"{prefix}fc1", 8, D) | linear(g, f"{prefix}fc2", D, D)


def value_tensors(outputs: int) -> Tensors:
    g = torch.Generator().manual_seed(3)
    made = linear(g, "value_head.mlp.0", D, 12) | linear(g, "value_head.mlp.2", 12, 6)
    return made | linear(g, "value_head.mlp.4", 6, outputs, bias=False)


def write_tokenizer(path: Path) -> None:
    """A Llama-2 look-alike: the same special ids, bytes, and single letters."""
    vocabulary = {"<unk>": 0, "<s>": 1, "</s>": 2, "▁": 29871}
    vocabulary |= {f"<0x{byte:02X}>": 3 + byte for byte in range(256)}
    vocabulary |= {letter: 300 + i for i, letter in enumerate("abcdefghijklmnopqrstuvwxyzIWO?:")}
    made = Tokenizer(models.BPE(vocabulary, [], byte_fallback=True, unk_token="<unk>"))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.add_special_tokens([AddedToken(token, special=True) for token in ("<unk>", "<s>", "</s>")])
    made.save(str(path / "tokenizer.json"))


def statistics(names: tuple[str, ...] = ("libero_spatial_no_noops",), scale: float = 1.0) -> dict[str, Any]:
    """In LIBERO's units; BridgeData's are metres, hence the scale."""
    action = {
        "q01": [*(scale * value for value in (-0.7, -0.6, -0.9, -0.1, -0.2, -0.3)), 0.0],
        "q99": [*(scale * value for value in (0.9, 0.8, 0.9, 0.1, 0.2, 0.3)), 1.0],
        "min": [-1.0] * 6 + [0.0],
        "max": [1.0] * 7,
        "mask": [True] * 6 + [False],
    }
    proprio = {
        "q01": [-0.4, -0.3, 0.9, 2.8, -0.3, -0.3, 0.0, -0.04],
        "q99": [0.2, 0.3, 1.4, 3.5, 0.3, 0.3, 0.04, 0.0],
    }
    return {name: {"action": action, "proprio": proprio, "num_transitions": 5} for name in names}


def write_folder(path: Path, tensors: Tensors, *, own_statistics: bool = True, **config: Any) -> Path:
    path.mkdir(parents=True)
    stored = {key: tensor.to(torch.bfloat16) for key, tensor in tensors.items()}
    keys = list(stored)
    shards = [keys[: len(keys) // 2], keys[len(keys) // 2 :]]
    names = [f"model-{i + 1:05d}-of-00002.safetensors" for i in range(2)]
    for name, shard in zip(names, shards):
        save_file({key: stored[key] for key in shard}, path / name)
    weight_map = {key: name for name, shard in zip(names, shards) for key in shard}
    (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    document = {
        "model_type": "openvla",
        "timm_model_ids": ["vit_large_patch14_reg4_dinov2.lvd142m", "vit_so400m_patch14_siglip_224"],
        "text_config": {"model_type": "llama", "num_attention_heads": 4, "vocab_size": VOCABULARY},
        "pad_token_id": 32000,
        "pad_to_multiple_of": 64,
        "n_action_bins": 256,
        "norm_stats": {} if own_statistics else statistics(("bridge_orig", "fractal"), METRES),
    }
    (path / "config.json").write_text(json.dumps(document | config))
    means = [[0.484375, 0.455078125, 0.40625], [0.5] * 3]
    stds = [[0.228515625, 0.2236328125, 0.224609375], [0.5] * 3]
    pixels = [{"mean": mean, "std": std, "inplace": False} for mean, std in zip(means, stds)]
    (path / "preprocessor_config.json").write_text(json.dumps({"tvf_normalize_params": pixels}))
    if own_statistics:
        (path / "dataset_statistics.json").write_text(json.dumps(statistics()))
    write_tokenizer(path)
    return path


def add_side_files(path: Path, *, wrapped: bool = True, **files: Tensors) -> Path:
    for name, tensors in files.items():
        prefix = "module." if wrapped else ""
        torch.save(
            {prefix + key: tensor for key, tensor in tensors.items()}, path / f"{name}--150000_checkpoint.pt"
        )
    return path


def oft_folder(path: Path) -> Path:
    write_folder(path, model_tensors())
    (path / "lora_adapter").mkdir()
    (path / "lora_adapter" / "adapter_config.json").write_text("{}")  # merged already: never looked into
    return add_side_files(path, action_head=head_tensors(), proprio_projector=proprio_tensors())


def simplevla_folder(path: Path) -> Path:
    return write_folder(
        path, model_tensors() | proprio_tensors("proprio_projector."), use_proprio=True, proprio_dim=8
    )


def rlinf_folder(path: Path) -> Path:
    folder = write_folder(path, model_tensors() | value_tensors(outputs=8), add_value_head=True)
    (folder / "dataset_statistics.json").write_text(json.dumps(statistics(("bridge",), METRES)))
    return folder


def openvla_folder(path: Path) -> Path:
    folder = write_folder(path, model_tensors(), own_statistics=False)
    (folder / "modeling_prismatic.py").write_text("class OpenVLAForActionPrediction: ...")
    return folder


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


@pytest.mark.parametrize("layout", FOLDERS)
def test_each_layout_is_recognised_and_named(layout: LayoutName, tmp_path: Path) -> None:
    name, because = recognise(look_at(FOLDERS[layout](tmp_path / "src")))
    assert name == layout
    assert because


@pytest.mark.parametrize("layout", FOLDERS)
def test_each_layout_becomes_a_checkpoint_that_answers(layout: LayoutName, tmp_path: Path) -> None:
    source = FOLDERS[layout](tmp_path / "src")
    conversion = plan_conversion(source, CHOICES[layout])
    checkpoint = run_conversion(conversion, tmp_path / "dst")
    reopened = open_checkpoint(tmp_path / "dst")
    assert reopened.contract.policy_digest == checkpoint.contract.policy_digest
    for dtype in (torch.bfloat16, torch.float32):
        actions = reopened.load_eager(dtype=dtype).predict(reopened.golden.observation)
        complaint = reopened.golden.complaint(actions, device="cpu", dtype=str(dtype).removeprefix("torch."))
        assert complaint is None
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


def converted(folder: Path, chosen: Choices) -> Tensors:
    return dict(converted_tensors(plan_conversion(folder, chosen)))


def test_every_number_arrives_under_its_key(tmp_path: Path) -> None:
    found = converted(oft_folder(tmp_path / "src"), choices())
    expected = {key: tensor.to(torch.bfloat16) for key, tensor in model_tensors().items()}
    expected |= {f"action_head.{key}": tensor for key, tensor in head_tensors().items()}
    expected |= {f"proprio_projector.{key}": tensor for key, tensor in proprio_tensors().items()}
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], tensor) for key, tensor in expected.items())


def test_side_files_without_the_data_parallel_prefix_read_the_same(tmp_path: Path) -> None:
    plain = write_folder(tmp_path / "plain", model_tensors())
    add_side_files(plain, wrapped=False, action_head=head_tensors(), proprio_projector=proprio_tensors())
    one, other = (
        converted(plain, choices()),
        converted(oft_folder(tmp_path / "wrapped"), choices()),
    )
    assert all(torch.equal(one[key], other[key]) for key in other)


def test_torch_shards_read_like_safetensors(tmp_path: Path) -> None:
    source = oft_folder(tmp_path / "src")
    expected = converted(source, choices())
    tensors = {key: tensor for key, tensor in expected.items() if not key.startswith(("action", "proprio"))}
    for file in source.glob("model*.safetensors*"):
        file.unlink()
    torch.save(tensors, source / "pytorch_model.bin")
    found = converted(source, choices())
    assert all(torch.equal(found[key], tensor) for key, tensor in expected.items())


def film_tensors(rank: int) -> Tensors:
    """A FiLM side file as upstream saves it: LoRA layers inside, not merged."""
    g = torch.Generator().manual_seed(4)
    made: Tensors = {}
    for prefix, width, dino in (("featurizer.", V1, True), ("fused_featurizer.", V2, False)):
        for key, tensor in tower(g, prefix, width, dino=dino).items():
            name = key.replace(".", ".", 1)
            if ".blocks." in key:
                head, _, rest = key.partition(".blocks.")
                number, _, inner = rest.partition(".")
                name = f"{head}.blocks.{number}.block.{inner}"
            layer, _, kind = name.rpartition(".")
            if any(layer.endswith(part) for part in ("qkv", "attn.proj", "fc1", "fc2", "attn_pool.q")):
                made[f"vision_backbone.{layer}.base_layer.{kind}"] = tensor
                if kind == "weight":
                    for half, shape in (("A", (rank, tensor.shape[1])), ("B", (tensor.shape[0], rank))):
                        made[f"vision_backbone.{layer}.lora_{half}.default.weight"] = (
                            torch.randn(shape, generator=g) * 0.1
                        )
            else:
                made[f"vision_backbone.{name}"] = tensor
        for i in range(3):
            for part in ("scale", "shift"):
                made |= linear(g, f"vision_backbone.{prefix}blocks.{i}.{part}", D, width)
    return made


@pytest.mark.parametrize("rank", [4, 32])
def test_film_towers_replace_the_models_with_their_lora_merged(rank: int, tmp_path: Path) -> None:
    film = film_tensors(rank)
    source = add_side_files(oft_folder(tmp_path / "src"), vision_backbone=film)
    conversion = plan_conversion(source, choices())
    assert conversion.config.film
    found = dict(converted_tensors(conversion))
    layer = "vision_backbone.featurizer.blocks.1.block.attn.qkv"
    a, b = (film[f"{layer}.lora_{half}.default.weight"] for half in "AB")
    merged = film[f"{layer}.base_layer.weight"] + min(rank, 16) / rank * (b @ a)
    torch.testing.assert_close(found[f"{layer}.weight"], merged)
    assert torch.equal(found[f"{layer}.bias"], film[f"{layer}.base_layer.bias"])
    assert not [key for key in found if "lora" in key or "base_layer" in key]
    checkpoint = run_conversion(conversion, tmp_path / "dst")
    assert checkpoint.load_eager().predict(checkpoint.golden.observation).shape == (8, 7)


def write_adapter(path: Path, layers: dict[str, tuple[int, int]], **config: Any) -> Tensors:
    g = torch.Generator().manual_seed(5)
    adapter: Tensors = {}
    for layer, (outputs, inputs) in layers.items():
        adapter[f"base_model.model.{layer}.lora_A.weight"] = torch.randn(4, inputs, generator=g)
        adapter[f"base_model.model.{layer}.lora_B.weight"] = torch.randn(outputs, 4, generator=g)
    path.mkdir(parents=True, exist_ok=True)
    save_file(adapter, path / "adapter_model.safetensors")
    (path / "adapter_config.json").write_text(json.dumps({"r": 4, "lora_alpha": 8} | config))
    return adapter


LAYER = "language_model.model.layers.1.mlp.down_proj"


def adapter_folder(tmp_path: Path, **config: Any) -> tuple[Path, Path, Tensors]:
    base = rlinf_folder(tmp_path / "base")
    adapter = write_adapter(tmp_path / "src", {LAYER: (D, WIDE)}, **config)
    shutil.copy(base / "dataset_statistics.json", tmp_path / "src")
    return base, tmp_path / "src", adapter


def test_an_adapter_alone_is_merged_into_its_base(tmp_path: Path) -> None:
    base, source, adapter = adapter_folder(tmp_path)
    found = converted(source, choices("maniskill-put-on", ("external",), base=base))
    weight = model_tensors()[f"{LAYER}.weight"].to(torch.bfloat16)
    a, b = (adapter[f"base_model.model.{LAYER}.lora_{half}.weight"] for half in "AB")
    assert torch.equal(found[f"{LAYER}.weight"], (weight.float() + 2.0 * (b @ a)).to(torch.bfloat16))
    other = "language_model.model.layers.0.mlp.down_proj.weight"
    assert torch.equal(found[other], model_tensors()[other].to(torch.bfloat16))


def test_rank_stabilised_adapters_have_their_own_scale(tmp_path: Path) -> None:
    base, source, adapter = adapter_folder(tmp_path, use_rslora=True)
    found = converted(source, choices("maniskill-put-on", ("external",), base=base))
    weight = model_tensors()[f"{LAYER}.weight"].to(torch.bfloat16)
    a, b = (adapter[f"base_model.model.{LAYER}.lora_{half}.weight"] for half in "AB")
    assert torch.equal(found[f"{LAYER}.weight"], (weight.float() + 4.0 * (b @ a)).to(torch.bfloat16))


def test_an_adapter_beside_a_whole_model_is_merged_already_and_left_alone(tmp_path: Path) -> None:
    conversion = plan_conversion(oft_folder(tmp_path / "src"), choices())
    assert conversion.adapter_to_merge is None
    assert conversion.remarks == (
        "lora_adapter: taken as merged already, since the folder holds a whole model too",
    )


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
    main(
        [
            str(source),
            str(destination),
            "--robot",
            "libero",
            "--cameras",
            "external",
            "wrist",
            "--dtype",
            "fp32",
        ]
    )
    said = capsys.readouterr().out
    assert "layout    openvla-oft (side files action_head--150000_checkpoint.pt" in said
    opened = open_checkpoint(destination)
    assert opened.contract.policy_digest in said
    assert opened.contract.name == "put-on"
    assert {tensor.dtype for tensor in opened.load_policy().state_dict().values()} == {torch.float32}


def test_the_command_ends_in_one_sentence_when_it_cannot(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"^policy-server: .*expected a folder, found nothing$"):
        main([str(tmp_path / "no"), str(tmp_path / "dst"), "--robot", "libero", "--cameras", "external"])


class Mischief:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("mischief-was-done"),))


def rewrite(name: str, **changes: Any) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        document = json.loads((path / name).read_text())
        (path / name).write_text(json.dumps(document | changes))

    return damage


def side_file(name: str, content: object) -> Callable[[Path], None]:
    return lambda path: torch.save(content, path / f"{name}--150000_checkpoint.pt")


def cut(pattern: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        (file,) = path.glob(pattern)
        file.write_bytes(file.read_bytes()[:-100])

    return damage


def drop_tensor(path: Path) -> None:
    file = path / "model-00002-of-00002.safetensors"
    tensors = {key: tensor for key, tensor in model_tensors().items() if "layers.1.mlp.up_proj" not in key}
    keys = list(model_tensors())
    save_file({key: tensors[key] for key in keys[len(keys) // 2 :] if key in tensors}, file)


NO_PROPRIO_STATISTICS = {"libero": {"action": statistics()["libero_spatial_no_noops"]["action"]}}


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (cut("model-00001*"), r"model-00001-of-00002\.safetensors: expected \d+ bytes .* it is truncated"),
        (cut("action_head*"), r"action_head--150000_checkpoint\.pt: expected a whole torch file"),
        (side_file("action_head", Mischief()), "expected tensors only, found other objects"),
        (side_file("action_head", [1]), "expected tensors by name, found list"),
        (side_file("action_head", {"model": 3}), "model: expected a tensor, found int"),
        (
            side_file("action_head", {"noise_predictor.x": torch.zeros(1)}),
            "a diffusion head; accepted are L1",
        ),
        (side_file("noisy_action_projector", {}), "a diffusion head; accepted are L1"),
        (
            side_file("action_head", head_tensors(actions=14)),
            "width of an action: expected 14 by model.json, found 7",
        ),
        (
            side_file("action_head", head_tensors() | {"model.layer_norm2.bias": torch.zeros(9)}),
            r"action_head\.model\.layer_norm2\.bias: expected shape \(16,\), found \(9,\)",
        ),
        (
            side_file("proprio_projector", {"fc1.weight": torch.zeros(D, 14)}),
            "width of proprioception: expected 14 by model.json, found 8",
        ),
        (side_file("proprio_projector", {"fc2.weight": torch.zeros(1)}), "fc1.weight: expected a matrix"),
        (
            drop_tensor,
            r"layers\.1\.mlp\.up_proj\.weight: expected shape \(24, 16\), found no such key",
        ),
        (
            lambda p: (p / "model-00002-of-00002.safetensors").unlink(),
            "model-00002-of-00002.safetensors: this file",
        ),
        (lambda p: [f.unlink() for f in p.glob("model*")], "holds a LoRA adapter alone; give .* --base"),
        (
            lambda p: shutil.copy(next(p.glob("action_head*")), p / "action_head--9.pt"),
            "expected one step of action_head",
        ),
        (rewrite("config.json", model_type="llama"), "model_type: expected openvla, found 'llama'"),
        (rewrite("config.json", timm_model_ids=["vit_tiny", "x"]), "timm_model_ids: 'vit_tiny' is unknown"),
        (
            rewrite("preprocessor_config.json", tvf_normalize_params=[]),
            "expected as many tvf_normalize_params",
        ),
        (
            rewrite("preprocessor_config.json", tvf_normalize_params=[{"mean": [1], "std": [1]}] * 2),
            "tvf_normalize_params: mean: expected three numbers",
        ),
        (rewrite("dataset_statistics.json", **statistics(("another",))), "say which with --dataset"),
        (
            rewrite("dataset_statistics.json", libero_spatial_no_noops={"action": {}}),
            "action.q01: expected 7 numbers",
        ),
        (
            lambda p: (p / "dataset_statistics.json").write_text(json.dumps(NO_PROPRIO_STATISTICS)),
            "libero: proprio: expected an object",
        ),
        (lambda p: (p / "tokenizer.json").unlink(), r"tokenizer\.json: this file is missing"),
        (lambda p: (p / "config.json").write_text("{"), r"config\.json:1: not valid JSON"),
    ],
)
def test_each_wrong_folder_gets_one_sentence_and_leaves_nothing(
    damage: Callable[[Path], object], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = oft_folder(tmp_path / "src")
    damage(source)
    with pytest.raises(ContractError, match=sentence) as refusal:
        run_conversion(plan_conversion(source, choices()), tmp_path / "dst")
    assert "\n" not in str(refusal.value)
    assert [path.name for path in tmp_path.iterdir()] == ["src"]


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"use_dora": True}, "use_dora: expected plain LoRA"),
        ({"rank_pattern": {"x": 2}}, "rank_pattern: expected one rank"),
        ({"r": 0}, "r, lora_alpha: expected numbers"),
    ],
)
def test_an_adapter_of_another_kind_is_refused(config: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    base, source, _ = adapter_folder(tmp_path, **config)
    with pytest.raises(ContractError, match=sentence):
        converted(source, choices("maniskill-put-on", ("external",), base=base))


@pytest.mark.parametrize(
    ("layer", "shape", "sentence"),
    [
        (
            "language_model.model.layers.9.mlp.up_proj",
            (D, D),
            "adapts .*layers.9.*, which the model does not have",
        ),
        (LAYER, (D, D), r"expected adapters for shape \(16, 24\), found A \(4, 16\) and B \(16, 4\)"),
    ],
)
def test_an_adapter_of_another_model_is_refused(
    layer: str, shape: tuple[int, int], sentence: str, tmp_path: Path
) -> None:
    base, source, _ = adapter_folder(tmp_path)
    write_adapter(source, {layer: shape})
    with pytest.raises(ContractError, match=sentence):
        converted(source, choices("maniskill-put-on", ("external",), base=base))


def test_a_folder_that_could_be_several_layouts_is_not_guessed(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "src", model_tensors())
    with pytest.raises(ContractError, match="found signs of none; say which with --layout"):
        recognise(look_at(source))
    both = write_folder(tmp_path / "both", model_tensors(), use_proprio=False, add_value_head=True)
    with pytest.raises(ContractError, match=r"found simplevla-rl \(.*\); rlinf \(.*\); say which"):
        recognise(look_at(both))
    chosen = plan_conversion(source, choices(cameras=("external",), layout="rlinf"))
    assert (chosen.layout, chosen.config.sequence) == ("rlinf", "rlinf")


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
    assert plan_conversion(source, choices(dataset="libero_spatial")).contract.name == "converted"


def test_the_full_size_is_read_off_the_full_size_shapes(tmp_path: Path) -> None:
    """Every published key at its published shape, without any memory, gives the 7.5-billion preset."""
    source = oft_folder(tmp_path / "src")
    folder = look_at(source)
    with torch.device("meta"):
        from policy_server.model.policy import OftPolicy

        full = {key: tuple(t.shape) for key, t in OftPolicy(OPENVLA_OFT_7B).state_dict().items()}
    model = {k: v for k, v in full.items() if not k.startswith(("action_head.", "proprio_projector."))}
    config_json = dict(folder.config) | {"text_config": {"model_type": "llama", "vocab_size": 32064}}
    big: PublishedFolder = dataclasses.replace(
        folder, files={Path("model.safetensors"): model}, config=config_json
    )
    base = base_config(big, cameras=2, chunk_length=8, crop_area=0.9)
    expected = dataclasses.replace(OPENVLA_OFT_7B, head="tokens", proprio_size=0)
    assert base == expected
    head = {k.removeprefix("action_head."): v for k, v in full.items() if k.startswith("action_head.")}
    assert head.keys() == head_tensors().keys()
    assert specialise(base, folder).proprio_size == 8


MEASURE = """
import sys
from pathlib import Path
import torch
from policy_server.convert.conversion import Choices, plan_conversion, run_conversion
from policy_server.convert.robots import robot_preset

torch.set_num_threads(1)

def resident(name):
    return next(int(l.split()[1]) * 1024 for l in open("/proc/self/status") if l.startswith(name))

choices = Choices(name="x", robot=robot_preset("libero"), robot_name="libero", cameras=("external", "wrist"))
conversion = plan_conversion(Path(sys.argv[1]), choices)
Path("/proc/self/clear_refs").write_text("5")  # start the peak anew
before = resident("VmRSS:")
run_conversion(conversion, Path(sys.argv[2]), shard_bytes=int(sys.argv[3]))
print(resident("VmHWM:") - before)
"""


def test_converting_needs_little_more_memory_than_the_model(tmp_path: Path) -> None:
    config = dataclasses.replace(
        OPENVLA_OFT_7B,
        image_size=28,
        towers=tuple(
            dataclasses.replace(tower, width=64, depth=3, live_blocks=2, mlp_width=64)
            for tower in OPENVLA_OFT_7B.towers
        ),
        projector_width=384,
        language=dataclasses.replace(
            OPENVLA_OFT_7B.language, hidden_size=384, layers=4, heads=4, mlp_width=1024
        ),
        head_width=384,
    )
    tensors = build_policy(config, seed=0).state_dict()
    side: dict[str, Tensors] = {"action_head": {}, "proprio_projector": {}}
    for key in list(tensors):
        name, _, rest = key.partition(".")
        if name in side:
            side[name][rest] = tensors.pop(key).to(torch.bfloat16)
    source = add_side_files(write_folder(tmp_path / "src", tensors), **side)
    size = sum(file.stat().st_size for file in source.iterdir())
    assert size > 2 * SMALL_MODEL_BYTES
    measured = subprocess.run(
        [sys.executable, "-c", MEASURE, str(source), str(tmp_path / "dst"), str(size // 8)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert int(measured.stdout) < 1.3 * size
