"""A wrong, truncated or foreign published folder gets one sentence, runs nothing and leaves nothing."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from policy_server.convert.command import main
from policy_server.convert.conversion import Choices, plan_conversion, run_conversion
from policy_server.convert.look_alike import add_side_files, look_alike_statistics, oft_folder
from policy_server.convert.published_shapes import SMALL, head_shapes
from policy_server.convert.robots import robot_preset
from robot_contract.errors import ContractError

CHOICES = Choices(
    name="converted", robot=robot_preset("libero"), robot_name="libero", cameras=("external", "wrist")
)
HEAD, PROPRIO = "action_head--150000_checkpoint.pt", "proprio_projector--150000_checkpoint.pt"
SHARDS = tuple(f"model-0000{i}-of-00002.safetensors" for i in (1, 2))


class Mischief:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("mischief-was-done"),))


def rewrite(name: str, **changes: Any) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        document = json.loads((path / name).read_text())
        (path / name).write_text(json.dumps(document | changes))

    return damage


def pickled(name: str, content: object) -> Callable[[Path], None]:
    return lambda path: torch.save(content, path / name)


def head(**changes: tuple[int, ...]) -> Callable[[Path], object]:
    shapes = head_shapes(SMALL) | {key.replace("__", "."): shape for key, shape in changes.items()}
    return lambda path: add_side_files(path, action_head=shapes)


def cut(name: str) -> Callable[[Path], None]:
    return lambda path: (path / name).write_bytes((path / name).read_bytes()[:-100]) and None


def without_tensor(key: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        for name in SHARDS:
            tensors = load_file(path / name)
            if tensors.pop(key, None) is not None:
                save_file(tensors, path / name)

    return damage


def only_statistics(document: dict[str, Any]) -> Callable[[Path], None]:
    return lambda path: (path / "dataset_statistics.json").write_text(json.dumps(document)) and None


ACTION_ALONE = {"libero": {"action": look_alike_statistics("x")["x"]["action"]}}
UP = "language_model.model.layers.1.mlp.up_proj.weight"


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (cut(SHARDS[0]), rf"{SHARDS[0]}: expected \d+ bytes .* it is truncated"),
        (cut(HEAD), rf"{HEAD}: expected a whole torch file"),
        (pickled(HEAD, Mischief()), "expected tensors only, found other objects"),
        (pickled(HEAD, [1]), "expected tensors by name, found list"),
        (pickled(HEAD, {"model": 3}), "model: expected a tensor, found int"),
        (pickled(HEAD, {"noise_predictor.x": torch.zeros(1)}), "a diffusion head; accepted are L1"),
        (pickled("noisy_action_projector--1.pt", {}), "a diffusion head; accepted are L1"),
        (
            head(model__fc2__weight=(14, SMALL.hidden), model__fc2__bias=(14,)),
            r"width of an action: expected 14 by model\.json, found 7",
        ),
        (
            head(model__layer_norm2__bias=(9,)),
            r"action_head\.model\.layer_norm2\.bias: expected shape \(16,\), found \(9,\)",
        ),
        (head(model__fc9__bias=(9,)), r"action_head\.model\.fc9\.bias: expected no such key"),
        (
            pickled(PROPRIO, {"fc1.weight": torch.zeros(SMALL.hidden, 14)}),
            r"width of proprioception: expected 14 by model\.json, found 8",
        ),
        (pickled(PROPRIO, {"fc2.weight": torch.zeros(1)}), r"fc1\.weight: expected a matrix"),
        (without_tensor(UP), rf"{UP}: expected shape \(24, 16\), found no such key"),
        (without_tensor("projector.fc1.weight"), r"projector\.fc1\.weight: expected in the weights"),
        (lambda p: (p / SHARDS[1]).unlink(), rf"{SHARDS[1]}: this file is missing"),
        (lambda p: [f.unlink() for f in p.glob("model*")], "holds a LoRA adapter alone; give .* --base"),
        (lambda p: shutil.copy(p / HEAD, p / "action_head--9.pt"), "expected one step of action_head"),
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
        (
            rewrite("dataset_statistics.json", **look_alike_statistics("another")),
            "say which with --dataset",
        ),
        (only_statistics({"libero": {"action": {}}}), r"action\.q01: expected 7 numbers"),
        (only_statistics(ACTION_ALONE), "libero: proprio: expected an object"),
        (only_statistics({}), "expected statistics of at least one data set"),
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
        run_conversion(plan_conversion(source, CHOICES), tmp_path / "dst")
    assert "\n" not in str(refusal.value)
    assert [path.name for path in tmp_path.iterdir()] == ["src"]


def test_the_command_ends_in_one_sentence_when_it_cannot(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"^policy-server: .*expected a folder, found nothing$"):
        main([str(tmp_path / "no"), str(tmp_path / "dst"), "--robot", "libero", "--cameras", "external"])


@pytest.mark.parametrize(
    ("option", "sentence"),
    [("--chunk-length", "chunk_length: expected at least 1, found 0"), ("--crop-area", "center_crop_area 0")],
)
def test_a_nought_is_refused_and_not_taken_for_the_default(
    option: str, sentence: str, tmp_path: Path
) -> None:
    source = oft_folder(tmp_path / "src")
    options = ["--robot", "libero", "--cameras", "external", "wrist", option, "0"]
    with pytest.raises(SystemExit, match=sentence):
        main([str(source), str(tmp_path / "dst"), *options])
    assert [path.name for path in tmp_path.iterdir()] == ["src"]


def test_converting_into_something_that_exists_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    source = oft_folder(tmp_path / "src")
    (tmp_path / "dst").mkdir()
    with pytest.raises(ContractError, match="expected a name that is free"):
        run_conversion(plan_conversion(source, CHOICES), tmp_path / "dst")
    assert list((tmp_path / "dst").iterdir()) == []
