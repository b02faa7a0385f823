"""A policy drives by turns, and the expert shows how to go on from wherever that led (after DAgger).

What a policy gets itself into is what it needs to be shown the way out of, and no expert gets there alone.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from robot_contract.pose import Vector
from sim_train.simulation import Simulation
from sim_train.suites import Suite
from sim_train.vector import view_of

if TYPE_CHECKING:
    from sim_train.evaluation.deciders import Answering

_POLICY_CHUNKS = (1, 4)  # of a turn, at least and at most
_EXPERT_STEPS = (12, 20)  # of a turn: some frames with a whole chunk of the expert's ahead


def draw_turns(seed: int, steps: int, chunk: int) -> npt.NDArray[np.bool_]:
    """(steps,) whether the policy drives; it begins, and carries out whole chunks."""
    rng = np.random.default_rng(seed)
    drives = np.zeros(steps, dtype=bool)
    step = 0
    while step < steps:
        end = step + chunk * int(rng.integers(_POLICY_CHUNKS[0], _POLICY_CHUNKS[1] + 1))
        drives[step:end] = True
        step = end + int(rng.integers(_EXPERT_STEPS[0], _EXPERT_STEPS[1] + 1))
    return drives


@dataclass(frozen=True, kw_only=True, eq=False)
class Driver:
    """A checkpoint, on its way to the processes that record."""

    folder: Path
    digest: str  # of the policy
    execute_steps: int  # of each chunk
    suite: Suite

    def take_wheel(self, session: str) -> "Wheel":
        return Wheel(_policy(self.folder), self.suite, session)


class Wheel:
    """One episode's chunks, an action at a time."""

    def __init__(self, policy: "Answering", suite: Suite, session: str) -> None:
        self._policy, self._suite, self._session = policy, suite, session
        self._asked = 0
        self._left: list[Vector] = []

    def next_action(self, simulation: Simulation) -> Vector:
        from sim_train.evaluation.asking import Asked, observation_of

        contract = self._policy.contract
        if not self._left:
            asked = Asked(
                view=view_of(simulation),
                instruction=simulation.instruction,
                session=self._session,
                sequence=self._asked,
            )
            (chunk,) = self._policy.answer([observation_of(asked, contract, self._suite)])
            self._left = list(chunk[: contract.execute_steps])
            self._asked += 1
        return self._left.pop(0)


def find_driver(folder: Path, suite: Suite) -> Driver:
    """Raise when it is no checkpoint, or of other semantics than the suite's."""
    from policy_server.contract_json import read_contract
    from sim_train.evaluation.asking import require_fit

    contract = read_contract(folder)
    require_fit(contract, suite)
    return Driver(
        folder=folder,
        digest=contract.policy_digest,
        execute_steps=contract.execute_steps,
        suite=suite,
    )


@cache
def _policy(folder: Path) -> "Answering":
    # Here, so that nobody who records without a policy waits for torch.
    from sim_train.evaluation.source import Source

    return Source(checkpoint=str(folder)).open()
