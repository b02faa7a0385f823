"""What a head says about the next chunk: a distribution over choices, and the action that each choice means.

A choice is what was drawn and what `evaluate` is asked about: a bin number for the token head, the action
itself for the Laplace head. Log-probabilities are in float32 and per number, so that the trainer decides
over what to sum.

B batch, K chunk length, A action numbers, V bins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from robot_contract.errors import ContractError


class ActionDistribution(Protocol):
    def sample(self, generator: torch.Generator | None = None) -> Tensor: ...
    def mode(self) -> Tensor: ...
    def log_prob(self, choices_BKA: Tensor) -> Tensor: ...
    def entropy(self) -> Tensor: ...
    def actions(self, choices_BKA: Tensor) -> Tensor: ...


def bin_actions(bins: Tensor, count: int) -> Tensor:
    """Return the action in -1..1 that each bin number means.

    Bin 0 is the lowest token id and the highest action. `count` edges have `count - 1` centres, so the two
    lowest ids decode to one action.
    """
    centre = (count - 1 - bins).clamp(0, count - 2).float()
    return -1.0 + (2.0 * centre + 1.0) / (count - 1)


def action_bins(actions: Tensor, count: int) -> Tensor:
    """Return the bin number of each action: the inverse of `bin_actions` within half a bin."""
    edges = torch.from_numpy(np.linspace(-1.0, 1.0, count)).to(
        actions.device
    )  # torch's differ in the last bit
    digit = torch.bucketize(actions.double().clamp(-1.0, 1.0), edges, right=True)
    return count - digit


def positive(temperature: float) -> float:
    if not 0 < temperature < math.inf:
        raise ContractError(f"temperature: expected a number over 0, found {temperature}")
    return temperature


@dataclass(frozen=True, kw_only=True, eq=False)
class BinDistribution:
    """Independent categorical distributions over the action bins, at one temperature for everything."""

    log_probs: Tensor  # (B, K, A, V) float32, normalised over V

    @staticmethod
    def from_logits(logits_BKAV: Tensor, temperature: float) -> BinDistribution:
        tempered_BKAV = logits_BKAV.float() / positive(temperature)
        return BinDistribution(log_probs=tempered_BKAV.log_softmax(dim=-1))

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        probs = self.log_probs.exp()
        drawn = torch.multinomial(probs.flatten(0, -2), 1, generator=generator)
        return drawn.view(probs.shape[:-1])

    def mode(self) -> Tensor:
        return self.log_probs.argmax(dim=-1)

    def log_prob(self, choices_BKA: Tensor) -> Tensor:
        return self.log_probs.gather(-1, choices_BKA.unsqueeze(-1)).squeeze(-1)

    def entropy(self) -> Tensor:
        return -(self.log_probs.exp() * self.log_probs).sum(dim=-1)

    def actions(self, choices_BKA: Tensor) -> Tensor:
        return bin_actions(choices_BKA, self.log_probs.shape[-1])


@dataclass(frozen=True, kw_only=True, eq=False)
class LaplaceDistribution:
    """The L1 head's answer as the mean of a Laplace distribution: what is fine-tuned is what is served."""

    mean: Tensor  # (B, K, A) float32
    log_scale: Tensor  # (B, K, A) float32

    @staticmethod
    def tempered(mean_BKA: Tensor, log_scale_BKA: Tensor, temperature: float) -> LaplaceDistribution:
        """The temperature multiplies the scale."""
        log_scale_BKA = log_scale_BKA + math.log(positive(temperature))
        return LaplaceDistribution(mean=mean_BKA.float(), log_scale=log_scale_BKA)

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        uniform = torch.rand(
            self.mean.shape, generator=generator, device=self.mean.device, dtype=torch.float32
        )
        centred = (uniform - 0.5).clamp(-0.5 + 1e-7, 0.5 - 1e-7)  # the open interval: a log of 0 follows
        return self.mean - self.log_scale.exp() * centred.sign() * torch.log1p(-2 * centred.abs())

    def mode(self) -> Tensor:
        return self.mean

    def log_prob(self, choices_BKA: Tensor) -> Tensor:
        distance_BKA = (choices_BKA - self.mean).abs()
        return -math.log(2.0) - self.log_scale - distance_BKA * (-self.log_scale).exp()

    def entropy(self) -> Tensor:
        return 1.0 + math.log(2.0) + self.log_scale

    def actions(self, choices_BKA: Tensor) -> Tensor:
        return choices_BKA
