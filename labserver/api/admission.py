"""How many requests may be in the service at once. The rest are refused at once instead of being answered too late."""

from __future__ import annotations

import time
from typing import Protocol

from labserver.settings import Settings

PATIENCE = 1.0
"""For so many seconds after a refusal the service calls itself overloaded, so that a balancer sends elsewhere."""


class Admission(Protocol):
    """Lesson 7. Counts the requests in the service."""

    def enter(self) -> bool:
        """Whether one more may come in; if so, :meth:`leave` must follow."""

    def leave(self) -> None:
        """A request that came in is out."""

    @property
    def overloaded(self) -> bool:
        """Whether requests were refused just now."""


class ConcurrencyLimit:
    """At most ``limit`` requests at once."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._inside = 0
        self._refused_at = -PATIENCE

    def enter(self) -> bool:
        """See :class:`Admission`."""
        if self._inside >= self._limit:
            self._refused_at = time.monotonic()
            return False
        self._inside += 1
        return True

    def leave(self) -> None:
        """See :class:`Admission`."""
        self._inside -= 1

    @property
    def overloaded(self) -> bool:
        """See :class:`Admission`."""
        return time.monotonic() - self._refused_at < PATIENCE


def admission(settings: Settings) -> ConcurrencyLimit:
    """Lesson 7: a limit from Little's law, requests/s times the wait that is still acceptable."""
    return ConcurrencyLimit(settings.concurrency)
