"""Real days as a monitor counts them, and the same days with something gone wrong upstream."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from labserver.features.catalogue import Catalogue
from labserver.features.ranges import clean
from labserver.model.reference import Reference
from labserver.moments import HOUR
from labserver.monitor.served import AnswerCounter, Served
from labserver.monitor.tally import Tally, total
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
        asked: prediction times in microseconds since 1970 UTC, shape (flights,).
        day: day of the period of each prediction time, from 0, shape (flights,).
        origin: airport code of each, shape (flights,).
    """

    catalogue: Catalogue
    reference: Reference
    predictor: Predictor
    raw: NDArray[np.float32]
    asked: NDArray[np.int64]
    day: NDArray[np.int64]
    origin: NDArray[np.str_]

    @classmethod
    def read(cls, settings: Settings, context: Context, predictor: Predictor, first: date, last: date) -> FlightDays:
        """The flights with a prediction time from ``first`` to the day before ``last``."""
        period = PERIOD.format(first=first, last=last, every=EVERY_NTH_FLIGHT)
        with open_warehouse(settings.warehouse) as db:
            raw = point_in_time(db, period, context.catalogue)
            asked = db.execute(
                f"""SELECT origin, epoch_us(as_of) AS asked, date_diff('day', $first, as_of::DATE) AS day
                FROM ({period}) ORDER BY row""",
                {"first": first},
            ).fetchnumpy()
        reference = Reference.read(context.bundle.reference, context.catalogue.names)
        model = by_name(predictor, context.catalogue)
        day, origin = np.asarray(asked["day"]), np.asarray(asked["origin"]).astype(str)
        return cls(context.catalogue, reference, model, raw, np.asarray(asked["asked"]), day, origin)

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
        used = clean(raw, self.catalogue)
        scores = self.predictor.probabilities(used)
        origins, fresh = [str(code) for code in self.origin], np.zeros(raw.shape, np.bool_)
        served = Served((), self.asked, raw, used, scores, warned=0, places=origins, stale=fresh)
        hours = AnswerCounter(self.catalogue, self.reference, sorted(set(origins))).count(served).hours
        day_of = dict(zip((self.asked // HOUR).tolist(), self.day.tolist(), strict=True))
        return [
            total([tally for hour, tally in hours.items() if day_of[hour] == number])
            for number in range(int(self.day.max()) + 1)
        ]
