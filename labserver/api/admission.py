"""The concurrency limit. Beyond it, requests are rejected at once instead of being answered too late."""

from __future__ import annotations

from typing import Protocol

from labserver.settings import Settings


class Admission(Protocol):
    """Lesson 7. Counts the requests in the service."""

    def enter(self) -> bool:
        """Let one more request in if there is room; if the result is true, :meth:`leave` must follow."""

    def leave(self) -> None:
        """Count a request out that was let in."""


class ConcurrencyLimit:
    """Lets in at most ``limit`` concurrent requests."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._inside = 0

    def enter(self) -> bool:
        """See :class:`Admission`."""
        if self._inside >= self._limit:
            return False
        self._inside += 1
        return True

    def leave(self) -> None:
        """See :class:`Admission`."""
        self._inside -= 1


def admission(settings: Settings) -> ConcurrencyLimit:
    """Lesson 7: a limit from Little's law, requests/s times the wait that is still acceptable."""
    return ConcurrencyLimit(settings.concurrency)
