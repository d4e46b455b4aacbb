"""From a flight to an answer. HTTP, batch scoring and replay all call this one object."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from labserver.errors import Refused
from labserver.features.catalogue import Catalogue
from labserver.features.flight import LEAD_TIME, NEW_YORK, Flight, from_microseconds, microseconds
from labserver.features.ranges import Adjustment, Completion, Ranges, adjustments
from labserver.features.store import Lookup
from labserver.model.predictor import Predictor
from labserver.service.decision import Decision, DecisionPolicy

HOUR = 3.6e9  # microseconds


@dataclass(frozen=True, slots=True)
class Vector:
    """What the model sees for one flight, and where each value comes from.

    Attributes:
        as_of: the moment the question was put for.
        clock: the moment up to which the online store was complete.
        values: shape (1, features), float32, in catalogue order, as the model gets them.
        received: the same before ranges and completion; NaN where nothing was known.
        known_at: by group, in microseconds since 1970 UTC; None where the entity has no row.
        overridden: features that the caller supplied.
    """

    as_of: datetime
    clock: datetime
    values: NDArray[np.float32]
    received: NDArray[np.float32]
    known_at: Sequence[int | None]
    overridden: frozenset[str]


@dataclass(frozen=True, slots=True)
class Answer:
    """A prediction. ``adjusted`` and ``stale`` say what was not as it should be; ``vector`` is what the model saw."""

    id: str
    vector: Vector = field(compare=False, repr=False)
    probability: float
    decision: Decision
    adjusted: tuple[Adjustment, ...]
    stale: tuple[str, ...]


class Values(Protocol):
    """Lesson 5. Where precomputed feature values come from."""

    def lookup(self, flight: Flight) -> Lookup:
        """The latest known values for a flight's entities."""

    def clock(self) -> datetime:
        """The moment up to which values are complete."""


class Service(Protocol):
    """What the API, batch scoring and replay need."""

    def vector(self, flight: Flight) -> Vector:
        """The features that a prediction would use. Raises ``Refused``."""

    def predict(self, flight: Flight) -> Answer:
        """One prediction. Raises ``Refused``."""

    def predict_many(self, flights: Sequence[Flight]) -> list[Answer]:
        """Predictions, in order. Raises ``Refused`` for the first flight at fault."""

    def explain(self, vector: Vector) -> list[dict[str, Any]]:
        """For each feature its value, origin, age and what was done to it."""


class PredictionService:
    """Looks up, checks, predicts, decides. Knows no HTTP and no files."""

    def __init__(
        self,
        catalogue: Catalogue,
        vocabulary: Mapping[str, Any],
        values: Values,
        ranges: Ranges,
        completion: Completion,
        predictor: Predictor,
        decision: DecisionPolicy,
    ) -> None:
        self.catalogue = catalogue
        self._vocabulary = Vocabulary(vocabulary)
        self._values = values
        self._ranges = ranges
        self._completion = completion
        self._predictor = predictor
        self._decision = decision
        self._position = {name: i for i, name in enumerate(catalogue.names)}
        self._requested = [(self._position[f.name], f.request) for f in catalogue.features if f.request]
        self._stored = [self._position[name] for group in catalogue.stored for name in group.columns]
        self._ages = [
            (self._position[feature.name], number)
            for number, group in enumerate(catalogue.stored)
            for feature in group.features
            if feature.age
        ]
        self._fresh = [
            (number, group.freshness.total_seconds() * 1e6, group.columns)
            for number, group in enumerate(catalogue.stored)
            if group.freshness
        ]

    def vector(self, flight: Flight) -> Vector:
        """See :class:`Service`. One preallocated float32 row; the same numbers as the point-in-time join."""
        self._vocabulary.check(flight)
        known = self._values.lookup(flight)
        as_of = check_times(flight, known.clock, self._vocabulary.last_departure)
        row = np.empty((1, len(self._position)), np.float32)
        cells = row[0]
        local = flight.scheduled_departure.astimezone(NEW_YORK)
        minute, weekday = local.hour * 60 + local.minute, local.isoweekday()
        for position, definition in self._requested:
            cells[position] = definition(minute, weekday)  # type: ignore[arg-type]
        cells[self._stored] = np.array(known.values, np.float64)  # None becomes NaN
        asked = microseconds(as_of)
        for position, number in self._ages:
            moment = known.known_at[number]
            cells[position] = np.nan if moment is None else (asked - moment) / HOUR
        for name, value in flight.overrides.items():
            self._override(cells, name, value)
        received = cells.copy()
        self._ranges.apply(row)
        self._completion.apply(row)
        return Vector(as_of, known.clock, row, received, known.known_at, frozenset(flight.overrides))

    def predict(self, flight: Flight) -> Answer:
        """See :class:`Service`."""
        vector = self.vector(flight)
        return self._answer(vector, float(self._predictor.probabilities(vector.values)[0]))

    def predict_many(self, flights: Sequence[Flight]) -> list[Answer]:
        """See :class:`Service`. One call of the model for all."""
        if not flights:
            return []
        vectors = []
        for number, flight in enumerate(flights):
            with naming(number):
                vectors.append(self.vector(flight))
        probabilities = self.predict_matrix(np.concatenate([vector.values for vector in vectors]))
        return [self._answer(v, p) for v, p in zip(vectors, probabilities.tolist(), strict=True)]

    def predict_matrix(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities for features of shape (rows, features) that are in range and complete; shape (rows,)."""
        return self._predictor.probabilities(matrix)

    def prepare(self, matrix: NDArray[np.float32]) -> None:
        """Bring joined features of shape (rows, features) into range and fill the gaps, in place."""
        self._ranges.apply(matrix)
        self._completion.apply(matrix)

    def decide(self, probability: float) -> Decision:
        """The policy's decision."""
        return self._decision.decide(probability)

    def explain(self, vector: Vector) -> list[dict[str, Any]]:
        """See :class:`Service`."""
        adjusted = {a.feature: a for a in adjustments(self.catalogue, vector.received, vector.values[0])}
        group_number = {group.name: number for number, group in enumerate(self.catalogue.stored)}
        asked = microseconds(vector.as_of)
        shown = []
        for name, value in zip(self.catalogue.names, vector.values[0].tolist(), strict=True):
            group = self.catalogue.group_of[name]
            known = vector.known_at[group_number[group.name]] if group.name in group_number else None
            origin = "override" if name in vector.overridden else group.name
            stored = known is not None and name not in vector.overridden
            shown.append(
                {
                    "name": name,
                    "value": value,
                    "unit": self.catalogue[name].unit,
                    "origin": origin,
                    "known_at": from_microseconds(known) if known is not None and stored else None,
                    "age_seconds": (asked - known) / 1e6 if known is not None and stored else None,
                    "adjusted": adjusted[name].action if name in adjusted else None,
                }
            )
        return shown

    def _override(self, cells: NDArray[np.float32], name: str, value: float) -> None:
        if name not in self._position:
            raise Refused(f"overrides.{name}", "there is no such feature", ", ".join(self.catalogue.names))
        self._ranges.check_override(name, value)
        cells[self._position[name]] = value

    def _answer(self, vector: Vector, probability: float) -> Answer:
        adjusted: tuple[Adjustment, ...] = ()
        if not np.array_equal(vector.received, vector.values[0]):
            adjusted = adjustments(self.catalogue, vector.received, vector.values[0])
        return Answer(
            id=uuid.uuid4().hex,
            vector=vector,
            probability=probability,
            decision=self._decision.decide(probability),
            adjusted=adjusted,
            stale=self._stale(vector),
        )

    def _stale(self, vector: Vector) -> tuple[str, ...]:
        asked = microseconds(vector.as_of)
        stale: list[str] = []
        for number, limit, columns in self._fresh:
            moment = vector.known_at[number]
            if moment is not None and asked - moment > limit:
                stale.extend(name for name in columns if name not in vector.overridden)
        return tuple(stale)


@contextmanager
def naming(number: int) -> Iterator[None]:
    """Say which of many flights was refused."""
    try:
        yield
    except Refused as error:
        raise Refused(f"flights.{number}.{error.field}", error.detail, error.allowed) from None


class Vocabulary:
    """The codes that requests may use: those of the published schedule."""

    def __init__(self, vocabulary: Mapping[str, Any]) -> None:
        self._carriers = frozenset(vocabulary["carrier"])
        self._routes = {origin: frozenset(dests) for origin, dests in vocabulary["routes"].items()}
        self.last_departure = from_microseconds(vocabulary["last_departure_microseconds"])

    def check(self, flight: Flight) -> None:
        """Raise ``Refused`` for a code that the schedule does not have."""
        if flight.carrier not in self._carriers:
            raise Refused("carrier", f"{flight.carrier} is not a carrier we know", sorted(self._carriers))
        if flight.origin not in self._routes:
            raise Refused("origin", f"{flight.origin} is not an origin we know", sorted(self._routes))
        if flight.dest not in self._routes[flight.origin]:
            raise Refused(
                "dest",
                f"{flight.dest} is not served from {flight.origin}",
                sorted(self._routes[flight.origin]),
            )


def check_times(flight: Flight, clock: datetime, last_departure: datetime) -> datetime:
    """The moment to answer for.

    Raises:
        Refused: for a departure outside the schedule, or an ``as_of`` before the clock (the store already knows
            what happened since) or after the departure.
    """
    if not clock < flight.scheduled_departure <= last_departure:
        raise Refused(
            "scheduled_departure",
            f"{flight.scheduled_departure.isoformat()} is outside the schedule",
            f"after {clock.isoformat()} (the clock) and up to {last_departure.isoformat()}",
        )
    as_of = flight.asked_at(clock)
    if not clock <= as_of <= flight.scheduled_departure:
        raise Refused(
            "as_of",
            f"{as_of.isoformat()} cannot be answered",
            f"{clock.isoformat()} (the clock) to the scheduled departure; left out, it is "
            f"{LEAD_TIME.seconds // 3600} hours before departure",
        )
    return as_of
