"""A batch of answers as arrays, which monitoring counts, compares and logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labserver.features.catalogue import Catalogue
from labserver.features.flight import Flight
from labserver.model.reference import BINS, Reference
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
        places: code of each one's airport of origin, and whether each value was older than its source promises, shape
            (n, features): where there are no ``pairs`` that say it, as in a table of the past.
    """

    pairs: Sequence[Pair]
    asked: NDArray[np.int64]
    received: NDArray[np.float32]
    used: NDArray[np.float32]
    scores: NDArray[np.float32]
    warned: int
    places: Sequence[str] | None = None
    stale: NDArray[np.bool_] | None = None

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
    """Counts of a batch: tallies by hour of the prediction time (whole hours since 1970 UTC), and the numbers of
    clipped and of stale values, both of shape (features,).
    """

    hours: Mapping[int, Tally]
    clipped: NDArray[np.int64]
    stale: NDArray[np.int64]


class AnswerCounter:
    """Counts a batch, or a year, with some dozen array operations."""

    def __init__(self, catalogue: Catalogue, reference: Reference, places: Sequence[str] = ()) -> None:
        """``places`` are the codes of the airports that are told apart; without them, all are one."""
        self._reference = reference
        self._low, self._high, self._typical = catalogue.low, catalogue.high, catalogue.typical
        self._position = {name: column for column, name in enumerate(catalogue.names)}
        self._places = {code: number for number, code in enumerate(places)}
        self._weekday_of_hour: dict[int, int] = {}

    def count(self, served: Served) -> Counted:
        """The counts of a batch."""
        missing = np.isnan(served.received)
        impossible = (served.received < self._low) | (served.received > self._high)
        clipped = (served.received != served.used) & ~missing & ~impossible
        values = np.where(missing, self._typical, served.received)
        matrix = np.concatenate([values, served.scores[:, None]], axis=1)
        stale = self._stale(served) if served.stale is None else served.stale
        counts = self._by_hour(served, matrix, {"missing": missing, "impossible": impossible, "stale": stale})
        return Counted(counts, np.count_nonzero(clipped, axis=0), np.count_nonzero(stale, axis=0))

    def _by_hour(
        self, served: Served, matrix: NDArray[np.float32], flags: Mapping[str, NDArray[np.bool_]]
    ) -> dict[int, Tally]:
        hours, hour = np.unique(served.asked // HOUR, return_inverse=True)
        columns = matrix.shape[1]
        rows = np.bincount(hour, minlength=len(hours))
        cell = ((hour[:, None] * columns + np.arange(columns)) * BINS + self._reference.bins_of(matrix)).ravel()
        wide = matrix.astype(np.float64)
        size, shape = len(hours) * columns * BINS, (len(hours), columns, BINS)
        bins = np.bincount(cell, minlength=size).reshape(shape)
        sums = np.bincount(cell, wide.ravel(), minlength=size).reshape(shape)
        flagged = {name: _count(hour, len(hours), flag) for name, flag in flags.items()}
        lows, highs = self._extremes(hour * self._number_of_places + self._place(served), wide, len(hours))
        weekdays = np.zeros((len(hours), 7), np.int64)
        weekdays[np.arange(len(hours)), [self._weekday(at) for at in hours.tolist()]] = rows
        nothing = np.zeros(columns)
        return {
            at: Tally(
                rows=int(rows[number]),
                bins=bins[number],
                sums=sums[number],
                weekdays=weekdays[number],
                lows=lows[number],
                highs=highs[number],
                hours=1,
                still=nothing,
                **{name: counts[number] for name, counts in flagged.items()},
            )
            for number, at in enumerate(hours.tolist())
        }

    @property
    def _number_of_places(self) -> int:
        return max(1, len(self._places))

    def _place(self, served: Served) -> NDArray[np.int64]:
        """The number of each row's place, shape (n,)."""
        if not self._places:
            return np.zeros(len(served.asked), np.int64)
        codes = served.places if served.places is not None else [flight.origin for flight, _ in served.pairs]
        return np.array([self._places[code] for code in codes], np.int64)

    def _extremes(
        self, cell: NDArray[np.int64], values: NDArray[np.float64], hours: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Smallest and largest value of each hour and place, shape (hours, places, columns)."""
        shape = (hours, self._number_of_places, values.shape[1])
        lows, highs = np.full(shape, np.inf), np.full(shape, -np.inf)
        order = np.argsort(cell, kind="stable")
        cells, starts = np.unique(cell[order], return_index=True)
        lows.reshape(-1, shape[2])[cells] = np.minimum.reduceat(values[order], starts)
        highs.reshape(-1, shape[2])[cells] = np.maximum.reduceat(values[order], starts)
        return lows, highs

    def _stale(self, served: Served) -> NDArray[np.bool_]:
        stale = np.zeros(served.received.shape, np.bool_)
        for row, (_, answer) in enumerate(served.pairs):
            for name in answer.stale:
                stale[row, self._position[name]] = True
        return stale

    def _weekday(self, hour: int) -> int:
        """New York's day of the week of an hour, Monday is 0; remembered: time zones are slow and hours are few."""
        if hour not in self._weekday_of_hour:
            if len(self._weekday_of_hour) > 20_000:
                self._weekday_of_hour.clear()
            self._weekday_of_hour[hour] = from_microseconds(hour * HOUR).astimezone(NEW_YORK).weekday()
        return self._weekday_of_hour[hour]


def _count(hour: NDArray[np.int64], hours: int, flags: NDArray[np.bool_]) -> NDArray[np.int64]:
    """True values of each hour, for flags of shape (rows, features); shape (hours, features)."""
    row, column = np.nonzero(flags)
    width = flags.shape[1]
    return np.bincount(hour[row] * width + column, minlength=hours * width).reshape(hours, width)
