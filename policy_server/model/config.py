"""The shape of one model, as `model.json` holds it: from a tiny one to 7.5 B parameters.

Reading is strict: an unknown, missing or ill-typed key is refused with its name, since a guessed default
changes a model's answers without an error.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from policy_server.strict_json import dataclass_from_document, read_json_file
from robot_contract.errors import ContractError

Head = Literal["l1", "tokens", "laplace"]
Mode = Literal["oft", "autoregressive"]
ValueLevel = Literal["none", "action", "chunk"]
# roll_pitch_yaw turns about the fixed x, y, z in this order; euler_xyz about the moving ones, as ManiSkill.
Rotation = Literal["rotation_vector", "roll_pitch_yaw", "euler_xyz"]


@dataclass(frozen=True, kw_only=True)
class TowerConfig:
    """One vision transformer."""

    width: int
    depth: int  # blocks that have weights
    live_blocks: int  # blocks that run; the published towers are read one block before their end
    heads: int
    mlp_width: int
    stem: Literal["patch", "conv"]  # one convolution, or three of total stride 12
    class_token: bool
    registers: int  # further prefix tokens
    layer_scale: bool
    final_norm: bool  # published weights carry it; it never runs
    attention_pool: bool  # likewise
    positions: Literal["learned", "sine_cosine"]  # how fresh position embeddings start
    pixel_mean: tuple[float, float, float]  # of pixels in 0..1, as the checkpoint's preprocessor rounds them
    pixel_std: tuple[float, float, float]

    @property
    def prefix_tokens(self) -> int:
        return int(self.class_token) + self.registers


@dataclass(frozen=True, kw_only=True)
class LanguageConfig:
    """The Llama in the middle."""

    hidden_size: int
    layers: int
    heads: int
    mlp_width: int
    vocabulary_size: int  # rows of the embedding
    max_positions: int
    rope_theta: float
    rms_norm_eps: float  # 1e-6 in every published OpenVLA, not Meta's 1e-5
    lm_head: bool


@dataclass(frozen=True, kw_only=True)
class TokenIds:
    """The vocabulary entries that the model itself has to know."""

    bos: int
    stop: int
    pad: int
    action_prefix: int  # the lone "▁" that every prompt ends with
    action_end: int  # one past the last action id; the action ids are the `action_bins` before it
    action_bins: int


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    mode: Mode
    head: Head
    sequence: Literal["official", "rlinf"]  # with or without the stop token after the action slots
    image_size: int  # [pixel], square
    center_crop_area: float  # fraction of the resized picture that is kept and enlarged again; 1.0 keeps all
    patch_size: int  # [pixel]
    cameras: int
    towers: tuple[TowerConfig, ...]
    film: bool
    projector_width: int
    positions_after_projector: bool
    proprio_size: int  # 0: no proprio token
    language: LanguageConfig
    tokens: TokenIds
    chunk_length: int
    action_size: int
    action_rotation: Rotation  # what the three rotation numbers of an action are
    head_width: int
    head_blocks: int
    log_scale_range: tuple[float, float]  # of the Laplace scale, in normalised action units
    value: ValueLevel
    value_widths: tuple[int, ...]
    value_detached: bool  # whether the value loss stops at the head
    heat_maps: int  # training only: "where is it" maps over the patches
    position_targets: int  # training only: numbers regressed from the last token

    def __post_init__(self) -> None:
        _check_config(self)

    @property
    def channels(self) -> int:
        """Image channels of one camera: every tower has its own normalisation of the same picture."""
        return 3 * len(self.towers)

    @property
    def patches(self) -> int:
        """Patches of one camera."""
        return (self.image_size // self.patch_size) ** 2

    @property
    def vision_width(self) -> int:
        return sum(tower.width for tower in self.towers)

    @property
    def action_slots(self) -> int:
        return self.chunk_length * self.action_size

    @property
    def prefix_length(self) -> int:
        """Sequence positions before prompt token 1: BOS, the patches, the proprio token."""
        return 1 + self.cameras * self.patches + int(self.proprio_size > 0)

    @property
    def has_stop(self) -> bool:
        return self.mode == "oft" and self.sequence == "official"

    def to_json(self) -> dict[str, Any]:
        return json.loads(json.dumps(asdict(self)))

    def save(self, file: Path) -> None:
        file.write_text(json.dumps(self.to_json(), indent=2) + "\n", encoding="utf-8")

    @staticmethod
    def from_json(data: object, where: str = "model.json") -> ModelConfig:
        return dataclass_from_document(ModelConfig, data, file=where)

    @staticmethod
    def load(file: Path) -> ModelConfig:
        return ModelConfig.from_json(read_json_file(file), str(file))


_MAY_BE_ZERO = {
    *("registers", "proprio_size", "head_blocks", "heat_maps", "position_targets"),
    *("bos", "stop", "pad", "action_prefix"),
}


def _check_config(c: ModelConfig) -> None:
    def require(holds: bool, sentence: str) -> None:
        if not holds:
            raise ContractError(f"model config: {sentence}")

    require(1 <= len(c.towers) <= 2, f"expected one or two towers, found {len(c.towers)}")
    for part in (c, *c.towers, c.language, c.tokens):
        for field in fields(part):
            value = getattr(part, field.name)
            least = 0 if field.name in _MAY_BE_ZERO else 1
            if isinstance(value, int) and not isinstance(value, bool):
                require(value >= least, f"{field.name}: expected at least {least}, found {value}")
    require(0.0 < c.center_crop_area <= 1.0, f"center_crop_area {c.center_crop_area} is not in 0..1")
    require(c.image_size % c.patch_size == 0, f"image_size {c.image_size} is no multiple of {c.patch_size}")
    for i, tower in enumerate(c.towers):
        require(tower.width % tower.heads == 0, f"tower {i}: width {tower.width}, {tower.heads} heads")
        require(
            1 <= tower.live_blocks <= tower.depth, f"tower {i}: {tower.live_blocks} of {tower.depth} blocks"
        )
        require(tower.stem == "patch" or c.patch_size == 12, "a conv stem has patch_size 12")
        require(tower.width % 4 == 0, f"tower {i}: width {tower.width} is no multiple of 4")
    language = c.language
    require(language.hidden_size % (2 * language.heads) == 0, "hidden_size does not fit the heads")
    require(c.head != "tokens" or language.lm_head, "head 'tokens' needs language.lm_head")
    require(
        c.mode == "oft" or c.head == "tokens", f"autoregressive decoding needs head 'tokens', not {c.head!r}"
    )
    ids = c.tokens
    require(
        ids.action_bins <= ids.action_end <= language.vocabulary_size, "action ids outside the vocabulary"
    )
    require(c.log_scale_range[0] < c.log_scale_range[1], f"log_scale_range {c.log_scale_range} is empty")
