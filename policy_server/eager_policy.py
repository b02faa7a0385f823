"""A loaded checkpoint as a function from observations to chunks, without any optimisation.

The plain path that every faster one must equal: golden chunks are made with it, training evaluates with it,
and a server without a GPU serves it.
"""

from collections.abc import Sequence

import torch

from policy_server.actions import decode_actions
from policy_server.model.model_input import ModelInput
from policy_server.model.policy import OftPolicy
from policy_server.preprocessing import DecodedObservation, Preprocessor, Tokenizer
from robot_contract.messages import Observation
from robot_contract.policy_contract import PolicyContract
from robot_contract.pose import Vector


class EagerPolicy:
    def __init__(self, contract: PolicyContract, policy: OftPolicy, tokenizer: Tokenizer) -> None:
        parameter = next(policy.parameters())
        self.contract = contract
        self.policy = policy.eval()
        self.device = str(parameter.device)
        self.preprocessor = Preprocessor(
            contract, policy.config, tokenizer, device=parameter.device, dtype=parameter.dtype
        )

    def prepare(self, observation: Observation) -> DecodedObservation:
        """Decode one observation; safe to call from several threads."""
        return self.preprocessor.decode(observation)

    def forward(self, batch: Sequence[DecodedObservation]) -> list[Vector]:
        """One (K, 7) chunk per observation, in physical units."""
        return self.decide(self.preprocessor.collate(batch))

    def decide(self, x: ModelInput) -> list[Vector]:
        with torch.inference_mode():
            actions = self.policy.act(x).actions
        rotation = self.policy.config.action_rotation
        return [
            decode_actions(chunk, self.contract, rotation=rotation)
            for chunk in actions.to("cpu", torch.float64).numpy()
        ]

    def predict(self, observation: Observation) -> Vector:
        return self.forward([self.prepare(observation)])[0]
