"""Who may command: the one connection with the open hold-to-run stream. A stop needs no lease."""

import threading


class Lease:
    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._holder = ""  # the connection
        self._names: dict[str, str] = {}  # connection: what its operator is called

    def take(self, connection: str) -> bool:
        """True when this connection has it now and had it not before."""
        with self._guard:
            if self._holder:
                return False
            self._holder = connection
            return True

    def give_back(self, connection: str) -> None:
        with self._guard:
            if self._holder == connection:
                self._holder = ""
                self._names.clear()

    def introduce(self, connection: str, operator: str) -> None:
        with self._guard:
            if operator and connection == self._holder:
                self._names[connection] = operator

    @property
    def holder(self) -> str:
        """For people: the operator's name, or the connection's address."""
        with self._guard:
            return self._names.get(self._holder, self._holder)

    def refusal(self, connection: str, *, needed: bool) -> str:
        """Why this connection may not command; empty when it may.

        Where no key has to be held, a free lease is not `needed`: whoever comes may command.
        """
        with self._guard:
            if self._holder == connection:
                return ""
            if self._holder:
                name = self._names.get(self._holder, self._holder)
                return f"{name} has the lease; only a stop is accepted from others"
            return "open the hold-to-run stream first: it is the lease" if needed else ""
