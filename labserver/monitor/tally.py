"""Counts of the model's inputs and scores by hour: all that drift needs, of constant size, and they can be added up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from labserver.model.reference import BINS, MONTH, Reference
from labserver.monitor.changes import Changes

DAY_HOURS = 24
WATCHED_HOURS = 17
"""Hours with predictions that make 24 hours a whole day: nobody asks at night. A service that was started at noon has
not seen a day, and half of one is unlike training."""


@dataclass(frozen=True)
class Tally:
    """Counts over some predictions.

    Attributes:
        rows: how many.
        bins: by bin of the reference, shape (columns, BINS): features as received, gaps filled; then the score.
        missing: number of values that were not known, shape (features,).
        impossible: number of impossible values, shape (features,).
        sums: of the values in each bin, shape (columns, BINS).
        stale: number of values older than their source promises, shape (features,).
        weekdays: rows by New York's day of the week, Monday first, shape (7,).
        lows, highs: smallest and largest value at each place, shape (places, columns); infinite where there was none.
        hours: hours in which there were predictions.
        still: hours since a value last changed, at the place where that is longest, shape (columns,).
    """

    rows: int
    bins: NDArray[np.int64]
    missing: NDArray[np.int64]
    impossible: NDArray[np.int64]
    sums: NDArray[np.float64]
    stale: NDArray[np.int64]
    weekdays: NDArray[np.int64]
    lows: NDArray[np.float64]
    highs: NDArray[np.float64]
    hours: int
    still: NDArray[np.float64]

    def __add__(self, other: Tally) -> Tally:
        """The counts of both. ``hours`` add up too, so no hour may be in both; ``still`` is the later one's."""
        return Tally(
            rows=self.rows + other.rows,
            bins=self.bins + other.bins,
            missing=self.missing + other.missing,
            impossible=self.impossible + other.impossible,
            sums=self.sums + other.sums,
            stale=self.stale + other.stale,
            weekdays=self.weekdays + other.weekdays,
            lows=np.minimum(self.lows, other.lows),
            highs=np.maximum(self.highs, other.highs),
            hours=self.hours + other.hours,
            still=other.still,
        )

    @classmethod
    def empty(cls, reference: Reference, places: int = 1) -> Tally:
        """A tally of no predictions."""
        columns = len(reference.names)
        nothing = np.zeros(columns - 1, np.int64)
        return cls(
            rows=0,
            bins=np.zeros((columns, BINS), np.int64),
            missing=nothing,
            impossible=nothing,
            sums=np.zeros((columns, BINS)),
            stale=nothing,
            weekdays=np.zeros(7, np.int64),
            lows=np.full((places, columns), np.inf),
            highs=np.full((places, columns), -np.inf),
            hours=0,
            still=np.zeros(columns),
        )

    @property
    def whole(self) -> bool:
        """Whether it was watched for long enough to be a day."""
        return self.hours >= WATCHED_HOURS


def total(tallies: Iterable[Tally]) -> Tally:
    """All of them added up; at least one."""
    return reduce(add, tallies)


class RecentHours:
    """Tallies of the last 29 days by hour. From the clock's hour back, 24 hours are a day.

    So a day is always a whole one, whatever the time: its flights are those of a morning, an afternoon and an evening.
    """

    KEPT = (MONTH + 1) * DAY_HOURS

    def __init__(self, reference: Reference, places: int = 1) -> None:
        self._nothing = Tally.empty(reference, places)
        self._tallies: dict[int, Tally] = {}
        self._days: dict[int, Tally] = {}  # by the last hour: each is used again, a day later
        self._clock = 0
        self._changes = Changes(*self._nothing.lows.shape)
        self._noted = -1

    def add(self, hour: int, tally: Tally) -> None:
        """Add a tally to an hour (whole hours since 1970 UTC). What is about the future counts for the clock's."""
        hour = min(hour, self._clock)
        known = self._tallies.get(hour)
        self._tallies[hour] = replace(known + tally, hours=1) if known else tally
        for last in range(hour, hour + DAY_HOURS):
            self._days.pop(last, None)

    def move(self, hour: int) -> None:
        """Note the hour of the service's clock. If it goes back by more than a day, a new run through time begins and
        the old one is forgotten.
        """
        if hour < self._clock - DAY_HOURS:
            self._tallies.clear()
            self._days.clear()
            self._changes = Changes(*self._nothing.lows.shape)
            self._noted = -1
        elif hour <= self._clock:
            return
        self._clock = hour
        for kept in (self._tallies, self._days):
            for old in [at for at in kept if at <= hour - self.KEPT]:
                del kept[old]

    def today(self) -> Tally:
        """The last 24 hours, that of the clock being the last of them."""
        for hour in sorted(hour for hour in self._tallies if self._noted < hour < self._clock):
            self._changes.note(hour, self._tallies[hour].lows, self._tallies[hour].highs)
        self._noted = max(self._noted, self._clock - 1)
        changes = self._changes.copy()
        if now := self._tallies.get(self._clock):  # it is under way: it is noted once it is over
            changes.note(self._clock, now.lows, now.highs)
        return replace(self._day(self._clock), still=changes.hours(self._clock))

    def days(self) -> Sequence[Tally]:
        """The days before it, oldest first, at most :data:`MONTH`, back to the first that was not watched."""
        days: list[Tally] = []
        while len(days) < MONTH and (day := self._day(self._clock - (len(days) + 1) * DAY_HOURS)).whole:
            days.append(day)
        return days[::-1]

    def _day(self, last: int) -> Tally:
        if last not in self._days:
            hours = range(last - DAY_HOURS + 1, last + 1)
            self._days[last] = total([self._nothing, *(self._tallies[h] for h in hours if h in self._tallies)])
        return self._days[last]
