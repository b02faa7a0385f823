"""The sizes of a published model, read off its tensors; only what no shape tells comes from its files."""

from collections.abc import Mapping
from typing import Any, cast

from policy_server.convert.published_folder import PublishedFolder
from policy_server.model.config import LanguageConfig, ModelConfig, TokenIds, TowerConfig
from policy_server.weights import Shape
from robot_contract.errors import ContractError, nearest_name

# Attention heads cannot be seen in a shape; these two towers are the only ones that were published.
_TOWER_HEADS = {
    "vit_large_patch14_reg4_dinov2.lvd142m": 16,
    "vit_so400m_patch14_siglip_224": 16,
}
_TOWER_PREFIXES = ("vision_backbone.featurizer.", "vision_backbone.fused_featurizer.")


def base_config(folder: PublishedFolder, *, cameras: int, chunk_length: int, crop_area: float) -> ModelConfig:
    """The model as OpenVLA-OFT with token head runs it, without proprioception; a layout changes the rest."""
    towers = _towers(folder)
    patch = folder.shape(_TOWER_PREFIXES[0] + "patch_embed.proj.weight")
    side = round(folder.shape(_TOWER_PREFIXES[0] + "pos_embed")[1] ** 0.5)
    projector = folder.shape("projector.fc1.weight")
    return ModelConfig(
        mode="oft",
        head="tokens",
        sequence="official",
        image_size=side * patch[2],
        center_crop_area=crop_area,
        patch_size=patch[2],
        cameras=cameras,
        towers=towers,
        film=False,
        projector_width=projector[0],
        positions_after_projector=False,
        proprio_size=0,
        language=_language(folder),
        tokens=_tokens(folder),
        chunk_length=chunk_length,
        action_size=7,
        action_rotation="rotation_vector",
        head_width=folder.shape("language_model.model.norm.weight")[0],
        head_blocks=2,
        log_scale_range=(-5.0, 0.0),
        value="none",
        value_widths=(512, 128),
        value_detached=False,
        heat_maps=0,
        position_targets=0,
    )


def _towers(folder: PublishedFolder) -> tuple[TowerConfig, ...]:
    names = folder.config.get("timm_model_ids")
    pixels = folder.preprocessor.get("tvf_normalize_params")
    if not isinstance(names, list) or not isinstance(pixels, list) or len(names) != len(pixels):
        raise ContractError(
            f"{folder.path}: expected as many tvf_normalize_params in preprocessor_config.json as "
            f"timm_model_ids in config.json, found {pixels!r} for {names!r}"
        )
    return tuple(
        _tower(folder, prefix, str(name), cast(dict[str, Any], pixel))
        for prefix, name, pixel in zip(_TOWER_PREFIXES, names, pixels)
    )


def _tower(folder: PublishedFolder, prefix: str, name: str, pixels: Mapping[str, Any]) -> TowerConfig:
    if name not in _TOWER_HEADS:
        raise ContractError(
            f"{folder.path / 'config.json'}: timm_model_ids: {name!r} is unknown; "
            f"{nearest_name(name, _TOWER_HEADS)}"
        )
    shapes = {
        key.removeprefix(prefix): shape for key, shape in folder.shapes.items() if key.startswith(prefix)
    }
    depth = count_layers(shapes, "blocks.")
    block = "blocks.0.block." if "blocks.0.block.norm1.weight" in shapes else "blocks.0."
    return TowerConfig(
        width=folder.shape(prefix + "pos_embed")[2],
        depth=depth,
        live_blocks=depth - 1,  # read at the second-to-last block
        heads=_TOWER_HEADS[name],
        mlp_width=folder.shape(f"{prefix}{block}mlp.fc1.weight")[0],
        stem="patch",
        class_token="cls_token" in shapes,
        registers=shapes["reg_token"][1] if "reg_token" in shapes else 0,
        layer_scale=any(".ls1." in key for key in shapes),
        final_norm="norm.weight" in shapes,
        attention_pool="attn_pool.latent" in shapes,
        positions="learned",
        pixel_mean=_three(folder, pixels, "mean"),
        pixel_std=_three(folder, pixels, "std"),
    )


def _three(folder: PublishedFolder, pixels: Mapping[str, Any], name: str) -> tuple[float, float, float]:
    values = pixels.get(name)
    match values:
        case [int() | float() as red, int() | float() as green, int() | float() as blue]:
            return (float(red), float(green), float(blue))
        case _:
            raise ContractError(
                f"{folder.path / 'preprocessor_config.json'}: tvf_normalize_params: {name}: expected three "
                f"numbers, found {values!r}"
            )


def count_layers(shapes: Mapping[str, Shape], prefix: str) -> int:
    numbers = {int(key.removeprefix(prefix).partition(".")[0]) for key in shapes if key.startswith(prefix)}
    return max(numbers, default=-1) + 1


def _language(folder: PublishedFolder) -> LanguageConfig:
    text = cast(dict[str, Any], folder.config.get("text_config") or {})
    vocabulary, hidden = folder.shape("language_model.model.embed_tokens.weight")
    return LanguageConfig(
        hidden_size=hidden,
        layers=count_layers(folder.shapes, "language_model.model.layers."),
        heads=int(text.get("num_attention_heads", 32)),  # Llama-2-7B's, as transformers fills it in
        mlp_width=folder.shape("language_model.model.layers.0.mlp.gate_proj.weight")[0],
        vocabulary_size=vocabulary,
        max_positions=int(text.get("max_position_embeddings", 2048)),
        rope_theta=float(text.get("rope_theta", 10000.0)),
        rms_norm_eps=float(text.get("rms_norm_eps", 1e-6)),  # omitted in every published text_config
        lm_head="language_model.lm_head.weight" in folder.shapes,
    )


def _tokens(folder: PublishedFolder) -> TokenIds:
    padding = int(folder.config.get("pad_to_multiple_of", 64))
    vocabulary = folder.shape("language_model.model.embed_tokens.weight")[0]
    end = vocabulary - padding  # the ids after it are <PAD> and rows that pad the table
    return TokenIds(
        bos=1,
        stop=2,
        pad=int(folder.config.get("pad_token_id", end)),
        action_prefix=29871,
        action_end=end,
        action_bins=int(folder.config.get("n_action_bins", 256)),
    )
