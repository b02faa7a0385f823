"""A slot that holds one item, the newest: how the bridge's threads talk to each other.

Nothing queues up, nobody waits for a reader, and a reader never sees half an item.
"""

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Latest(Generic[T]):
    def __init__(self) -> None:
        self._arrived = threading.Condition()
        self._item: T | None = None

    def put(self, item: T) -> None:
        """Replace whatever is there."""
        with self._arrived:
            self._item = item
            self._arrived.notify_all()

    def peek(self) -> T | None:
        with self._arrived:
            return self._item

    def take(self) -> T | None:
        """Return the item and empty the slot."""
        with self._arrived:
            item, self._item = self._item, None
            return item

    def wait(self, seconds: float) -> T | None:
        """Take the item as soon as there is one; None when none came in time."""
        with self._arrived:
            self._arrived.wait_for(lambda: self._item is not None, timeout=seconds)
            item, self._item = self._item, None
            return item
