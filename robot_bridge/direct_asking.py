"""Asking for a stepped world: the loop waits for the chunk, and its latency is charged as simulated time.

However long the computation really takes, the arm sees the answer `latency` after the question.
"""

from robot_bridge.ages import Ages
from robot_bridge.asking import CONNECTED, Answer, Predictor, differing_policy
from robot_bridge.observation import Ask, ObservationRefused, make_observation
from robot_bridge.rig import Rig
from robot_contract.errors import PolicyUnavailable
from robot_contract.policy_contract import PolicyContract


class DirectAsking:
    def __init__(self, policy: Predictor, latency: float) -> None:
        self._policy = policy
        self._latency = latency  # [s] simulated
        self._contract: PolicyContract | None = None
        self._answer: Answer | None = None
        self._state = "no policy is prepared"
        self.ages = Ages()

    @property
    def state(self) -> str:
        return self._state

    def prepare(self, contract: PolicyContract | None) -> None:
        self._contract, self._answer = contract, None
        self._state = CONNECTED if contract is not None else "no policy is prepared"

    def post(self, ask: Ask) -> None:
        arrives_at = ask.asked_at + self._latency
        observation, chunk, refusal = None, None, ""
        try:
            observation = make_observation(ask)
            chunk = self._policy.predict(observation)
            refusal = differing_policy(ask.contract, chunk.interface_digest, chunk.policy_digest)
            self._state = CONNECTED
        except ObservationRefused as error:
            refusal = str(error)
        except PolicyUnavailable as error:
            refusal = self._state = str(error)
        self._answer = Answer(
            session=ask.session,
            sequence=ask.sequence,
            arrived_at=arrives_at,
            observation=observation,
            chunk=None if refusal else chunk,
            refusal=refusal,
        )

    def take(self, now: float) -> Answer | None:
        answer = self._answer
        if answer is None or not now >= answer.arrived_at - 1e-9:
            return None
        self._answer = None
        if answer.observation is not None and answer.chunk is not None:
            self.ages.add(now - answer.observation.observed_at)
        return answer

    def assume_latency(self, rig: Rig) -> None:
        """What is charged is known before the first answer: latency, pictures' age and one tick."""
        oldest = max(camera.latency + 1.0 / camera.rate_hz for camera in rig.cameras)
        for _ in range(16):
            self.ages.add(self._latency + oldest + rig.tick_period)
