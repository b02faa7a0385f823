"""Where the policy that is evaluated comes from: a checkpoint folder, a server, or the suite's expert.

A value that can be sent to a worker process, which then opens the policy for itself.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from policy_server.contract_json import CONTRACT_FILE, read_contract
from policy_server.loading import load_model
from robot_bridge.asking import PolicyConnection
from robot_bridge.rig import Rig
from robot_bridge.twin.world import TwinWorld
from robot_contract.channel import TlsFiles, is_loopback
from robot_contract.client import BlockingPolicyClient
from robot_contract.errors import ContractError, StudyError
from robot_contract.policy_contract import PolicyContract
from sim_train.evaluation.bridge_way import Connect, PolicyInProcess, expert_connection
from sim_train.evaluation.deciders import Answering, CheckpointPolicy, ServedPolicy

EXPERT = "expert"


@dataclass(frozen=True, kw_only=True)
class Source:
    checkpoint: str  # a folder; with a server also a policy's name; or `expert`
    server: str = ""  # its address
    tls: str = ""  # folder of certificates, for a server elsewhere
    device: str = "cpu"
    dtype: str = ""  # empty: as stored
    temperature: float | None = None  # None: greedy
    sampling_seed: int = 0
    robots: int = 1  # that ask at once

    @property
    def is_expert(self) -> bool:
        return self.checkpoint == EXPERT

    @property
    def folder(self) -> Path | None:
        path = Path(self.checkpoint)
        return path if (path / CONTRACT_FILE).is_file() else None

    @property
    def name(self) -> str:
        """For people; no machine's paths in it."""
        return self.folder.resolve().name if self.folder is not None else self.checkpoint

    def open(self) -> Answering:
        if self.server:
            return self._connect()
        if self.device == "cpu":
            torch.set_num_threads(1)  # as simulators do: no answer depends on where they run
        return CheckpointPolicy(
            load_model(Path(self.checkpoint), device=self.device, dtype=self.dtype),
            temperature=self.temperature,
            sampling_seed=self.sampling_seed,
        )

    def _connect(self) -> ServedPolicy:
        if self.temperature is not None:
            raise StudyError("a server answers greedily, so a served policy cannot be sampled")
        expected = read_contract(self.folder) if self.folder is not None else None
        tls = TlsFiles.in_folder(Path(self.tls), "bridge") if self.tls else None
        if tls is None and not is_loopback(self.server):
            raise StudyError(f"{self.server} is not on this machine: give --tls FOLDER with certificates")
        client = BlockingPolicyClient(self.server, tls=tls)
        name = expected.name if expected is not None else self.checkpoint
        contract = client.get_contract(name)
        if expected is not None and contract.policy_digest != expected.policy_digest:
            raise ContractError(
                f"{self.server} serves another {name!r} than {self.checkpoint}: policy digest"
                f" {contract.policy_digest[:12]}, expected {expected.policy_digest[:12]}"
            )
        return ServedPolicy(client, contract, name=name, robots=self.robots)


def bridge_connector(source: Source, execute_steps: int) -> Connect:
    """How a bridge's cell gets its policy; in the process where the cell is."""
    if source.is_expert:
        return expert_connection
    policy = source.open()
    contract = replace(policy.contract, execute_steps=execute_steps)
    return partial(_in_process, policy, contract)


def _in_process(policy: Answering, contract: PolicyContract, world: TwinWorld, rig: Rig) -> PolicyConnection:
    return PolicyInProcess(policy, contract)
