"""LoRA adapters are merged once: into a base when they come alone, never twice, never into another model."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from policy_server.convert.conversion import Choices, converted_tensors, plan_conversion, run_conversion
from policy_server.convert.look_alike import oft_folder, rlinf_folder
from policy_server.convert.published_shapes import SMALL
from policy_server.convert.robots import robot_preset
from robot_contract.errors import ContractError

LAYER = "language_model.model.layers.1.mlp.down_proj"
ADAPTED = (SMALL.hidden, SMALL.mlp)


def write_adapter(path: Path, layer: str, shape: tuple[int, int], **config: Any) -> tuple[Tensor, Tensor]:
    a, b = torch.randn(4, shape[1]), torch.randn(shape[0], 4)
    names = {f"base_model.model.{layer}.lora_{half}.weight": t for half, t in (("A", a), ("B", b))}
    path.mkdir(parents=True, exist_ok=True)
    save_file(names, path / "adapter_model.safetensors")
    (path / "adapter_config.json").write_text(json.dumps({"r": 4, "lora_alpha": 8} | config))
    return a, b


def choices(base: Path | None) -> Choices:
    return Choices(
        name="converted",
        robot=robot_preset("maniskill-put-on"),
        robot_name="maniskill-put-on",
        cameras=("external",),
        base=base,
    )


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return rlinf_folder(tmp_path / "base")


def adapter_folder(
    base: Path, layer: str = LAYER, shape: tuple[int, int] = ADAPTED, **config: Any
) -> tuple[Path, Tensor, Tensor]:
    source = base.parent / "src"
    a, b = write_adapter(source, layer, shape, **config)
    shutil.copy(base / "dataset_statistics.json", source)
    return source, a, b


def weights_of(folder: Path) -> dict[str, Tensor]:
    return {key: t for file in folder.glob("model-*.safetensors") for key, t in load_file(file).items()}


@pytest.mark.parametrize(("config", "scale"), [({}, 2.0), ({"use_rslora": True}, 4.0)])
def test_an_adapter_alone_is_merged_into_its_base(base: Path, config: dict[str, Any], scale: float) -> None:
    source, a, b = adapter_folder(base, **config)
    found = dict(converted_tensors(plan_conversion(source, choices(base))))
    before = weights_of(base)
    expected = (before[f"{LAYER}.weight"].float() + scale * (b @ a)).to(torch.bfloat16)
    assert torch.equal(found[f"{LAYER}.weight"], expected)
    assert all(torch.equal(found[key], t) for key, t in before.items() if key != f"{LAYER}.weight")


def test_the_merged_model_is_saved_with_its_bases_tokenizer(base: Path, tmp_path: Path) -> None:
    source, _, _ = adapter_folder(base)
    checkpoint = run_conversion(plan_conversion(source, choices(base)), tmp_path / "dst")
    assert checkpoint.report["remarks"] == ["src: merged into the weights of base"]


def test_an_adapter_beside_a_whole_model_is_merged_already_and_left_alone(tmp_path: Path) -> None:
    source = oft_folder(tmp_path / "src")
    chosen = Choices(
        name="converted",
        robot=robot_preset("libero"),
        robot_name="libero",
        cameras=("external", "wrist"),
    )
    conversion = plan_conversion(source, chosen)
    assert conversion.adapter_to_merge is None
    assert conversion.remarks == (
        "lora_adapter: taken as merged already, since the folder holds a whole model too",
    )


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"use_dora": True}, "use_dora: expected plain LoRA"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save: expected plain LoRA"),
        ({"rank_pattern": {"x": 2}}, "rank_pattern: expected one rank"),
        ({"r": 0}, "r, lora_alpha: expected numbers"),
    ],
)
def test_an_adapter_of_another_kind_is_refused(base: Path, config: dict[str, Any], sentence: str) -> None:
    source, _, _ = adapter_folder(base, **config)
    with pytest.raises(ContractError, match=sentence):
        list(converted_tensors(plan_conversion(source, choices(base))))


@pytest.mark.parametrize(
    ("layer", "shape", "sentence"),
    [
        (
            "language_model.model.layers.9.mlp.up_proj",
            ADAPTED,
            r"adapts .*layers\.9.*, which the model does not have",
        ),
        (LAYER, (16, 16), r"expected adapters for shape \(16, 24\), found A \(4, 16\) and B \(16, 4\)"),
    ],
)
def test_an_adapter_of_another_model_is_refused(
    base: Path, layer: str, shape: tuple[int, int], sentence: str
) -> None:
    source, _, _ = adapter_folder(base, layer, shape)
    with pytest.raises(ContractError, match=sentence):
        list(converted_tensors(plan_conversion(source, choices(base))))
