"""Everything that decides a supervised fine-tuning run, and the named recipes. Nothing heavy is imported."""

from dataclasses import dataclass, field
from typing import Literal

from policy_server.model.config import Head
from robot_contract.errors import ContractError

# `step_bounds`: actions by what a step may be, not by what was done: where demonstrations hardly turn, noise
# stays small and costs little in the loss. The others are minimum and maximum, or 1 % and 99 % quantiles.
ActionScale = Literal["step_bounds", "bounds", "bounds_q99"]


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    brightness: float = 0.2  # of the whole range, added
    contrast: float = 0.2  # about the picture's mean
    saturation: float = 0.2  # about each pixel's grey
    hue: float = 0.0  # of a whole turn
    tint: float = 0.1  # of each colour channel by itself


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    action: float = 2.0
    positions: float = 1.0
    heat_maps: float = 0.5


@dataclass(frozen=True, kw_only=True)
class Recipe:
    name: str
    suite: str  # whose semantics, cameras and state the policy has
    model: str  # a size of policy_server/model/presets.py; with `initial`, the checkpoint's own
    cameras: tuple[str, ...]
    head: Head = "l1"
    initial: str | None = None  # checkpoint folder to start from; None: random weights
    action_scale: ActionScale = "step_bounds"

    steps: int
    batch: int = 32  # samples a step, over all processes and micro-batches
    accumulate: int = 1  # micro-batches a step and process
    optimiser: Literal["muon", "adamw"] = "muon"
    muon_rate: float = 3e-3  # hidden matrices
    adamw_rate: float = 1e-3  # the rest; everything where the optimiser is AdamW
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.0
    warm_up: int = 60  # steps
    schedule: Literal["cosine", "step"] = "cosine"  # to 0 at the last step, or to a tenth at `decay_at`
    decay_at: int = 0  # step
    largest_gradient: float = 1.0  # norm; 0 leaves gradients as they are

    loss: LossWeights = field(default_factory=LossWeights)
    approach_weight: int = 3  # how often a frame of the approach comes in an epoch in which others come once
    augmentation: Augmentation = field(default_factory=Augmentation)
    lora_rank: int = 0  # 0 trains everything
    lora_alpha: float = 16.0
    precision: Literal["fp32", "bf16"] = "fp32"

    seed: int = 0
    validation_share: float = 0.02  # of the episodes
    validation_every: int = 500  # steps
    log_every: int = 50  # steps
    save_every: int = 500  # steps
    keep: int = 0  # how many saved states stay on the disk; 0 keeps all

    def __post_init__(self) -> None:
        def want(holds: bool, phrase: str) -> None:
            if not holds:
                raise ContractError(f"recipe {self.name!r}: {phrase}")

        want(self.steps >= 1, f"steps: expected at least 1, found {self.steps}")
        want(
            self.accumulate >= 1 and self.batch >= 1 and self.batch % self.accumulate == 0,
            f"batch: expected a multiple of accumulate, found {self.batch} and {self.accumulate}",
        )
        want(self.approach_weight >= 1, f"approach_weight: expected at least 1, found {self.approach_weight}")
        want(
            0.0 <= self.validation_share < 1.0,
            f"validation_share: expected 0..1, found {self.validation_share}",
        )
        for name in ("validation_every", "log_every", "save_every"):
            want(getattr(self, name) >= 1, f"{name}: expected at least 1, found {getattr(self, name)}")


# The tiny policy from random weights, on one CPU core: 2880 steps of 32 are 92k samples.
TINY_PUT_ON = Recipe(name="tiny-put-on", suite="put-on", model="tiny", cameras=("external",), steps=2880)

# OpenVLA-OFT's published LIBERO recipe (8 GPUs of 8 samples): 150k steps, a tenth of the rate from 100k on.
OPENVLA_OFT_LIBERO = Recipe(
    name="openvla-oft-libero",
    suite="libero_spatial",
    model="openvla-oft-7b",
    cameras=("external", "wrist"),
    initial="checkpoints/openvla-7b",
    action_scale="bounds_q99",
    steps=150_000,
    batch=64,
    optimiser="adamw",
    adamw_rate=5e-4,
    betas=(0.9, 0.999),
    weight_decay=0.01,
    warm_up=0,
    schedule="step",
    decay_at=100_000,
    largest_gradient=0.0,
    loss=LossWeights(action=1.0, positions=0.0, heat_maps=0.0),
    approach_weight=1,
    augmentation=Augmentation(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.05, tint=0.0),
    lora_rank=32,
    precision="bf16",
    validation_share=0.0,
    save_every=10_000,
    keep=2,
)

RECIPES = {recipe.name: recipe for recipe in (TINY_PUT_ON, OPENVLA_OFT_LIBERO)}
