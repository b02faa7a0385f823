"""A loaded checkpoint as the server runs it: the fast engine behind the same preprocessing as everywhere."""

from collections.abc import Sequence

import torch

from policy_server.actions import decode_actions
from policy_server.checkpoint import Checkpoint
from policy_server.model.cuda_graphs import BATCHES
from policy_server.model.engine import Engine
from policy_server.preprocessing import DecodedObservation, Preprocessor
from robot_contract.errors import ContractError
from robot_contract.messages import Observation
from robot_contract.pose import Vector

# Prompts of these lengths are run before serving, so that no instruction waits for its graph to be recorded.
WARM_UP_WORDS = (1, 5, 10, 15, 20, 25)


class EnginePolicy:
    def __init__(self, checkpoint: Checkpoint, *, device: str, dtype: torch.dtype | None) -> None:
        policy = checkpoint.load_policy(device=device, dtype=dtype)
        parameter = next(policy.parameters())
        self.contract = checkpoint.contract
        self.device = str(parameter.device)
        self.on_gpu = parameter.device.type == "cuda"
        self._dtype = parameter.dtype
        self._golden = checkpoint.golden
        self._config = policy.config
        self._preprocessor = Preprocessor(
            checkpoint.contract,
            policy.config,
            checkpoint.tokenizer(),
            device=parameter.device,
            dtype=parameter.dtype,
        )
        self._engine = Engine(policy, device=self.device, dtype=self._dtype, consume=True)

    @property
    def largest_batch(self) -> int | None:
        return BATCHES[-1] if self.on_gpu else None

    @property
    def warm_up_instructions(self) -> Sequence[str]:
        return [" ".join(["pick"] * words) for words in WARM_UP_WORDS] if self.on_gpu else ["pick it up"]

    def prepare(self, observation: Observation) -> DecodedObservation:
        return self._preprocessor.decode(observation)

    def forward(self, batch: Sequence[DecodedObservation]) -> Sequence[Vector]:
        return self.decide(batch, sample=False)

    def decide(
        self,
        batch: Sequence[DecodedObservation],
        *,
        sample: bool,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Sequence[Vector]:
        """What the head says is likeliest, which is what is served; or a sample of it, for evaluation."""
        with torch.inference_mode():
            x = self._preprocessor.collate(batch)
            actions = self._engine.act(x, sample=sample, temperature=temperature, generator=generator).actions
        return [
            decode_actions(chunk, self.contract, rotation=self._config.action_rotation)
            for chunk in actions.to("cpu", torch.float64).numpy()
        ]

    @property
    def golden_observation(self) -> Observation:
        """The observation of the folder's golden chunk: one that this policy surely accepts."""
        return self._golden.observation

    def check(self) -> None:
        """Answer the golden observation of the folder as it was answered when the folder was made."""
        (actions,) = self.forward([self.prepare(self._golden.observation)])
        dtype = str(self._dtype).removeprefix("torch.")
        complaint = self._golden.complaint(actions, device=self.device, dtype=dtype)
        if complaint is not None:
            raise ContractError(f"this machine answers differently than the one that made it: {complaint}")
