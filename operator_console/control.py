"""Which of the open pages may command the robot. One at a time; the others watch, and may still STOP."""

import logging
from typing import Protocol

log = logging.getLogger(__name__)


class Page(Protocol):
    name: str

    def control_gained(self) -> None: ...
    def control_lost(self) -> None: ...
    def control_changed(self) -> None: ...


class Control:
    def __init__(self) -> None:
        self._pages: list[Page] = []
        self._holder: Page | None = None

    def join(self, page: Page) -> None:
        """A new page gets control when nobody has it."""
        self._pages.append(page)
        if self._holder is None:
            self.take(page)

    def leave(self, page: Page) -> None:
        """Control does not pass on by itself: another page has to take it."""
        self._pages.remove(page)
        if self._holder is page:
            self._holder = None
            page.control_lost()
        self._tell()

    def take(self, page: Page) -> None:
        previous = self._holder
        if previous is page:
            return
        log.info("page %s takes control%s", page.name, f" from {previous.name}" if previous else "")
        self._holder = page
        if previous is not None:
            previous.control_lost()
        page.control_gained()
        self._tell()

    def is_held_by(self, name: str) -> bool:
        return self._holder is not None and self._holder.name == name

    def sentence_for(self, page: Page) -> str:
        if self._holder is page:
            others = len(self._pages) - 1
            watching = f", {others} more watching" if others else ""
            return f"This page has control{watching}"
        return "Another page has control" if self._holder is not None else "Nobody has control"

    def _tell(self) -> None:
        for page in self._pages:
            page.control_changed()
