"""A device that is not there is refused by name, before any weights are read."""

from pathlib import Path

import pytest
import torch

from policy_server.__main__ import main as policy_server
from policy_server.convert.command import main as convert
from policy_server.convert.look_alike import oft_folder
from policy_server.device import usable_device
from policy_server.random_checkpoint import make_random_checkpoint
from robot_contract.errors import ContractError


@pytest.mark.parametrize("name", ["", "gpu", "cuda:", "cuda:x", "cuda:-1", "cpu:3", "CUDA"])
def test_an_unknown_name_is_refused_with_those_that_are_known(name: str) -> None:
    with pytest.raises(ContractError, match="expected cpu, cuda or cuda:N, found"):
        usable_device(name)


def test_what_is_there_can_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for name in ("cpu", "cuda", "cuda:0", "cuda:1"):
        assert usable_device(name) == name
    with pytest.raises(ContractError, match="no cuda:2 on this machine; usable here: cpu, cuda:0, cuda:1"):
        usable_device("cuda:2")


def test_both_programs_end_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    oft_folder(tmp_path / "published")
    options = ["--robot", "libero", "--cameras", "external", "wrist", "--device", "cuda"]
    with pytest.raises(SystemExit, match=r"device: torch finds no cuda on this machine; usable here: cpu"):
        convert([str(tmp_path / "published"), str(tmp_path / "converted"), *options])
    make_random_checkpoint(tmp_path / "random")
    with pytest.raises(SystemExit, match=r"device: torch finds no cuda on this machine; usable here: cpu"):
        policy_server(["serve", str(tmp_path / "random"), "--device", "cuda", "--address", "127.0.0.1:0"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["published", "random"]
