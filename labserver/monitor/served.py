"""A batch of answers as arrays: what monitoring counts, compares and logs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labserver.features.catalogue import Catalogue
from labserver.features.flight import NEW_YORK, Flight, from_microseconds
from labserver.model.reference import Reference
from labserver.monitor.tally import Tally
from labserver.service.prediction import Answer

HOUR = 3_600_000_000
"""Microseconds."""

Pair = tuple[Flight, Answer]


@dataclass(frozen=True)
class Served:
    """A batch of n answers.

    Attributes:
        pairs: the flights and their answers.
        asked: when each question was put, in microseconds since 1970 UTC, shape (n,).
        received: features before ranges and completion, shape (n, features), float32, NaN where nothing was known.
        used: features as the model saw them, likewise.
        scores: probabilities, shape (n,), float32.
    """

    pairs: Sequence[Pair]
    asked: NDArray[np.int64]
    received: NDArray[np.float32]
    used: NDArray[np.float32]
    scores: NDArray[np.float32]

    @classmethod
    def of(cls, pairs: Sequence[Pair]) -> Served:
        """From at least one answer."""
        vectors = [answer.vector for _, answer in pairs]
        return cls(
            pairs,
            np.array([round(vector.as_of.timestamp() * 1e6) for vector in vectors], np.int64),
            np.concatenate([vector.received for vector in vectors]).reshape(len(pairs), -1),
            np.concatenate([vector.values for vector in vectors]),
            np.array([answer.probability for _, answer in pairs], np.float32),
        )


@dataclass(frozen=True)
class Found:
    """What is notable of each value of a batch; three masks of shape (n, features)."""

    missing: NDArray[np.bool_]
    impossible: NDArray[np.bool_]
    clipped: NDArray[np.bool_]


class Counter:
    """Finds and counts, with a dozen array operations a batch."""

    def __init__(self, catalogue: Catalogue, reference: Reference) -> None:
        features = catalogue.features
        self._reference = reference
        self._low = np.array([f.possible.low for f in features], np.float32)
        self._high = np.array([f.possible.high for f in features], np.float32)
        self._typical = np.array([f.trained.typical if f.trained else 0.0 for f in features], np.float32)
        self._day_of_hour: dict[int, int] = {}

    def find(self, served: Served) -> Found:
        """The masks of a batch."""
        missing = np.isnan(served.received)
        impossible = (served.received < self._low) | (served.received > self._high)
        return Found(missing, impossible, (served.received != served.used) & ~missing & ~impossible)

    def tally(self, served: Served, found: Found) -> dict[int, Tally]:
        """Counts by day of New York (``date.toordinal``) on which the question was put."""
        values = np.where(found.missing, self._typical, served.received)
        matrix = np.concatenate([values, served.scores[:, None]], axis=1)
        hours = served.asked // HOUR
        if hours[0] == hours[-1] and (hours == hours[0]).all():
            return {self._day(int(hours[0])): self._count(matrix, found.missing, found.impossible)}
        days = np.array([self._day(hour) for hour in hours.tolist()])
        return {
            int(day): self._count(matrix[rows], found.missing[rows], found.impossible[rows])
            for day in np.unique(days)
            for rows in [days == day]
        }

    def _count(self, matrix: NDArray[np.float32], missing: NDArray[np.bool_], impossible: NDArray[np.bool_]) -> Tally:
        return Tally(len(matrix), self._reference.count(matrix), missing.sum(axis=0), impossible.sum(axis=0))

    def _day(self, hour: int) -> int:
        """Time zones are slow and hours are few."""
        if hour not in self._day_of_hour:
            if len(self._day_of_hour) > 20_000:
                self._day_of_hour.clear()
            self._day_of_hour[hour] = from_microseconds(hour * HOUR).astimezone(NEW_YORK).toordinal()
        return self._day_of_hour[hour]
