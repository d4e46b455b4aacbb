"""Real days as a monitor counts them, and the same days with something gone wrong upstream."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from labserver.features.catalogue import Catalogue
from labserver.features.join import point_in_time
from labserver.features.ranges import CatalogueRanges, TypicalValues
from labserver.model.predictor import Predictor
from labserver.model.reference import Reference, as_received
from labserver.monitor.tally import Tally
from labserver.parts import Context
from labserver.replay import PERIOD
from labserver.settings import Settings
from labserver.sources.warehouse import open_warehouse

EVERY = 2
"""Every so many-th flight: 400 a day are enough to count."""


@dataclass(frozen=True)
class Days:
    """Flights of some days.

    Attributes:
        catalogue: the features.
        reference: what training saw.
        predictor: the model.
        raw: features as joined, shape (flights, features), float32, NaN where nothing was known.
        day: on which day of the period each was asked about, from 0, shape (flights,).
        origin: airport code of each, shape (flights,).
    """

    catalogue: Catalogue
    reference: Reference
    predictor: Predictor
    raw: NDArray[np.float32]
    day: NDArray[np.int64]
    origin: NDArray[np.str_]

    @classmethod
    def read(cls, settings: Settings, context: Context, predictor: Predictor, first: date, last: date) -> Days:
        """The flights that are asked about from ``first`` to the day before ``last``."""
        period = PERIOD.format(first=first, last=last, every=EVERY)
        with open_warehouse(settings.warehouse) as db:
            # DuckDB takes the filtered flights for so few that it would compare each with all of history.
            db.execute("SET asof_loop_join_threshold = 0")
            raw = point_in_time(db, period, context.catalogue)
            asked = db.execute(
                f"SELECT origin, date_diff('day', $first, as_of::DATE) AS day FROM ({period}) ORDER BY row",
                {"first": first},
            ).fetchnumpy()
        reference = Reference.read(context.bundle.reference, context.catalogue.names)
        return cls(context.catalogue, reference, predictor, raw, asked["day"], np.asarray(asked["origin"]).astype(str))

    @cached_property
    def normal(self) -> list[Tally]:
        """What really was, a tally a day."""
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
        used = raw.copy()
        CatalogueRanges(self.catalogue).apply(used)
        TypicalValues(self.catalogue).apply(used)
        matrix = np.column_stack([as_received(raw, self.catalogue), self.predictor.probabilities(used)])
        low, high = (
            np.array([getattr(feature.possible, end) for feature in self.catalogue.features], np.float32)
            for end in ("low", "high")
        )
        missing, impossible = np.isnan(raw), (raw < low) | (raw > high)
        return [
            Tally(
                len(rows), self.reference.count(matrix[rows]), missing[rows].sum(axis=0), impossible[rows].sum(axis=0)
            )
            for rows in (np.flatnonzero(self.day == number) for number in range(int(self.day.max()) + 1))
        ]
