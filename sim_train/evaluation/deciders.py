"""Who decides on the next chunks: a checkpoint in this process, a policy behind gRPC, or the suite's expert.

Greedy is not taken on trust. A decider that calls itself greedy is asked one thing several times before the
first episode, with other random numbers in between; whoever samples answers differently and is refused.
"""

import dataclasses
import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from operator import methodcaller
from typing import Protocol

import numpy as np
import torch

from policy_server.engine_policy import EnginePolicy
from policy_server.preprocessing import DecodedObservation
from policy_server.served_model import blank_observation
from robot_contract.errors import ContractError, PolicyUnavailable
from robot_contract.messages import ActionChunk, Observation
from robot_contract.policy_contract import PolicyContract
from robot_contract.pose import Vector
from sim_train.evaluation.asking import Asked, observation_of
from sim_train.suites import Suite
from sim_train.vector import Cells, Void

_log = logging.getLogger(__name__)

_SAME_QUESTION = 3  # times that a greedy policy is asked it


class Decider(Protocol):
    def decide(self, asked: Mapping[int, Asked]) -> Mapping[int, Vector | Void]:
        """A (K, 7) chunk in physical units for each of these cells."""
        ...


class Answering(Protocol):
    """A policy as a function of observations; what it is made of is its own affair."""

    @property
    def contract(self) -> PolicyContract: ...

    def answer(self, observations: Sequence[Observation]) -> Sequence[Vector]: ...

    def probe(self) -> Observation:
        """An observation that it surely accepts."""
        ...

    def close(self) -> None: ...


class CheckpointPolicy:
    """A checkpoint as the server runs it: same engine, same preprocessing, same decoding of actions."""

    def __init__(
        self, model: EnginePolicy, *, temperature: float | None = None, sampling_seed: int = 0
    ) -> None:
        self.contract = model.contract
        self._model = model
        self._temperature = temperature  # None: greedy
        self._generator = torch.Generator(device=model.device).manual_seed(sampling_seed)
        model.check()

    def answer(self, observations: Sequence[Observation]) -> Sequence[Vector]:
        """On a CPU no answer depends on what else is asked: only prompts of one length share a batch."""
        prepared = [self._model.prepare(observation) for observation in observations]
        chunks: list[Vector | None] = [None] * len(prepared)
        for rows in self._batches(prepared):
            for row, chunk in zip(rows, self._decide([prepared[row] for row in rows]), strict=True):
                chunks[row] = chunk
        return [chunk for chunk in chunks if chunk is not None]

    def _batches(self, prepared: Sequence[DecodedObservation]) -> list[list[int]]:
        kinds: dict[int, list[int]] = {}
        for row, one in enumerate(prepared):
            kinds.setdefault(0 if self._model.on_gpu else len(one.tokens), []).append(row)
        most = self._model.largest_batch or len(prepared)
        return [rows[at : at + most] for rows in kinds.values() for at in range(0, len(rows), most)]

    def _decide(self, batch: Sequence[DecodedObservation]) -> Sequence[Vector]:
        if self._temperature is None:
            return self._model.forward(batch)
        return self._model.decide(
            batch, sample=True, temperature=self._temperature, generator=self._generator
        )

    def probe(self) -> Observation:
        return self._model.golden_observation

    def close(self) -> None:
        """There is nothing to give back."""


class Client(Protocol):
    """What is needed of `BlockingPolicyClient`."""

    def predict(self, observation: Observation) -> ActionChunk: ...
    def close(self) -> None: ...


class ServedPolicy:
    """A policy behind gRPC, asked as robots ask it: one call per robot, all of them at once."""

    def __init__(
        self,
        client: Client,
        contract: PolicyContract,
        *,
        name: str,
        robots: int,
        pauses: Sequence[float] = (0.5, 2.0, 8.0),
    ) -> None:
        self.contract = contract
        self._client = client
        self._pauses = pauses  # [s] before it asks again; after the last one the failure is raised
        self._name = name  # as the server calls it, whatever its contract does
        self._pool = ThreadPoolExecutor(max_workers=max(1, robots), thread_name_prefix="asking")

    def answer(self, observations: Sequence[Observation]) -> Sequence[Vector]:
        return list(self._pool.map(self._predict, observations))

    def _predict(self, observation: Observation) -> Vector:
        chunk = self._ask(dataclasses.replace(observation, policy=self._name))
        if chunk.policy_digest != self.contract.policy_digest:
            raise ContractError(
                f"the server's {self.contract.name!r} became another policy during the evaluation:"
                f" {chunk.policy_digest[:12]} instead of {self.contract.policy_digest[:12]}"
            )
        return chunk.actions

    def _ask(self, observation: Observation) -> ActionChunk:
        """An answer is a function of the observation: asking again after a hiccup changes no figure."""
        for pause in self._pauses:
            try:
                return self._client.predict(observation)
            except PolicyUnavailable as error:
                _log.warning("%s; asking again in %g s", error, pause)
                time.sleep(pause)
        return self._client.predict(observation)

    def probe(self) -> Observation:
        return blank_observation(self.contract)

    def close(self) -> None:
        self._pool.shutdown()
        self._client.close()


class PolicyDecider:
    """A robot per cell, all robots' questions in one batch."""

    def __init__(self, policy: Answering, suite: Suite) -> None:
        self._policy = policy
        self._suite = suite

    def decide(self, asked: Mapping[int, Asked]) -> Mapping[int, Vector | Void]:
        observations = [observation_of(one, self._policy.contract, self._suite) for one in asked.values()]
        return dict(zip(asked, self._policy.answer(observations), strict=True))


class ExpertDecider:
    """The suite's scripted expert, which sees the truth instead of the pictures."""

    def __init__(self, cells: Cells, steps: int) -> None:
        self._cells = cells
        self._question = methodcaller("expert", steps)

    def decide(self, asked: Mapping[int, Asked]) -> Mapping[int, Vector | Void]:
        return self._cells.ask(self._question, list(asked))


def require_greedy(policy: Answering) -> None:
    """Raise unless the policy answers one question in one way."""
    observation = policy.probe()
    answers: list[Vector] = []
    for seed in range(_SAME_QUESTION):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            answers.append(np.asarray(policy.answer([observation])[0]))
    widest = max(float(np.abs(answer - answers[0]).max()) for answer in answers)
    if widest > 0:
        raise ContractError(
            f"policy {policy.contract.name!r} is to be evaluated greedily, but answers one observation in"
            f" different ways, up to {widest:.2g} apart (m, rad): it samples"
        )
