"""One observation inside the server, and the answer to it, ready for whichever wire it came in on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from robot_contract.messages import ActionChunk, Observation, Refusal


@dataclass(frozen=True, kw_only=True, eq=False)
class Arrival:
    """What the queue needs to know; the whole observation is read when its turn comes near."""

    policy: str
    session: str  # as the robot calls it
    sequence: int
    observed_at: float  # [s], bridge clock; echoed
    deadline: float  # [s] from arrival
    arrived_at: float  # [s], server's clock
    read: Callable[[], Observation]  # validates; WireError refuses it


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    reply: ActionChunk | Refusal
    arrived_at: float  # [s], server's clock
    decided_at: float  # [s], server's clock
    deadline_at: float  # [s], server's clock: a chunk is worthless later
    policy: str  # name, for counting


@dataclass(kw_only=True, eq=False)
class Request:
    arrival: Arrival
    deliver: Callable[[Answer], None]  # called once, on the event loop
    prepared: Any = None
    preprocess: float = 0.0  # [s]
    closed: bool = False  # answered, superseded or cancelled: not worth preparing
