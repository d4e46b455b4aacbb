"""Counts of the model's inputs and scores by simulated day: all that drift needs, of constant size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from labserver.model.reference import MONTH, Reference
from labserver.moments import NEW_YORK

FULL_BEFORE = 6
"""A day counts as complete if it was watched from before this hour: few requests have an earlier prediction time."""


@dataclass(frozen=True)
class Tally:
    """Counts over some predictions.

    Attributes:
        rows: how many.
        bins: by bin of the reference, shape (columns, BINS): features as received, gaps filled; then the score.
        missing: number of values that were not known, shape (features,).
        impossible: number of impossible values, shape (features,).
    """

    rows: int
    bins: NDArray[np.int64]
    missing: NDArray[np.int64]
    impossible: NDArray[np.int64]

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.rows + other.rows,
            self.bins + other.bins,
            self.missing + other.missing,
            self.impossible + other.impossible,
        )

    @classmethod
    def empty(cls, reference: Reference) -> Tally:
        """A tally of no predictions."""
        features = len(reference.names) - 1
        bins = np.zeros(reference.shares.shape, np.int64)
        return cls(0, bins, np.zeros(features, np.int64), np.zeros(features, np.int64))


class DailyTallies:
    """Tallies of the last days. A day is complete once the service's clock is in a later one."""

    def __init__(self, reference: Reference) -> None:
        self._nothing = Tally.empty(reference)
        self._tallies: dict[int, Tally] = {}
        self._clock = 0
        self._partial = 0

    def add(self, day: int, tally: Tally) -> None:
        """Add a tally to a day (``date.toordinal`` in New York)."""
        self._tallies[day] = self._tallies.get(day, self._nothing) + tally

    def move(self, clock: datetime) -> None:
        """Note the service's clock. If it goes back, a new run through time begins and the old one is forgotten."""
        local = clock.astimezone(NEW_YORK)
        day = local.toordinal()
        if day < self._clock:
            self._tallies.clear()
        if day != self._clock + 1 and day != self._clock and local.hour >= FULL_BEFORE:
            self._partial = day
        self._clock = day
        self._tallies = {d: tally for d, tally in self._tallies.items() if d >= day - MONTH}

    def today(self) -> Tally:
        """The tally of the clock's day so far."""
        return self._tallies.get(self._clock, self._nothing)

    def complete(self) -> Sequence[Tally]:
        """The days before it, oldest first, at most :data:`MONTH`; one that was not watched from its start is left
        out.
        """
        return [self._tallies[day] for day in sorted(self._tallies) if day < self._clock and day != self._partial]
