"""Is somebody holding the key now? Answered with ages that a late or repeated message cannot freshen.

The bridge sends nonces; a heartbeat echoes the newest one with the id of its press. What counts is how
long ago that nonce left the bridge. Over 250 ms the press is lost for good, and only a new one moves the arm.
"""

import threading
from collections import deque

from robot_contract.messages import Heartbeat, HoldState

LONGEST_AGE = 0.25  # [s] from a nonce's leaving to its echo's last use
_REMEMBERED_PRESSES = 4096


class HoldToRun:
    """Fed by the operator service, asked by the control thread; every method takes the time."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._next_nonce = 1
        self._sent: deque[tuple[int, float]] = deque()  # (nonce, when it left), young enough to count
        self._press = 0
        self._echoed_at = float("-inf")  # when the newest echoed nonce left the bridge
        self._lost: deque[int] = deque(maxlen=_REMEMBERED_PRESSES)

    def issue(self, now: float) -> HoldState:
        """A state with a fresh nonce, to be sent at once."""
        with self._guard:
            self._expire(now)
            nonce = self._next_nonce
            self._next_nonce += 1
            self._sent.append((nonce, now))
            return HoldState(nonce=nonce, held=self._press != 0, age=self._age(now), press=self._press)

    def beat(self, heartbeat: Heartbeat, now: float) -> None:
        with self._guard:
            self._expire(now)
            if not heartbeat.held:
                self._lose(heartbeat.press)
                if heartbeat.press in (0, self._press):
                    self._release()
                return
            left_at = next((at for nonce, at in self._sent if nonce == heartbeat.nonce), None)
            if left_at is None or heartbeat.press == 0 or heartbeat.press in self._lost:
                return
            if heartbeat.press != self._press:
                self._lose(self._press)
                self._press, self._echoed_at = heartbeat.press, left_at
            self._echoed_at = max(self._echoed_at, left_at)

    def drop(self) -> None:
        """The stream is gone, and the hold with it."""
        with self._guard:
            self._release()
            self._sent.clear()

    def press(self, now: float) -> int:
        """The press that counts as held now; 0 for none."""
        with self._guard:
            self._expire(now)
            return self._press

    def age(self, now: float) -> float:
        with self._guard:
            return self._age(now)

    def _age(self, now: float) -> float:
        return now - self._echoed_at

    def _expire(self, now: float) -> None:
        while self._sent and not now - self._sent[0][1] <= LONGEST_AGE:
            self._sent.popleft()
        if self._press != 0 and not self._age(now) <= LONGEST_AGE:
            self._release()

    def _release(self) -> None:
        self._lose(self._press)
        self._press = 0

    def _lose(self, press: int) -> None:
        if press != 0 and press not in self._lost:
            self._lost.append(press)
