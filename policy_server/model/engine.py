"""The policy as it is served: nothing dead, products joined, on a GPU one CUDA graph per input bucket.

Same weights, same answers: equal to the plain policy within rounding, except with 8-bit linears, which are an
option. The engine owns its weights, adapters merged. Autoregressive policies run as they are.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from policy_server.model.cuda_graphs import CudaRecorder, GraphCache, bucket, fill
from policy_server.model.dead_weights import live_config
from policy_server.model.decision import Decision
from policy_server.model.fused_llama import FusedLlama
from policy_server.model.lora import merged_state
from policy_server.model.model_input import ModelInput
from policy_server.model.policy import OftPolicy
from policy_server.model.sequence import attention_mask
from robot_contract.errors import ContractError


class Engine:
    def __init__(
        self,
        policy: OftPolicy,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        float8: bool = False,
        graphs: bool | None = None,  # None: on a CUDA device
        consume: bool = False,  # take the policy's weights instead of copying them; it is empty afterwards
        compiled: bool = False,  # torch.compile each bucket when it is first seen
    ) -> None:
        self.config = live_config(policy.config)
        self.device = torch.device(device)
        self.dtype = dtype
        self._float8 = float8
        self._policy = OftPolicy.on_meta(self.config)
        theirs = merged_state(policy)
        if consume:
            policy.to("meta")
        self._policy.adopt(
            {key: theirs.pop(key).to(device, dtype, copy=not consume) for key in self._policy.state_dict()}
        )
        del theirs
        self._policy.eval().requires_grad_(False)
        self._llama = None
        self._compiled = None
        self._graphs = None
        if self.config.mode == "oft":
            self._llama = FusedLlama(self._policy.language_model, float8=float8)
            if float8:  # only the 8-bit copies are read from here on
                self._policy.language_model.model.layers = nn.ModuleList()
            if compiled:
                self._compiled = torch.compile(self._read_rows, dynamic=False)
            if self.device.type == "cuda" if graphs is None else graphs:
                read = self._compiled or self._read_rows
                recorder = CudaRecorder(self.device)
                self._graphs = GraphCache(read, self.config, recorder, device=self.device, dtype=dtype)

    @torch.no_grad()
    def act(
        self,
        x: ModelInput,
        *,
        sample: bool = False,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Decision:
        """Decide, as `OftPolicy.act` does."""
        x = x.to(self.device, self.dtype)
        if self._llama is None:
            return self._policy.act(x, sample=sample, temperature=temperature, generator=generator)
        if self._graphs is not None:
            rows_BRD = self._graphs(x)
        elif self._compiled is not None:
            filled = fill(x, *bucket(len(x), x.tokens.shape[1]), self.config.tokens.pad)
            rows_BRD = self._compiled(filled)[: len(x)]
        else:
            rows_BRD = self._read_rows(x)
        return self._policy.decide(rows_BRD, sample=sample, temperature=temperature, generator=generator)

    @torch.no_grad()
    def update(self, policy: OftPolicy) -> None:
        """Take newer weights of the same policy into the same memory; recordings stay valid."""
        if self._float8:
            raise ContractError("an engine with 8-bit linears keeps its weights; build a new one")
        theirs = merged_state(policy)
        for key, ours in self._policy.state_dict().items():
            ours.copy_(theirs[key])

    def _read_rows(self, x: ModelInput) -> Tensor:
        assert self._llama is not None
        p = self._policy.prompted(x)
        return self._llama(p.embeddings, attention_mask(p.layout.live, causal=False), p.layout.rows)
