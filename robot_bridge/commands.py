"""What the operator service hands to the control thread, and the answer that comes back."""

from concurrent.futures import Future
from dataclasses import dataclass, field

from robot_bridge.modes import Event
from robot_bridge.rig import JointPosition
from robot_bridge.trial import Trial
from robot_contract.messages import OperatorEvent


@dataclass(frozen=True, kw_only=True, eq=False)
class Command:
    """`done` gets an empty string, or the sentence that says why it was not carried out."""

    event: Event
    operator: OperatorEvent
    goal: JointPosition = ()  # of `move`
    done: Future[str] = field(default_factory=Future[str])


@dataclass(frozen=True, kw_only=True, eq=False)
class Preparation:
    """A new trial for the bridge; possible in IDLE and ARMED."""

    trial: Trial
    done: Future[str] = field(default_factory=Future[str])
