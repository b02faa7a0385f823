"""Asking the policy without ever making the control thread wait.

`Asking` owns the gRPC stream in a thread of its own: it takes the newest `Ask`, makes the observation, sends
it, and leaves the answer in a slot. It reconnects by itself, and whatever connects is checked anew: a server
that answers with another policy than the armed one is refused, in words.
"""

import logging
import threading
from dataclasses import dataclass
from typing import Protocol

from robot_bridge.ages import Ages
from robot_bridge.clock import Clock
from robot_bridge.latest import Latest
from robot_bridge.observation import Ask, ObservationRefused, make_observation
from robot_contract.errors import PolicyUnavailable
from robot_contract.messages import ActionChunk, Observation, Refusal
from robot_contract.policy_contract import PolicyContract

_log = logging.getLogger(__name__)

CONNECTED = "connected"
_SHORTEST_BACK_OFF = 0.1  # [s]
_LONGEST_BACK_OFF = 1.0  # [s]
_POLL = 0.02  # [s] how long the thread looks at one side before it looks at the other
_CONTRACT_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """What became of one `Ask`."""

    session: str
    sequence: int
    arrived_at: float  # [s], bridge clock
    observation: Observation | None = None
    chunk: ActionChunk | None = None
    refusal: str = ""  # why there is no chunk


class PolicyAnswers(Protocol):
    """Where the loop gets its chunks from."""

    def prepare(self, contract: PolicyContract | None) -> None:
        """From now on this policy is asked, and no other is accepted."""
        ...

    def post(self, ask: Ask) -> None: ...
    def take(self, now: float) -> Answer | None: ...

    @property
    def ages(self) -> Ages:
        """Observation to arrival."""
        ...

    @property
    def state(self) -> str:
        """`connected`, or a sentence."""
        ...


class PolicyStream(Protocol):
    def send(self, observation: Observation) -> None: ...
    def receive(self, timeout: float) -> ActionChunk | Refusal | None: ...
    def close(self) -> None: ...


class Predictor(Protocol):
    """A policy in process, or `BlockingPolicyClient`."""

    def predict(self, observation: Observation) -> ActionChunk: ...


class PolicyConnection(Predictor, Protocol):
    """What `BlockingPolicyClient` offers."""

    def get_contract(self, policy: str, *, timeout: float) -> PolicyContract: ...
    def open_stream(self) -> PolicyStream: ...


@dataclass(frozen=True, kw_only=True, eq=False)
class _Assignment:
    """One `prepare`: a new one each time, also for the same policy."""

    contract: PolicyContract


class Asking:
    def __init__(self, client: PolicyConnection, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._assignment: Latest[_Assignment] = Latest()
        self._asks: Latest[Ask] = Latest()
        self._answers: Latest[Answer] = Latest()
        self._stopping = threading.Event()
        self._state = "no policy is prepared"
        self.ages = Ages()
        self._thread = threading.Thread(target=self._run, name="asking", daemon=True)

    @property
    def state(self) -> str:
        return self._state

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stopping.set()
        self._thread.join(timeout=5.0)

    def prepare(self, contract: PolicyContract | None) -> None:
        self._assignment.take()
        self._asks.take()
        self._answers.take()
        self._state = "no policy is prepared" if contract is None else "connecting"
        if contract is not None:
            self._assignment.put(_Assignment(contract=contract))

    def post(self, ask: Ask) -> None:
        self._asks.put(ask)

    def take(self, now: float) -> Answer | None:
        return self._answers.take()

    def _run(self) -> None:
        back_off = _SHORTEST_BACK_OFF
        while not self._stopping.is_set():
            assignment = self._assignment.peek()
            if assignment is None:
                self._stopping.wait(_POLL)
                continue
            try:
                problem = self._serve(assignment)
                back_off = _SHORTEST_BACK_OFF
            except PolicyUnavailable as error:
                problem = str(error)
                _log.warning("%s; trying again in %.1f s", problem, back_off)
            if problem and self._assignment.peek() is assignment:
                self._state = problem
                self._stopping.wait(back_off)
                back_off = min(2 * back_off, _LONGEST_BACK_OFF)

    def _serve(self, assignment: _Assignment) -> str:
        """Answer asks until there is another assignment; return a sentence when this server will not do."""
        contract = assignment.contract
        found = self._client.get_contract(contract.name, timeout=_CONTRACT_SECONDS)
        problem = differing_policy(contract, found.interface_digest, found.policy_digest)
        if problem:
            return problem
        stream = self._client.open_stream()
        self._state = CONNECTED
        waiting: dict[int, tuple[Ask, Observation]] = {}
        try:
            while not self._stopping.is_set() and self._assignment.peek() is assignment:
                ask = self._asks.take() if waiting else self._asks.wait(_POLL)
                if ask is not None:
                    self._send(stream, ask, contract, waiting)
                self._receive(stream, contract, waiting)
        except PolicyUnavailable as error:
            for ask, _ in waiting.values():
                self._refuse(ask, str(error))
            raise
        finally:
            stream.close()
        return ""

    def _send(
        self,
        stream: PolicyStream,
        ask: Ask,
        contract: PolicyContract,
        waiting: dict[int, tuple[Ask, Observation]],
    ) -> None:
        if ask.contract is not contract:
            return
        try:
            observation = make_observation(ask)
        except ObservationRefused as error:
            self._refuse(ask, str(error))
            return
        stream.send(observation)
        waiting.clear()  # the newest observation of a session supersedes
        waiting[ask.sequence] = (ask, observation)

    def _receive(
        self,
        stream: PolicyStream,
        contract: PolicyContract,
        waiting: dict[int, tuple[Ask, Observation]],
    ) -> None:
        """Also with nothing to wait for: a stream may end while the arm stands."""
        reply = stream.receive(_POLL / 4 if waiting else 0.0)
        now = self._clock.now()
        if reply is None:
            for ask, _ in list(waiting.values()):
                if not now - ask.asked_at <= ask.deadline:
                    waiting.clear()
                    self._refuse(ask, f"no answer within {ask.deadline:.2f} s")
            return
        found = waiting.pop(reply.sequence, None)
        if found is None or found[0].session != reply.session:
            return  # superseded, or of a session that has ended
        ask, observation = found
        if isinstance(reply, Refusal):
            self._refuse(ask, f"the server refused ({reply.reason}): {reply.sentence}")
            return
        problem = differing_policy(contract, reply.interface_digest, reply.policy_digest)
        if problem:
            self._state = problem
            self._refuse(ask, problem)
            return
        self.ages.add(now - observation.observed_at)
        self._answers.put(
            Answer(
                session=ask.session,
                sequence=ask.sequence,
                arrived_at=now,
                observation=observation,
                chunk=reply,
            )
        )

    def _refuse(self, ask: Ask, sentence: str) -> None:
        self._answers.put(
            Answer(session=ask.session, sequence=ask.sequence, arrived_at=self._clock.now(), refusal=sentence)
        )


def differing_policy(contract: PolicyContract, interface_digest: str, policy_digest: str) -> str:
    """A sentence when these are not the digests of the armed contract; empty when they are."""
    for name, armed, found in (
        ("interface", contract.interface_digest, interface_digest),
        ("policy", contract.policy_digest, policy_digest),
    ):
        if armed != found:
            return (
                f"the server's {contract.name!r} is another policy: {name} digest {found[:12]},"
                f" armed is {armed[:12]}; prepare again"
            )
    return ""
