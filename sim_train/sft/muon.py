"""Muon: momentum whose update is made orthogonal, for the hidden matrices of a network (Jordan et al., 2024).

As `torch.optim.Muon` with `adjust_lr_fn="match_rms_adamw"`, but in float32, for many CPUs have no bfloat16,
and with equal shapes in one batch of products. Sharded matrices are gathered, for orthogonality is of the
whole matrix.
"""

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5


def orthogonalised(matrices_BMN: Tensor) -> Tensor:
    """Newton-Schulz: singular values towards 1, singular vectors kept."""
    is_tall = matrices_BMN.shape[1] > matrices_BMN.shape[2]
    x = matrices_BMN.transpose(1, 2) if is_tall else matrices_BMN
    x = x / x.flatten(1).norm(dim=1).clamp(min=1e-7)[:, None, None]
    a, b, c = _COEFFICIENTS
    for _ in range(_ITERATIONS):
        gram = x @ x.transpose(1, 2)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.transpose(1, 2) if is_tall else x


class Muon(torch.optim.Optimizer):
    def __init__(
        self, params: Iterable[nn.Parameter], *, lr: float, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[nn.Parameter]] = {}
            for parameter in cast(list[nn.Parameter], group["params"]):
                if parameter.grad is not None:
                    by_shape.setdefault(parameter.shape, []).append(parameter)
            for (rows, columns), parameters in by_shape.items():
                updates = torch.stack([_whole(self._nesterov(p, group["momentum"])) for p in parameters])
                rate = group["lr"] * 0.2 * max(rows, columns) ** 0.5
                for parameter, update in zip(parameters, orthogonalised(updates.float())):
                    parameter.mul_(1.0 - group["lr"] * group["weight_decay"])
                    parameter.sub_(_as_stored(update.to(parameter.dtype), parameter), alpha=rate)

    def _nesterov(self, parameter: nn.Parameter, momentum: float) -> Tensor:
        assert parameter.grad is not None
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter.grad)
        average = state["momentum_buffer"].lerp_(parameter.grad, 1.0 - momentum)
        return parameter.grad.lerp(average, momentum)


def _whole(tensor: Tensor) -> Tensor:
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def _as_stored(update: Tensor, parameter: nn.Parameter) -> Tensor:
    """Each process takes its shard; all of them have computed the same whole."""
    if not isinstance(parameter, DTensor):
        return update
    return distribute_tensor(update, parameter.device_mesh, parameter.placements, src_data_rank=None)
