"""A batch of answers as arrays, which monitoring counts, compares and logs."""

from __future__ import annotations

from collections import Counter as Bag
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labserver.features.catalogue import Catalogue
from labserver.features.flight import Flight
from labserver.model.reference import Reference
from labserver.moments import HOUR, NEW_YORK, from_microseconds
from labserver.monitor.tally import Tally
from labserver.service.answer import Answer

Pair = tuple[Flight, Answer]


@dataclass(frozen=True)
class Served:
    """A batch of n answers.

    Attributes:
        pairs: the flights and their answers.
        asked: prediction times, in microseconds since 1970 UTC, shape (n,).
        received: features before ranges and imputation, shape (n, features), float32, NaN where nothing was known.
        used: features as the model saw them, likewise.
        scores: probabilities, shape (n,), float32.
        warned: how many were answered with a warning.
    """

    pairs: Sequence[Pair]
    asked: NDArray[np.int64]
    received: NDArray[np.float32]
    used: NDArray[np.float32]
    scores: NDArray[np.float32]
    warned: int

    @classmethod
    def from_answers(cls, pairs: Sequence[Pair]) -> Served:
        """Make a batch of at least one answer."""
        vectors = [answer.vector for _, answer in pairs]
        return cls(
            pairs,
            np.array([vector.asked for vector in vectors], np.int64),
            np.concatenate([vector.received for vector in vectors]).reshape(len(pairs), -1),
            np.concatenate([vector.values for vector in vectors]),
            np.array([answer.probability for _, answer in pairs], np.float32),
            [answer.decision for _, answer in pairs].count("warn"),
        )


@dataclass(frozen=True)
class Counted:
    """Counts of a batch: tallies by New York's day of the prediction time (``date.toordinal``), and the numbers of
    clipped and of stale values, both of shape (features,).
    """

    days: Mapping[int, Tally]
    clipped: NDArray[np.int64]
    stale: NDArray[np.int64]


class AnswerCounter:
    """Counts a batch with a dozen array operations."""

    def __init__(self, catalogue: Catalogue, reference: Reference) -> None:
        self._reference = reference
        self._low, self._high, self._typical = catalogue.low, catalogue.high, catalogue.typical
        self._position = {name: place for place, name in enumerate(catalogue.names)}
        self._day_of_hour: dict[int, int] = {}

    def count(self, served: Served) -> Counted:
        """The counts of a batch."""
        missing = np.isnan(served.received)
        impossible = (served.received < self._low) | (served.received > self._high)
        clipped = (served.received != served.used) & ~missing & ~impossible
        values = np.where(missing, self._typical, served.received)
        matrix = np.concatenate([values, served.scores[:, None]], axis=1)
        tallies = {}
        for day, rows in self._days(served.asked):
            of_day = matrix[rows]
            tallies[day] = Tally(
                len(of_day),
                self._reference.count(of_day),
                np.count_nonzero(missing[rows], axis=0),
                np.count_nonzero(impossible[rows], axis=0),
            )
        return Counted(tallies, np.count_nonzero(clipped, axis=0), self._stale(served.pairs))

    def _stale(self, pairs: Sequence[Pair]) -> NDArray[np.int64]:
        counts = np.zeros(len(self._position), np.int64)
        for names, times in Bag([answer.stale for _, answer in pairs]).items():
            for name in names:
                counts[self._position[name]] += times
        return counts

    def _days(self, asked: NDArray[np.int64]) -> list[tuple[int, slice | NDArray[np.bool_]]]:
        """Each day that occurs, with its rows."""
        hours = asked // HOUR
        if (hours == hours[0]).all():
            return [(self._day(int(hours[0])), slice(None))]
        days = np.array([self._day(hour) for hour in hours.tolist()])
        return [(int(day), days == day) for day in np.unique(days)]

    def _day(self, hour: int) -> int:
        """New York's day of each hour, remembered: time zones are slow and hours are few."""
        if hour not in self._day_of_hour:
            if len(self._day_of_hour) > 20_000:
                self._day_of_hour.clear()
            self._day_of_hour[hour] = from_microseconds(hour * HOUR).astimezone(NEW_YORK).toordinal()
        return self._day_of_hour[hour]
