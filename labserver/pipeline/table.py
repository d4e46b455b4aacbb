"""The training table: every flight of the year, what was known when its prediction was due, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labserver.features.catalogue import Catalogue
from labserver.features.ranges import clean
from labserver.model.reference import what_training_saw
from labserver.pipeline.frames import check_frame
from labserver.pipeline.join import FLIGHTS, point_in_time
from labserver.pipeline.training import TRAINED_UNTIL

OUTCOMES = """SELECT origin, dest, carrier, late, scheduled_departure < $cut AS train, epoch_us(predicted_at) AS asked,
    date_diff('day', DATE '0001-01-01', predicted_at::DATE) + 1 AS asked_on FROM flights ORDER BY flight_id"""


@dataclass(frozen=True)
class JoinedFlights:
    """The flights with their features as the join gave them.

    Attributes:
        flights: origin, dest, carrier, late (missing where a flight never arrived), train, asked (the prediction time,
            in microseconds since 1970 UTC), and asked_on (New York's day of it, ``date.toordinal``); one row a flight.
        raw: shape (flights, features), float32; NaN where nothing was known.
    """

    flights: pd.DataFrame
    raw: NDArray[np.float32]

    @classmethod
    def from_warehouse(cls, db: duckdb.DuckDBPyConnection, catalogue: Catalogue) -> JoinedFlights:
        """All flights of a warehouse that has its history."""
        raw = point_in_time(db, FLIGHTS, catalogue)
        return cls(db.execute(OUTCOMES, {"cut": TRAINED_UNTIL}).df(), raw)

    @property
    def train(self) -> NDArray[np.bool_]:
        """Shape (flights,): whether training may see a flight."""
        return np.asarray(self.flights["train"], dtype=np.bool_)


@dataclass(frozen=True)
class TrainingTable:
    """The same, in range, complete and checked: what a model is fitted and judged on.

    Attributes:
        catalogue: the features; it knows what training saw of each.
        joined: the flights, and the features as they came.
        features: what the model sees, one float32 column a feature.
    """

    catalogue: Catalogue
    joined: JoinedFlights
    features: pd.DataFrame

    @classmethod
    def from_joined(cls, joined: JoinedFlights, catalogue: Catalogue) -> TrainingTable:
        """Bring joined features into the ranges of the training rows, and fill the gaps.

        Raises:
            LabError: if a value is still not what the catalogue says.
        """
        trained = catalogue.trained_on(what_training_saw(joined.raw[joined.train], catalogue))
        return cls(trained, joined, check_frame(clean(joined.raw, trained), len(joined.flights), trained))

    @property
    def flights(self) -> pd.DataFrame:
        """See :class:`JoinedFlights`."""
        return self.joined.flights

    @property
    def train(self) -> NDArray[np.bool_]:
        """See :class:`JoinedFlights`."""
        return self.joined.train

    @property
    def arrived(self) -> NDArray[np.bool_]:
        """Shape (flights,): whether it is known how late a flight was."""
        return np.asarray(self.flights["late"].notna(), dtype=np.bool_)

    @property
    def late(self) -> NDArray[np.bool_]:
        """Shape (flights,): whether a flight arrived late; False where that is not known."""
        return np.asarray(self.flights["late"].fillna(False), dtype=np.bool_)

    @property
    def fitted_on(self) -> NDArray[np.bool_]:
        """Shape (flights,): the rows that a model learns from."""
        return self.train & self.arrived

    @property
    def judged_on(self) -> NDArray[np.bool_]:
        """Shape (flights,): the held-out rows with an outcome."""
        return ~self.train & self.arrived
