"""One recorded CUDA graph per (batch, prompt length) bucket: a pass of over a thousand kernels, one launch.

An input is copied into the recorded one's memory, its batch filled up with its own last row and its prompts
padded, which changes no answer; the result is the recording's, cut to the rows asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from policy_server.model.config import ModelConfig
from policy_server.model.example_input import example_input
from policy_server.model.model_input import ModelInput
from robot_contract.errors import ContractError

BATCHES = (1, 2, 4, 8)
PROMPT_STEP = 8  # [token]
WARM_UP_PASSES = 3  # before recording, so that every kernel has its workspace


Pass = Callable[[], Tensor]
Record = Callable[[Pass], tuple[Callable[[], None], Tensor]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Recording:
    x: ModelInput  # the memory that it reads
    rows: Tensor  # (B, R, D), overwritten by every replay
    replay: Callable[[], None]


class CudaRecorder:
    """Records a pass as a CUDA graph. The graphs never run at once, so they share their memory."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool = None

    def __call__(self, run: Pass) -> tuple[Callable[[], None], Tensor]:
        """Return what replays the pass, and the tensor that it writes."""
        side = torch.cuda.Stream(self._device)
        side.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(side):
            for _ in range(WARM_UP_PASSES):
                run()
        torch.cuda.current_stream(self._device).wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            rows = run()
        self._pool = self._pool or graph.pool()
        return graph.replay, rows


def bucket(batch: int, prompt: int) -> tuple[int, int]:
    """Return the batch size and prompt length of the recording that serves this input."""
    fitting = [size for size in BATCHES if size >= batch]
    if not fitting:
        raise ContractError(f"batch: expected at most {BATCHES[-1]} observations, found {batch}")
    return fitting[0], -(-prompt // PROMPT_STEP) * PROMPT_STEP


def fill(x: ModelInput, batch: int, prompt: int, pad: int) -> ModelInput:
    """Return `x` grown to a bucket: prompts padded, the last row repeated."""
    padded = x.padded_to(prompt, pad)

    def grow(tensor: Tensor) -> Tensor:
        return torch.cat([tensor, tensor[-1:].expand(batch - len(tensor), *tensor.shape[1:])])

    return ModelInput(
        pixels=grow(padded.pixels),
        tokens=grow(padded.tokens),
        mask=grow(padded.mask),
        proprio=None if padded.proprio is None else grow(padded.proprio),
    )


class GraphCache:
    def __init__(
        self,
        read_rows: Callable[[ModelInput], Tensor],
        config: ModelConfig,
        record: Record,
        *,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self._read_rows = read_rows
        self._record_pass = record
        self._config = config
        self._device = device
        self._dtype = dtype
        self._recordings: dict[tuple[int, int], Recording] = {}

    def __call__(self, x: ModelInput) -> Tensor:
        """Return the rows (B, R, D) for `x`; the first call for a bucket records it."""
        size, prompt = bucket(len(x), x.tokens.shape[1])
        if (size, prompt) not in self._recordings:
            self._recordings[size, prompt] = self._record(size, prompt)
        recording = self._recordings[size, prompt]
        copy_into(recording.x, fill(x, size, prompt, self._config.tokens.pad))
        recording.replay()
        return recording.rows[: len(x)].clone()

    # Ordinary tensors, so that a recording made under inference mode may be refilled outside it.
    @torch.inference_mode(False)
    @torch.no_grad()
    def _record(self, size: int, prompt: int) -> Recording:
        x = example_input(self._config, [prompt] * size).to(self._device, self._dtype)
        replay, rows = self._record_pass(lambda: self._read_rows(x))
        return Recording(x=x, rows=rows, replay=replay)


def copy_into(target: ModelInput, source: ModelInput) -> None:
    target.pixels.copy_(source.pixels)
    target.tokens.copy_(source.tokens)
    target.mask.copy_(source.mask)
    if target.proprio is not None and source.proprio is not None:
        target.proprio.copy_(source.proprio)
