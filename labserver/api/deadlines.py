"""One timer for the time limits of all requests."""

from __future__ import annotations

import asyncio
from typing import Any


class Deadlines:
    """Cancels tasks that run longer than ``seconds``.

    The limit is the same for all requests, so the oldest is due first and one timer is enough. ``asyncio.timeout``
    sets and clears a timer for each request, which costs more than a prediction's arithmetic.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._due: dict[asyncio.Task[Any], float] = {}
        self._expired: set[asyncio.Task[Any]] = set()
        self._waiting = False

    def begin(self, task: asyncio.Task[Any]) -> None:
        """Start the clock of a task."""
        loop = task.get_loop()
        self._due[task] = loop.time() + self.seconds
        if not self._waiting:
            self._waiting = True
            loop.call_later(self.seconds, self._sweep, loop)

    def end(self, task: asyncio.Task[Any]) -> None:
        """Stop the clock of a task that is done or cancelled."""
        self._due.pop(task, None)
        self._expired.discard(task)

    def expired(self, task: asyncio.Task[Any]) -> bool:
        """True if the task was cancelled from here; the cancellation is then taken back."""
        if task not in self._expired:
            return False
        task.uncancel()
        return True

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for task, due in list(self._due.items()):
            if due > now:
                loop.call_later(due - now, self._sweep, loop)
                return
            del self._due[task]
            self._expired.add(task)
            task.cancel()
        self._waiting = False
