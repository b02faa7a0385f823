"""The policies of one server by name, and the versions of each: the one that serves and those that drain."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from policy_server.batch_cost import BatchCost
from policy_server.batcher import Batcher
from policy_server.request import Request
from policy_server.served_model import ServedModel
from robot_contract import wire
from robot_contract import wire_pb2 as pb
from robot_contract.errors import ContractError, nearest_name
from robot_contract.messages import PolicyStatus
from robot_contract.policy_contract import PolicyContract

FAILURES = 3  # batches in a row that make a policy count as failed

PolicyState = Literal["loading", "warming", "serving", "draining", "failed"]


class PolicyVersion:
    """One loaded and warmed-up model with what waits for it."""

    def __init__(
        self, model: ServedModel, cost: BatchCost, *, name: str, max_batch: int, max_waiting: int
    ) -> None:
        self.model = model
        self.name = name
        self.contract: PolicyContract = model.contract
        self.contract_message: pb.PolicyContract = wire.policy_contract_to_wire(model.contract)
        self.interface_digest = model.contract.interface_digest
        self.policy_digest = model.contract.policy_digest
        self.batcher: Batcher[Request] = Batcher(cost=cost, max_batch=max_batch, max_waiting=max_waiting)
        self.last_run_at = 0.0  # [s] start of its newest batch
        self.failures = 0  # batches that failed since the last good one
        self.preparation_seconds = 0.0  # running mean of one observation

    def note_preparation(self, seconds: float) -> None:
        self.preparation_seconds += 0.05 * (seconds - self.preparation_seconds)


@dataclass(kw_only=True, eq=False)
class Policy:
    name: str
    source: str  # where it was loaded from; empty for a built-in stand-in
    state: PolicyState = "loading"
    current: PolicyVersion | None = None
    draining: list[PolicyVersion] = field(default_factory=list)
    sessions: set[str] = field(default_factory=set)
    served: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    @property
    def versions(self) -> list[PolicyVersion]:
        return self.draining if self.current is None else [*self.draining, self.current]

    def is_healthy(self) -> bool:
        """Does it answer, as far as its newest batches show?"""
        return self.current is not None and self.current.failures < FAILURES

    def queue_length(self) -> int:
        return sum(len(version.batcher) for version in self.versions)

    def status(self) -> PolicyStatus:
        return PolicyStatus(
            name=self.name,
            state=self.state,
            interface_digest=self.current.interface_digest if self.current else "",
            policy_digest=self.current.policy_digest if self.current else "",
            sessions=len(self.sessions),
            served=self.served,
            refused=dict(self.refused),
        )


class Policies:
    def __init__(self) -> None:
        self._by_name: dict[str, Policy] = {}

    def add(self, policy: Policy) -> None:
        if policy.name in self._by_name:
            raise ContractError(f"two policies are called {policy.name!r}, expected different names")
        self._by_name[policy.name] = policy

    def __iter__(self) -> Iterator[Policy]:
        return iter(self._by_name.values())

    def find(self, name: str) -> Policy | None:
        return self._by_name.get(name)

    def unknown(self, name: str) -> str:
        """The sentence for a name that is not served."""
        return f"no policy is called {name[:80]!r}; {nearest_name(name[:80], self._by_name)}"

    def versions(self) -> list[PolicyVersion]:
        return [version for policy in self for version in policy.versions]
