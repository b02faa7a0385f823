"""Published folders with random numbers, to try a conversion without a download.

python -m policy_server.convert.look_alike openvla-oft FOLDER
"""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import tyro
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, models, normalizers
from torch import Tensor

from policy_server.convert.published_shapes import (
    SMALL,
    Sizes,
    head_shapes,
    model_shapes,
    proprio_shapes,
    value_shapes,
)
from policy_server.weights import Shape


def fill(
    shapes: Mapping[str, Shape], *, seed: int, dtype: torch.dtype = torch.bfloat16
) -> Iterator[tuple[str, Tensor]]:
    """Random numbers of a size that keeps activations alive: ones for scales, little for biases."""
    generator = torch.Generator().manual_seed(seed)
    for key, shape in shapes.items():
        noise = torch.randn(shape, generator=generator)
        if len(shape) == 1:
            made = 0.02 * noise if key.endswith(".bias") else 1.0 + 0.1 * noise
        else:
            made = noise / math.sqrt(math.prod(shape[1:]))
        yield key, made.to(dtype)


def write_folder(
    path: Path,
    sizes: Sizes = SMALL,
    *,
    seed: int = 0,
    also: Mapping[str, Shape] | None = None,
    config: Mapping[str, Any] | None = None,
    statistics: Mapping[str, Any] | None = None,
    shards: int = 2,
) -> Path:
    """Write a folder as Hugging Face holds it; `also` are further keys of the model itself."""
    path.mkdir(parents=True)
    shapes = model_shapes(sizes) | dict(also or {})
    names = [f"model-{i + 1:05d}-of-{shards:05d}.safetensors" for i in range(shards)]
    weight_map = {key: names[i * shards // len(shapes)] for i, key in enumerate(shapes)}
    for number, name in enumerate(names):
        part = {key: shape for key, shape in shapes.items() if weight_map[key] == name}
        save_file(dict(fill(part, seed=seed + number)), path / name)
    text_config = {"model_type": "llama", "vocab_size": sizes.vocabulary, "num_attention_heads": sizes.heads}
    pixels = (
        ([0.484375, 0.455078125, 0.40625], [0.228515625, 0.2236328125, 0.224609375]),
        ([0.5] * 3, [0.5] * 3),
    )
    documents: dict[str, Any] = {
        "model.safetensors.index.json": {"weight_map": weight_map},
        "config.json": {
            "model_type": "openvla",
            "timm_model_ids": ["vit_large_patch14_reg4_dinov2.lvd142m", "vit_so400m_patch14_siglip_224"],
            "text_config": text_config,
            "pad_token_id": 32000,
            "pad_to_multiple_of": 64,
            "n_action_bins": 256,
            **(config or {}),
        },
        "preprocessor_config.json": {
            "tvf_normalize_params": [{"mean": mean, "std": std, "inplace": False} for mean, std in pixels]
        },
    }
    if statistics is not None:
        documents["dataset_statistics.json"] = statistics
    for name, document in documents.items():
        (path / name).write_text(json.dumps(document))
    write_tokenizer(path)
    return path


def add_side_files(
    path: Path, *, seed: int = 10, prefix: str = "module.", **files: Mapping[str, Shape]
) -> Path:
    """Torch pickles beside the model, with the prefix that data-parallel training leaves."""
    for number, (name, shapes) in enumerate(files.items()):
        tensors = {prefix + key: tensor for key, tensor in fill(shapes, seed=seed + number)}
        torch.save(tensors, path / f"{name}--150000_checkpoint.pt")
    return path


def write_tokenizer(path: Path) -> None:
    """A Llama-2 look-alike: the same special ids, bytes, and single letters."""
    vocabulary = {"<unk>": 0, "<s>": 1, "</s>": 2, "▁": 29871}
    vocabulary |= {f"<0x{byte:02X}>": 3 + byte for byte in range(256)}
    vocabulary |= {letter: 300 + i for i, letter in enumerate("abcdefghijklmnopqrstuvwxyzIWO?:")}
    made = Tokenizer(models.BPE(vocabulary, [], byte_fallback=True, unk_token="<unk>"))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.add_special_tokens([AddedToken(token, special=True) for token in ("<unk>", "<s>", "</s>")])
    made.save(str(path / "tokenizer.json"))


def look_alike_statistics(*names: str, scale: float = 1.0) -> dict[str, Any]:
    """In LIBERO's units; for data sets in metres give a scale."""
    action = {
        "q01": [*(scale * value for value in (-0.7, -0.6, -0.9, -0.1, -0.2, -0.3)), 0.0],
        "q99": [*(scale * value for value in (0.9, 0.8, 0.9, 0.1, 0.2, 0.3)), 1.0],
        "min": [-scale] * 6 + [0.0],
        "max": [scale] * 6 + [1.0],
        "mask": [True] * 6 + [False],
    }
    proprio = {
        "q01": [-0.4, -0.3, 0.9, 2.8, -0.3, -0.3, 0.0, -0.04],
        "q99": [0.2, 0.3, 1.4, 3.5, 0.3, 0.3, 0.04, 0.0],
    }
    return {name: {"action": action, "proprio": proprio, "num_transitions": 5} for name in names}


def oft_folder(path: Path, sizes: Sizes = SMALL, *, shards: int = 2) -> Path:
    """As moojink/openvla-oft publishes: a merged model, its adapter beside it, two side files."""
    write_folder(path, sizes, statistics=look_alike_statistics("libero_spatial_no_noops"), shards=shards)
    (path / "lora_adapter").mkdir()
    (path / "lora_adapter" / "adapter_config.json").write_text("{}")
    return add_side_files(path, action_head=head_shapes(sizes), proprio_projector=proprio_shapes(sizes))


def simplevla_folder(path: Path, sizes: Sizes = SMALL) -> Path:
    return write_folder(
        path,
        sizes,
        also=proprio_shapes(sizes, prefix="proprio_projector."),
        config={"use_proprio": True, "proprio_dim": 8},
        statistics=look_alike_statistics("libero_10_no_noops"),
    )


def rlinf_folder(path: Path, sizes: Sizes = SMALL) -> Path:
    return write_folder(
        path,
        sizes,
        also=value_shapes(sizes, outputs=8),
        config={"add_value_head": True},
        statistics=look_alike_statistics("bridge_orig", scale=0.05),
    )


def openvla_folder(path: Path, sizes: Sizes = SMALL) -> Path:
    statistics = look_alike_statistics("bridge_orig", "fractal", scale=0.05)
    write_folder(path, sizes, config={"norm_stats": statistics})
    (path / "modeling_prismatic.py").write_text("class OpenVLAForActionPrediction: ...\n")
    return path


def main(
    layout: Annotated[Literal["openvla", "openvla-oft", "simplevla-rl", "rlinf"], tyro.conf.Positional],
    folder: Annotated[Path, tyro.conf.Positional],
) -> None:
    """Write a small published folder of one layout with random numbers."""
    match layout:
        case "openvla":
            openvla_folder(folder)
        case "openvla-oft":
            oft_folder(folder)
        case "simplevla-rl":
            simplevla_folder(folder)
        case "rlinf":
            rlinf_folder(folder)


if __name__ == "__main__":
    tyro.cli(main)
