"""The Franka hand: its commands take up to a second, so a thread of its own gives them, newest wish first.

A second thread reads the state, and stops a command when there is a newer wish.

Closing to almost nothing is a grasp, which holds with force; any other width is a plain move. What was asked
for already is not asked for again, so a grasp is never renewed. Homing moves the fingers from end to end and
happens only when a person asks for it.
"""

import logging
import threading
import time

import franky

from robot_bridge.devices import GripperState, finger_gap
from robot_bridge.franka.patience import within
from robot_bridge.franka.settings import HandSettings
from robot_contract.errors import DeviceFault

_log = logging.getLogger(__name__)

_READ_PERIOD = 0.02  # [s]
_SILENCE = 1.0  # [s] without a state the hand does not answer
_CONNECT_SECONDS = 5.0
_LIFE = 5.0  # [s] that any command may take
_HELD_WIDTH = 0.04  # [m] with these two tolerances a grasp holds anything from 1 mm to the full opening
_HELD_INNER, _HELD_OUTER = 0.039, 0.041  # [m]
_HOMED = 0.01  # [m] a hand that has never been homed knows no greatest width


class FrankaHand:
    def __init__(self, address: str, max_width: float, settings: HandSettings) -> None:
        self._address, self._max_width, self._settings = address, max_width, settings
        self._guard = threading.Condition()
        self._closing = False
        self._wish: float | None = None  # [m], until it is taken
        self._asked: float | None = None  # [m] the last width that was taken
        self._began_at: float | None = None  # [s] of the command that is under way
        self._is_stopped = False  # that command was told to end
        self._fault = ""
        self._lost = ""
        self._hand = _connect(address)
        self._state, self._seen_at = self._read_once(), time.monotonic()
        if not self._state.max_width >= _HOMED:
            raise DeviceFault(
                f"the hand at {address} was not homed since it was switched on: `robot-bridge franka"
                " home-hand` moves its fingers from end to end"
            )
        self._threads = [
            threading.Thread(target=self._watch, name="franka-hand-state", daemon=True),
            threading.Thread(target=self._work, name="franka-hand", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def read(self) -> GripperState:
        with self._guard:
            self._require_answer()
            state = self._state
            return GripperState(
                measured_at=self._seen_at,
                width=finger_gap(state.width),
                is_moving=self._began_at is not None or self._wish is not None,
                is_grasping=state.is_grasped and self._began_at is None,
                fault=self._fault or None,
            )

    def move(self, width: float) -> None:
        if not 0.0 <= width <= 1.0:
            raise DeviceFault(f"the gripper takes a width of 0 to {self._max_width:g} m, not {width}")
        width = min(width, self._max_width)
        with self._guard:
            self._require_answer()
            if self._fault:
                raise DeviceFault(f"the gripper refuses to move after {self._fault}; clear it first")
            if width != self._asked:
                self._wish = self._asked = width
                self._guard.notify_all()

    def recover(self) -> None:
        """With the arm's own recovery: connect anew where that is needed, and accept commands again."""
        if self._lost:
            hand = _connect(self._address)
            with self._guard:
                self._hand, self._lost, self._seen_at = hand, "", time.monotonic()
        with self._guard:
            self._fault, self._wish, self._asked = "", None, None

    def close(self) -> None:
        with self._guard:
            self._closing = True
            self._guard.notify_all()
        for thread in self._threads:
            thread.join(timeout=2.0)
        self._lost = self._lost or "the connection to the gripper was closed"
        del self._hand  # at once: it takes one client only

    def _require_answer(self) -> None:
        if not self._lost and not time.monotonic() - self._seen_at <= _SILENCE:
            self._lost = f"the gripper at {self._address} does not answer; CLEAR connects anew"
        if self._lost:
            raise DeviceFault(self._lost)

    def _read_once(self) -> franky.GripperState:
        try:
            return self._hand.state
        except (franky.Exception, franky.GripperException, RuntimeError) as error:
            raise DeviceFault(f"the gripper at {self._address} does not answer: {error}") from error

    def _watch(self) -> None:
        while not self._closing:
            try:
                if not self._lost:
                    state = self._read_once()
                    with self._guard:
                        self._state, self._seen_at = state, time.monotonic()
                    self._stop_what_is_overdue()
            except DeviceFault as error:
                with self._guard:
                    self._lost = f"{error}; CLEAR connects anew"
            time.sleep(_READ_PERIOD)

    def _work(self) -> None:
        while True:
            with self._guard:
                self._guard.wait_for(lambda: self._closing or self._wish is not None)
                if self._closing:
                    return
                width, self._wish = self._wish, None
                self._began_at, self._is_stopped = time.monotonic(), False
            assert width is not None
            try:
                problem = self._carry_out(width)
            except (franky.Exception, franky.GripperException, RuntimeError) as error:
                problem = f"gripper_failed: {error}"
            with self._guard:
                self._began_at = None
                if problem and self._wish is None and not self._closing and not self._lost:
                    self._fault = problem
                    _log.error("the gripper: %s", problem)

    def _carry_out(self, width: float) -> str:
        """Give the command and wait for its end; what went wrong, if anything."""
        settings = self._settings
        if width < settings.grasp_below:
            self._hand.grasp(_HELD_WIDTH, settings.speed, settings.force, _HELD_INNER, _HELD_OUTER)
            return ""  # closing on nothing is no fault
        if not self._hand.move(width, settings.speed):
            return f"gripper_blocked: the fingers did not reach {width:.3f} m"
        return ""

    def _stop_what_is_overdue(self) -> None:
        """End the command under way when there is a newer wish, or when it does not end by itself."""
        with self._guard:
            began = self._began_at
            if began is None or self._is_stopped:
                return
            is_overdue = not time.monotonic() - began <= _LIFE
            if self._wish is None and not is_overdue:
                return
            self._is_stopped = True
        try:
            self._hand.stop()
        except (franky.Exception, franky.GripperException, RuntimeError) as error:
            raise DeviceFault(f"the gripper at {self._address} does not stop: {error}") from error


def _connect(address: str) -> franky.Gripper:
    try:
        return within(_CONNECT_SECONDS, lambda: franky.Gripper(address))
    except TimeoutError:
        raise DeviceFault(f"the hand at {address} does not answer; does another program hold it?") from None
    except (franky.Exception, RuntimeError) as error:
        raise DeviceFault(
            f"no hand answers at {address}: {error}; is it set as end effector in Desk?"
        ) from error


def home_hand(address: str) -> float:
    """Move the fingers from end to end; the greatest width [m] that was found."""
    hand = _connect(address)
    try:
        if not hand.homing():
            raise DeviceFault(f"the hand at {address} did not finish its homing; is something between?")
        return hand.state.max_width
    except (franky.Exception, franky.GripperException, RuntimeError) as error:
        raise DeviceFault(f"the hand at {address} did not finish its homing: {error}") from error
