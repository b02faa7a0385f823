"""The named sizes: `tiny` for one CPU core, `openvla-oft-7b`, and its autoregressive parent `openvla-7b`."""

from dataclasses import replace

from policy_server.model.config import LanguageConfig, ModelConfig, TokenIds, TowerConfig
from robot_contract.errors import ContractError, nearest_name

# Means and deviations as OpenVLA-OFT's preprocessor_config.json stores them: rounded through bfloat16.
DINO_MEAN = (0.484375, 0.455078125, 0.40625)
DINO_STD = (0.228515625, 0.2236328125, 0.224609375)
HALF = (0.5, 0.5, 0.5)

DINOV2_REG4 = TowerConfig(
    width=1024,
    depth=24,
    live_blocks=23,
    heads=16,
    mlp_width=4096,
    stem="patch",
    class_token=True,
    registers=4,
    layer_scale=True,
    final_norm=True,
    attention_pool=False,
    positions="learned",
    pixel_mean=DINO_MEAN,
    pixel_std=DINO_STD,
)

SIGLIP_SO400M = TowerConfig(
    width=1152,
    depth=27,
    live_blocks=26,
    heads=16,
    mlp_width=4304,
    stem="patch",
    class_token=False,
    registers=0,
    layer_scale=False,
    final_norm=True,
    attention_pool=True,
    positions="learned",
    pixel_mean=HALF,
    pixel_std=HALF,
)

LLAMA2_7B = LanguageConfig(
    hidden_size=4096,
    layers=32,
    heads=32,
    mlp_width=11008,
    vocabulary_size=32064,
    max_positions=2048,
    rope_theta=10000.0,
    rms_norm_eps=1e-6,
    lm_head=True,
)

OPENVLA_OFT_7B = ModelConfig(
    mode="oft",
    head="l1",
    sequence="official",
    image_size=224,
    center_crop_area=0.9,
    patch_size=14,
    cameras=2,
    towers=(DINOV2_REG4, SIGLIP_SO400M),
    film=False,
    projector_width=8704,
    positions_after_projector=False,
    proprio_size=8,
    language=LLAMA2_7B,
    tokens=TokenIds(bos=1, stop=2, pad=32000, action_prefix=29871, action_end=32000, action_bins=256),
    chunk_length=8,
    action_size=7,
    action_rotation="rotation_vector",
    head_width=4096,
    head_blocks=2,
    log_scale_range=(-5.0, 0.0),
    value="none",
    value_widths=(512, 128),
    value_detached=False,
    heat_maps=0,
    position_targets=0,
)

OPENVLA_7B = replace(
    OPENVLA_OFT_7B, mode="autoregressive", head="tokens", cameras=1, proprio_size=0, chunk_length=1
)

# The published layout, every kind of key included, at toy widths: for tests and golden files.
MINIATURE = replace(
    OPENVLA_OFT_7B,
    image_size=28,
    towers=(
        replace(DINOV2_REG4, width=32, depth=3, live_blocks=2, heads=2, mlp_width=64),
        replace(SIGLIP_SO400M, width=48, depth=3, live_blocks=2, heads=4, mlp_width=96),
    ),
    projector_width=96,
    language=replace(
        LLAMA2_7B, hidden_size=64, layers=2, heads=4, mlp_width=96, vocabulary_size=640, max_positions=256
    ),
    tokens=TokenIds(bos=1, stop=2, pad=576, action_prefix=29, action_end=576, action_bins=256),
    chunk_length=3,
    head_width=64,
    value_widths=(32, 16),
)

# A tower of two live blocks, nothing dead; the two towers differ in their normalisation and their weights.
TINY_TOWER = TowerConfig(
    width=96,
    depth=2,
    live_blocks=2,
    heads=3,
    mlp_width=384,
    stem="conv",
    class_token=False,
    registers=0,
    layer_scale=False,
    final_norm=False,
    attention_pool=False,
    positions="sine_cosine",
    pixel_mean=HALF,
    pixel_std=HALF,
)

TINY = ModelConfig(
    mode="oft",
    head="l1",
    sequence="official",
    image_size=96,
    center_crop_area=1.0,
    patch_size=12,
    cameras=1,
    towers=(replace(TINY_TOWER, pixel_mean=DINO_MEAN, pixel_std=DINO_STD), TINY_TOWER),
    film=True,
    projector_width=384,
    positions_after_projector=True,
    proprio_size=8,
    language=LanguageConfig(
        hidden_size=128,
        layers=3,
        heads=4,
        mlp_width=352,
        vocabulary_size=768,
        max_positions=512,
        rope_theta=10000.0,
        rms_norm_eps=1e-6,
        lm_head=False,
    ),
    # ids 4..259 spell bytes, 260..511 are words, 512..767 action bins
    tokens=TokenIds(bos=1, stop=2, pad=0, action_prefix=3, action_end=768, action_bins=256),
    chunk_length=8,
    action_size=7,
    action_rotation="rotation_vector",
    head_width=128,
    head_blocks=0,
    log_scale_range=(-5.0, 0.0),
    value="none",
    value_widths=(128, 64),
    value_detached=False,
    heat_maps=2,
    position_targets=5,
)

PRESETS = {
    "tiny": TINY,
    "openvla-oft-7b": OPENVLA_OFT_7B,
    "openvla-7b": OPENVLA_7B,
    "openvla-oft-miniature": MINIATURE,
}


def preset(name: str) -> ModelConfig:
    if name not in PRESETS:
        raise ContractError(f"unknown model preset {name!r}; {nearest_name(name, PRESETS)}")
    return PRESETS[name]
