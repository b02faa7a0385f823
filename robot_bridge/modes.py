"""What the bridge may do, and which event takes it where: one table, tested exhaustively, in the manual.

`stop` and `fault` are in every row. Only a person's `clear` leaves FAULT, at the earliest 0.5 s after the
newest fault. HOLDING comes in three kinds, by what the operator has to do to go on.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Literal, get_args

from robot_contract.messages import Mode

COOL_DOWN = 0.5  # [s] between the newest fault and the earliest clear

Event = Literal[
    "arm",  # operator
    "disarm",  # operator
    "start",  # operator: the policy drives
    "move",  # operator: to a joint goal
    "pause",  # operator
    "stop",  # operator, anybody
    "clear",  # operator, after a fault
    "pressed",  # the hold-to-run key counts as held again, by a new press
    "released",  # the key is not held
    "watchdog",  # something was missing for longer than a HOLD may last
    "finished",  # time is up, or the goal is reached
    "fault",  # a device, the policy or the bridge itself failed
]
OPERATOR_EVENTS: tuple[Event, ...] = ("arm", "disarm", "start", "move", "pause", "stop", "clear")


class State(Enum):
    """(mode, what the operator has to do next)."""

    IDLE = ("IDLE", "arm")
    ARMED = ("ARMED", "start a trial, move to a pose, or disarm")
    RUNNING = ("RUNNING", "keep holding the key; pause or stop")
    HOLDING_FOR_PRESS = ("HOLDING", "press and hold the key to go on, or disarm")
    HOLDING_FOR_RELEASE = ("HOLDING", "release the key, then start, or disarm")
    HOLDING_FOR_START = ("HOLDING", "start to go on, or disarm")
    FAULT = ("FAULT", "remove the cause, then clear")

    @property
    def mode(self) -> Mode:
        return self.value[0]

    @property
    def needs(self) -> str:
        return self.value[1]


TABLE: dict[State, dict[Event, State]] = {
    State.IDLE: {
        "arm": State.ARMED,
        "stop": State.FAULT,
        "fault": State.FAULT,
    },
    State.ARMED: {
        "disarm": State.IDLE,
        "start": State.RUNNING,
        "move": State.RUNNING,
        "stop": State.FAULT,
        "fault": State.FAULT,
    },
    State.RUNNING: {
        "disarm": State.IDLE,
        "pause": State.HOLDING_FOR_START,
        "released": State.HOLDING_FOR_PRESS,
        "watchdog": State.HOLDING_FOR_RELEASE,
        "finished": State.ARMED,
        "stop": State.FAULT,
        "fault": State.FAULT,
    },
    State.HOLDING_FOR_PRESS: {
        "disarm": State.IDLE,
        "pause": State.HOLDING_FOR_START,
        "pressed": State.RUNNING,
        "stop": State.FAULT,
        "fault": State.FAULT,
    },
    State.HOLDING_FOR_RELEASE: {
        "disarm": State.IDLE,
        "released": State.HOLDING_FOR_START,
        "stop": State.FAULT,
        "fault": State.FAULT,
    },
    State.HOLDING_FOR_START: {
        "disarm": State.IDLE,
        "start": State.RUNNING,
        "stop": State.FAULT,
        "fault": State.FAULT,
    },
    State.FAULT: {
        "clear": State.IDLE,
        "stop": State.FAULT,
        "fault": State.FAULT,
    },
}


@dataclass(frozen=True, kw_only=True)
class Modes:
    """Where the bridge stands, and why."""

    state: State = State.IDLE
    why: str = "the bridge has just started"
    since: float = 0.0  # [s]
    faulted_at: float = float("-inf")  # [s] the newest stop or fault

    @property
    def mode(self) -> Mode:
        return self.state.mode


def after(modes: Modes, event: Event, *, why: str, now: float) -> Modes:
    """What follows from an event that `refusal` lets pass; events that mean nothing here change nothing."""
    if refusal(modes, event, now=now) is not None:
        return modes
    following = TABLE[modes.state][event]
    faulted = event in ("stop", "fault")
    if faulted and modes.state is State.FAULT:
        return Modes(state=modes.state, why=modes.why, since=modes.since, faulted_at=now)
    return Modes(state=following, why=why, since=now, faulted_at=now if faulted else modes.faulted_at)


def refusal(modes: Modes, event: Event, *, now: float) -> str | None:
    """Why this event is not possible now, in words; None when it is."""
    row = TABLE[modes.state]
    if event not in row:
        possible = ", ".join(e for e in OPERATOR_EVENTS if e in row)
        return f"{event} is not possible in {modes.mode} ({modes.why}); possible are {possible}"
    waited = now - modes.faulted_at
    if event == "clear" and not waited >= COOL_DOWN:
        return (
            f"clear is possible {COOL_DOWN:g} s after the newest fault; it was {max(waited, 0.0):.2f} s ago"
        )
    return None


def table_for_people() -> str:
    """The table as the manual prints it, in Markdown."""
    header = ["event", *(f"{state.mode} ({state.needs})" for state in State)]
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    for event in get_args(Event):
        cells = [TABLE[state][event].name if event in TABLE[state] else "–" for state in State]
        lines.append("| " + " | ".join([f"`{event}`", *cells]) + " |")
    return "\n".join(lines)
