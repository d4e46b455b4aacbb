"""The age of rows, by a clock that no jump of the system's clock moves forward."""

from __future__ import annotations

import time
from collections.abc import Callable


class Now:
    """The present, for the age of rows: the system's clock, but never further from the newest row than time has passed.

    A system whose clock is forty days ahead would make every row old at once. So what is deleted for its age is what is
    older than the newest row by that age, counting only the time in which the service ran. A clock that is behind makes
    rows younger, and deletes nothing.
    """

    def __init__(
        self,
        newest: float | None,
        system: Callable[[], float] = time.time,
        passed: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin.

        Args:
            newest: time of the newest row, in seconds since 1970; None if there is none.
            system: the system's clock.
            passed: seconds from any moment on, which no one sets.
        """
        self._system, self._passed = system, passed
        self._began = system() if newest is None else newest
        self._at = passed()

    def __call__(self) -> float:
        """Seconds since 1970."""
        return min(self._system(), self._began + self._passed() - self._at)
