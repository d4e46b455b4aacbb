"""Real days as a monitor counts them, and the same days with something gone wrong upstream."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from labserver.features.catalogue import Catalogue
from labserver.features.ranges import clean
from labserver.model.reference import Reference, as_received
from labserver.monitor.tally import Tally
from labserver.parts import Context
from labserver.pipeline.join import point_in_time
from labserver.pipeline.replay import PERIOD
from labserver.pipeline.sources.warehouse import open_warehouse
from labserver.service.ports import Predictor
from labserver.service.selection import by_name
from labserver.settings import Settings

EVERY_NTH_FLIGHT = 2
"""Every Nth flight is used: 400 a day are enough to count."""


@dataclass(frozen=True)
class FlightDays:
    """Flights of some days.

    Attributes:
        catalogue: the features.
        reference: statistics of training.
        predictor: the model.
        raw: features as joined, shape (flights, features), float32, NaN where nothing was known.
        day: day of the period of each prediction time, from 0, shape (flights,).
        origin: airport code of each, shape (flights,).
    """

    catalogue: Catalogue
    reference: Reference
    predictor: Predictor
    raw: NDArray[np.float32]
    day: NDArray[np.int64]
    origin: NDArray[np.str_]

    @classmethod
    def read(cls, settings: Settings, context: Context, predictor: Predictor, first: date, last: date) -> FlightDays:
        """The flights with a prediction time from ``first`` to the day before ``last``."""
        period = PERIOD.format(first=first, last=last, every=EVERY_NTH_FLIGHT)
        with open_warehouse(settings.warehouse) as db:
            raw = point_in_time(db, period, context.catalogue)
            asked = db.execute(
                f"SELECT origin, date_diff('day', $first, as_of::DATE) AS day FROM ({period}) ORDER BY row",
                {"first": first},
            ).fetchnumpy()
        reference = Reference.read(context.bundle.reference, context.catalogue.names)
        model = by_name(predictor, context.catalogue)
        day, origin = np.asarray(asked["day"]), np.asarray(asked["origin"]).astype(str)
        return cls(context.catalogue, reference, model, raw, day, origin)

    @cached_property
    def normal(self) -> list[Tally]:
        """The tallies of the real days."""
        return self.count(self.raw)

    def altered(self, feature: str, change: NDArray[np.float32]) -> list[Tally]:
        """The same days with ``change``, of shape (flights,), in place of a feature."""
        raw = self.raw.copy()
        raw[:, self.place(feature)] = change
        return self.count(raw)

    def place(self, feature: str) -> int:
        """The feature's column."""
        return self.catalogue.names.index(feature)

    def count(self, raw: NDArray[np.float32]) -> list[Tally]:
        """A tally a day, for other values of shape (flights, features)."""
        probabilities = self.predictor.probabilities(clean(raw, self.catalogue))
        matrix = np.column_stack([as_received(raw, self.catalogue), probabilities])
        missing, impossible = np.isnan(raw), (raw < self.catalogue.low) | (raw > self.catalogue.high)
        return [
            Tally(
                len(rows), self.reference.count(matrix[rows]), missing[rows].sum(axis=0), impossible[rows].sum(axis=0)
            )
            for rows in (np.flatnonzero(self.day == number) for number in range(int(self.day.max()) + 1))
        ]
