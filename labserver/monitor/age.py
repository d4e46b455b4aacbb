"""The age of rows and the time of their arrival, by clocks that a jump of the system's clock does not mislead."""

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
        system: Callable[[], float] | None = None,
        passed: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin.

        Args:
            newest: time of the newest row, in seconds since 1970; None if there is none.
            system: the system's clock; None for the real one.
            passed: seconds from any moment on, which no one sets.
        """
        self._system, self._passed = system or time.time, passed
        self._began = self._system() if newest is None else newest
        self._at = passed()

    def __call__(self) -> float:
        """Seconds since 1970."""
        return min(self._system(), self._began + self._passed() - self._at)


class Arrival:
    """The present, as the time at which a row arrives: the system's clock, but not behind the time that has passed.

    A row that a clock forty days behind dates would be old as soon as the clock is right again. So a jump to before
    the start is believed only once it has lasted for a day; until then the rows are dated as if it had not been.
    """

    BELIEVED_AFTER = 86_400.0
    """Seconds. A clock that was ahead at the start must not date rows ahead for as long as the service runs."""

    def __init__(self, system: Callable[[], float] | None = None, passed: Callable[[], float] = time.monotonic) -> None:
        """Begin. Arguments as of :class:`Now`."""
        self._system, self._passed = system or time.time, passed
        self._began, self._at = self._system(), passed()
        self._behind_since: float | None = None

    def __call__(self) -> float:
        """Seconds since 1970."""
        system, passed = self._system(), self._passed()
        least = self._began + passed - self._at
        if system >= least:
            self._behind_since = None
            return system
        if self._behind_since is None:
            self._behind_since = passed
        if passed - self._behind_since < self.BELIEVED_AFTER:
            return least
        self._began, self._at, self._behind_since = system, passed, None
        return system
