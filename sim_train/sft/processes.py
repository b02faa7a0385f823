"""The processes that train together: one, or those that `torchrun` started, each with its part of every batch
and, by FSDP2, its shard of weights and optimiser states."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from policy_server.model.policy import OftPolicy
from robot_contract.errors import ContractError


@dataclass(frozen=True, kw_only=True)
class Processes:
    rank: int
    count: int
    device: torch.device
    mesh: DeviceMesh | None  # None: one process

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def part(self, size: int, micro: int, micros: int) -> slice:
        """This process's rows of micro-batch `micro` in a batch of `size`."""
        rows, rest = divmod(size, self.count * micros)
        if rest:
            raise ContractError(
                f"batch: expected a multiple of {self.count} processes x {micros} micro-batches, found {size}"
            )
        first = (micro * self.count + self.rank) * rows
        return slice(first, first + rows)

    def summed(self, values: Tensor) -> Tensor:
        """Over all processes."""
        if self.mesh is not None:
            dist.all_reduce(values)
        return values

    def shard(self, policy: OftPolicy) -> None:
        """Block by block, so that a block's weights are whole only while it runs."""
        if self.mesh is None:
            return
        blocks: list[nn.Module] = [b for tower in policy.vision_backbone.towers() for b in tower.blocks]
        for block in (*blocks, *policy.language_model.model.layers):
            fully_shard(block, mesh=self.mesh)
        fully_shard(policy, mesh=self.mesh)


def reshard(policy: nn.Module) -> None:
    """Give back the outermost shards: after a pass without gradients those weights are still whole, under the
    same names, but unknown to the optimisers."""
    if isinstance(policy, FSDPModule):
        policy.reshard()


@contextmanager
def joined_processes(device: str) -> Generator[Processes]:
    """Those of `torchrun` where it started this process, else this one alone."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield Processes(rank=0, count=1, device=torch.device(device), mesh=None)
        return
    is_cuda = device.startswith("cuda")
    if is_cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if is_cuda else "gloo")
    try:
        kind = "cuda" if is_cuda else "cpu"
        mesh = init_device_mesh(kind, (dist.get_world_size(),))
        yield Processes(
            rank=dist.get_rank(),
            count=dist.get_world_size(),
            device=torch.device(kind, torch.cuda.current_device()) if is_cuda else torch.device("cpu"),
            mesh=mesh,
        )
    finally:
        dist.destroy_process_group()


def whole(tensor: Tensor) -> Tensor:
    """On the CPU; every process must ask."""
    full = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
    return full.detach().to("cpu")


def stored_as(value: Tensor, like: Tensor) -> Tensor:
    """`value`, on the device and with the shards of `like`."""
    value = value.to(like.device)
    if isinstance(like, DTensor):
        return distribute_tensor(value, like.device_mesh, like.placements, src_data_rank=None)
    return value
