"""When values last changed: a feed that stands still sends values that are possible, usual, and always the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Changes:
    """The last change of each column at each place. An hour without predictions counts as unchanged; after a day
    without, nobody knows.
    """

    UNWATCHED_HOURS = 24

    def __init__(self, places: int, columns: int) -> None:
        self._seen = np.full((places, columns), -np.inf)
        self._value = np.full((places, columns), np.nan)
        self._since = np.zeros((places, columns))
        self._begun = np.zeros((places, columns), np.bool_)

    def note(self, hour: int, lows: NDArray[np.float64], highs: NDArray[np.float64]) -> None:
        """Note the smallest and the largest value of an hour, both of shape (places, columns); hours in their order."""
        seen = np.isfinite(lows)
        watched = hour - self._seen <= self.UNWATCHED_HOURS
        same = seen & watched & (lows == highs) & (lows == self._value)
        changed = seen & ~same
        self._since[changed] = hour
        self._value[changed] = np.where(lows == highs, lows, np.nan)[changed]
        self._seen[seen] = hour
        self._begun |= seen

    def hours(self, hour: int) -> NDArray[np.float64]:
        """Hours since the last change, at the place where that is longest; shape (columns,)."""
        longest: NDArray[np.float64] = np.where(self._begun, hour - self._since, 0.0).max(axis=0)
        return longest

    def copy(self) -> Changes:
        """Another one, which notes for itself."""
        other = Changes(*self._value.shape)
        other._value, other._since = self._value.copy(), self._since.copy()
        other._seen, other._begun = self._seen.copy(), self._begun.copy()
        return other
