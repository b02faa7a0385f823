"""Which device a name means, and a sentence when this machine has none of it."""

import torch

from robot_contract.errors import ContractError


def usable_device(name: str) -> str:
    """Return `name` when torch can compute there; ContractError says what can be used instead."""
    kind, colon, number = name.partition(":")
    if name != "cpu" and (kind != "cuda" or (colon and not number.isdecimal())):
        raise ContractError(f"device: expected cpu, cuda or cuda:N, found {name!r}")
    count = torch.cuda.device_count()
    if kind == "cuda" and not int(number or 0) < count:
        usable = ", ".join(["cpu", *(f"cuda:{i}" for i in range(count))])
        raise ContractError(f"device: torch finds no {name} on this machine; usable here: {usable}")
    return name
