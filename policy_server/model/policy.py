"""OpenVLA-OFT whole: pictures, words and proprioception in, a chunk of normalised actions out.

Parameter names are those of the published checkpoints: `vision_backbone`, `projector`, `language_model`,
`proprio_projector`, `action_head`; `scale_head`, `value_head` and `auxiliary` are ours.
`act` and `evaluate` are the interface for reinforcement learning, `forward` is what training differentiates.

B batch, K chunk length, A action numbers, N patches, R = K * A rows read, D width, S sequence.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from policy_server.model.autoregressive import generate
from policy_server.model.config import ModelConfig
from policy_server.model.decision import Decision, Evaluation, PolicyOutput
from policy_server.model.distributions import ActionDistribution, BinDistribution, LaplaceDistribution
from policy_server.model.film import mean_text_embedding
from policy_server.model.heads import AuxiliaryHeads, ChunkHead, LaplaceScaleHead, ValueHead, bin_logits
from policy_server.model.language import LanguageModel
from policy_server.model.model_input import ModelInput, check_input
from policy_server.model.projectors import Projector, ProprioProjector
from policy_server.model.sequence import (
    Layout,
    assemble,
    attention_mask,
    lay_out,
    read_rows,
    spoken,
)
from policy_server.model.vision import VisionBackbone
from robot_contract.errors import ContractError


@dataclass(frozen=True, kw_only=True, eq=False)
class Prompted:
    """The sequence up to and with its slots, before the language model."""

    patches: Tensor  # (B, cameras * N, D) the projector's output
    embeddings: Tensor  # (B, S, D)
    layout: Layout


@dataclass(frozen=True, kw_only=True, eq=False)
class Features:
    rows: Tensor  # (B, R, D) the hidden states that the heads read
    last: Tensor  # (B, D) of the last token that is not a pad
    patches: Tensor  # (B, cameras * N, D) the projector's output


class OftPolicy(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        D = config.language.hidden_size
        self.vision_backbone = VisionBackbone(
            config.towers,
            image_size=config.image_size,
            patch_size=config.patch_size,
            film_from=D if config.film else None,
        )
        self.projector = Projector(config)
        self.language_model = LanguageModel(
            config.language, config.tokens, causal=config.mode == "autoregressive"
        )
        if config.proprio_size:
            self.proprio_projector = ProprioProjector(config.proprio_size, D)
        if config.head != "tokens":
            self.action_head = ChunkHead(config)
        if config.head == "laplace":
            self.scale_head = LaplaceScaleHead(config)
        if config.value != "none":
            self.value_head = ValueHead(config)
        if config.heat_maps or config.position_targets:
            self.auxiliary = AuxiliaryHeads(config)

    def prompted(self, x: ModelInput, slot_tokens_BK: Tensor | None = None) -> Prompted:
        """Everything before the language model; `slot_tokens_BK` fills the slots in autoregressive mode."""
        check_input(x, self.config)
        layout = lay_out(x.tokens, x.mask, self.config, slot_tokens_BK=slot_tokens_BK)
        spoken_ids = torch.cat([x.tokens[:, :1], layout.text], dim=1)
        text = self.language_model.embed(spoken_ids)
        film_BD = mean_text_embedding(text, spoken(layout, self.config)) if self.config.film else None
        patches_BND = self.projector(self.vision_backbone(x.pixels, film_BD))
        proprio_BD = None if x.proprio is None else self.proprio_projector(x.proprio)
        embeddings_BSD = assemble(text[:, :1], patches_BND, proprio_BD, text[:, 1:], layout)
        return Prompted(patches=patches_BND, embeddings=embeddings_BSD, layout=layout)

    def features(self, x: ModelInput, slot_tokens_BK: Tensor | None = None) -> Features:
        p = self.prompted(x, slot_tokens_BK)
        mask = attention_mask(p.layout.live, causal=self.config.mode == "autoregressive")
        hidden_BSD = self.language_model(p.embeddings, mask)
        return Features(
            rows=read_rows(hidden_BSD, p.layout.rows),
            last=read_rows(hidden_BSD, p.layout.last[:, None])[:, 0],
            patches=p.patches,
        )

    def distribution(self, rows_BRD: Tensor, temperature: float = 1.0) -> ActionDistribution | None:
        """Return what the head says given the rows it reads; None for plain L1, which is a point."""
        match self.config.head:
            case "tokens":
                shape = (len(rows_BRD), self.config.chunk_length, self.config.action_size, -1)
                logits_BRV = bin_logits(rows_BRD, self.language_model.lm_head, self.config.tokens)
                return BinDistribution.from_logits(logits_BRV.view(shape), temperature)
            case "laplace":
                means_BKA, log_scale_BKA = self.action_head(rows_BRD), self.scale_head(rows_BRD)
                return LaplaceDistribution.tempered(means_BKA, log_scale_BKA, temperature)
            case "l1":
                return None

    def values(self, rows_BRD: Tensor) -> Tensor | None:
        return self.value_head(rows_BRD) if self.config.value != "none" else None

    def decide(
        self, rows_BRD: Tensor, *, sample: bool, temperature: float, generator: torch.Generator | None
    ) -> Decision:
        """Return the decision for the hidden rows of an OFT pass."""
        values = self.values(rows_BRD)
        distribution = self.distribution(rows_BRD, temperature)
        if distribution is None:
            if sample:
                raise ContractError("head 'l1' has no likelihood to sample from; use 'laplace' or 'tokens'")
            actions = self.action_head(rows_BRD).float()
            return Decision(actions=actions, choices=actions, log_probs=None, values=values)
        choices = distribution.sample(generator) if sample else distribution.mode()
        return Decision(
            actions=distribution.actions(choices),
            choices=choices,
            log_probs=distribution.log_prob(choices),
            values=values,
        )

    @torch.no_grad()
    def act(
        self,
        x: ModelInput,
        *,
        sample: bool = False,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Decision:
        """Decide: the mode of the distribution, or a sample of it."""
        if self.config.mode == "autoregressive":
            return generate(self, x, sample=sample, temperature=temperature, generator=generator)
        rows_BRD = self.features(x).rows
        return self.decide(rows_BRD, sample=sample, temperature=temperature, generator=generator)

    def evaluate(self, x: ModelInput, choices: Tensor, *, temperature: float = 1.0) -> Evaluation:
        """Return how likely these choices are now, with gradients."""
        out = self(x, choices, temperature=temperature)
        if out.log_probs is None or out.entropy is None:
            raise ContractError("head 'l1' has no likelihood to evaluate; use 'laplace' or 'tokens'")
        return Evaluation(log_probs=out.log_probs, entropy=out.entropy, values=out.values)

    def forward(
        self, x: ModelInput, choices: Tensor | None = None, *, temperature: float = 1.0
    ) -> PolicyOutput:
        """One differentiable pass. Autoregressive mode is teacher-forced and needs the choices."""
        features = self.features(x, self._forced_tokens(choices))
        distribution = self.distribution(features.rows, temperature)
        if distribution is None:
            actions = self.action_head(features.rows).float()
        else:
            actions = distribution.actions(distribution.mode())
        log_probs = entropy = None
        if distribution is not None and choices is not None:
            log_probs, entropy = distribution.log_prob(choices), distribution.entropy()
        aux = self.auxiliary if hasattr(self, "auxiliary") else None
        return PolicyOutput(
            actions=actions,
            log_probs=log_probs,
            entropy=entropy,
            values=self.values(features.rows),
            heat_maps=aux.heat_map_logits(features.patches) if aux else None,
            positions=aux.positions(features.last) if aux else None,
        )

    def _forced_tokens(self, choices: Tensor | None) -> Tensor | None:
        if self.config.mode == "oft":
            return None
        if choices is None:
            raise ContractError("autoregressive mode: expected the choices to evaluate, found none")
        first = self.config.tokens.action_end - self.config.tokens.action_bins
        return choices.flatten(1)[:, :-1] + first

    def without_auxiliary(self) -> OftPolicy:
        """Return the policy as it is served: same weights, the training-only heads gone."""
        return self.restricted_to(replace(self.config, heat_maps=0, position_targets=0))

    def restricted_to(self, config: ModelConfig) -> OftPolicy:
        """Return a policy of a smaller configuration that shares this one's weights, the rest left out."""
        smaller = OftPolicy.on_meta(config)
        ours = self.state_dict()
        smaller.adopt({key: ours[key] for key in smaller.state_dict() if key in ours})
        return smaller.train(self.training)

    @staticmethod
    def on_meta(config: ModelConfig) -> OftPolicy:
        """Return a policy without storage, to be given its weights by `adopt`."""
        with torch.device("meta"):
            return OftPolicy(config)

    def adopt(self, tensors: dict[str, Tensor]) -> None:
        """Take these tensors as the weights, without copying; every key and shape must match."""
        check_state(tensors, self)
        self.load_state_dict(tensors, strict=True, assign=True)
        self.language_model.restore_frequencies()


def build_policy(config: ModelConfig, *, seed: int) -> OftPolicy:
    """Return a freshly initialised policy; the caller's random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return OftPolicy(config)


def check_state(tensors: dict[str, Tensor], policy: OftPolicy) -> None:
    """Raise unless keys and shapes are exactly the policy's, naming the first that is not."""
    expected = policy.state_dict()
    for key, tensor in tensors.items():
        if key not in expected:
            raise ContractError(f"weights: unknown key {key!r} of shape {tuple(tensor.shape)}")
        if tensor.shape != expected[key].shape:
            raise ContractError(
                f"weights: {key}: expected shape {tuple(expected[key].shape)}, found {tuple(tensor.shape)}"
            )
    missing = sorted(expected.keys() - tensors.keys())
    if missing:
        raise ContractError(f"weights: missing {len(missing)} keys, the first is {missing[0]!r}")
