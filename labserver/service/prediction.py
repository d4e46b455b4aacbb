"""From a flight to an answer. HTTP, batch scoring and replay all call this one object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from labserver.errors import Refused
from labserver.features.catalogue import Catalogue
from labserver.features.flight import Flight
from labserver.features.lookup import Lookup
from labserver.features.ranges import Adjustment, adjustments
from labserver.moments import HOUR, microseconds, minute_and_weekday
from labserver.service.answer import Answer, Ids, Vector, explain
from labserver.service.decision import Decision
from labserver.service.ports import Completion, DecisionPolicy, Predictor, Ranges, Values
from labserver.service.schedule import Now, Vocabulary, check_times

Cells = tuple[float | None, ...]


class Received(NamedTuple):
    """The raw values of one flight: one cell per feature, None where nothing is known."""

    flight: Flight
    as_of: datetime
    asked: int
    known: Lookup
    cells: Cells


class PredictionService:
    """The prediction service: looks up, checks, predicts, decides. Knows no HTTP and no files."""

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
        self._ids = Ids()
        self._position = {name: i for i, name in enumerate(catalogue.names)}
        self._requested = [feature.request for feature in catalogue.features if feature.request]
        self._aged = [n for n, group in enumerate(catalogue.stored) for feature in group.features if feature.age]
        self._in_order = itemgetter(*_catalogue_order(catalogue))
        self._fresh = [
            (number, group.freshness.total_seconds() * 1e6, group.columns)
            for number, group in enumerate(catalogue.stored)
            if group.freshness
        ]

    def vector(self, flight: Flight) -> Vector:
        """See :class:`labserver.service.ports.Service`. One float32 row; the same numbers as the point-in-time join."""
        return self._vectors([self._received(flight, self._values.lookup(flight))])[1][0]

    def predict(self, flight: Flight) -> Answer:
        """See :class:`labserver.service.ports.Service`."""
        vector = self.vector(flight)
        return self._answer(vector, float(self._predictor.probabilities(vector.values)[0]))

    def predict_each(self, flights: Sequence[Flight]) -> list[Answer | Refused]:
        """See :class:`labserver.service.ports.Service`. One state of the store and one call of the model for all."""
        results: list[Received | Refused] = []
        for flight, known in zip(flights, self._values.lookup_many(flights) if flights else (), strict=True):
            try:
                results.append(self._received(flight, known))
            except Refused as error:
                results.append(error)
        answers = iter(self._answers([result for result in results if isinstance(result, Received)]))
        return [result if isinstance(result, Refused) else next(answers) for result in results]

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
        """See :class:`labserver.service.ports.Service`."""
        return explain(self.catalogue, vector)

    def now(self) -> Now:
        """See :class:`labserver.service.ports.Service`."""
        return self._vocabulary.now(self._values.clock())

    def problem(self) -> str | None:
        """See :class:`labserver.service.ports.Service`."""
        return self._values.problem()

    def _received(self, flight: Flight, known: Lookup) -> Received:
        """Collect the raw values of a flight, in catalogue order."""
        self._vocabulary.check(flight)
        as_of = check_times(flight, known.clock, self._vocabulary.last_departure)
        asked = microseconds(as_of)
        minute, weekday = minute_and_weekday(flight.scheduled_departure)
        requested = [definition(minute, weekday) for definition in self._requested]
        ages = [None if (moment := known.known_at[n]) is None else (asked - moment) / HOUR for n in self._aged]
        cells = self._in_order((*requested, *known.values, *ages))
        if flight.overrides:
            cells = self._overridden(cells, flight.overrides)
        return Received(flight, as_of, asked, known, cells)

    def _vectors(self, received: Sequence[Received]) -> tuple[NDArray[np.float32], list[Vector]]:
        """Apply ranges and imputation to all flights at once: a call of NumPy costs the same for one row and for many.

        Returns the matrix that the model gets, and for each flight the vector that is one row of it.
        """
        came = np.array([row.cells for row in received], np.float32)  # None becomes NaN
        used = came.copy()
        self.prepare(used)
        return used, [
            Vector(
                row.as_of,
                row.asked,
                row.known.clock,
                used[i : i + 1],
                came[i],
                row.known.known_at,
                frozenset(row.flight.overrides),
            )
            for i, row in enumerate(received)
        ]

    def _overridden(self, cells: Cells, overrides: Mapping[str, float]) -> Cells:
        changed = list(cells)
        for name, value in overrides.items():
            if name not in self._position:
                raise Refused(f"overrides.{name}", "there is no such feature", ", ".join(self.catalogue.names))
            self._ranges.check_override(name, value)
            changed[self._position[name]] = value
        return tuple(changed)

    def _answers(self, received: Sequence[Received]) -> list[Answer]:
        if not received:
            return []
        matrix, vectors = self._vectors(received)
        probabilities = self.predict_matrix(matrix)
        return [self._answer(v, p) for v, p in zip(vectors, probabilities.tolist(), strict=True)]

    def _answer(self, vector: Vector, probability: float) -> Answer:
        adjusted: tuple[Adjustment, ...] = ()
        if vector.received.tobytes() != vector.values.tobytes():
            adjusted = adjustments(self.catalogue, vector.received, vector.values[0])
        return Answer(
            id=self._ids.draw(),
            vector=vector,
            probability=probability,
            decision=self._decision.decide(probability),
            adjusted=adjusted,
            stale=self._stale(vector),
        )

    def _stale(self, vector: Vector) -> tuple[str, ...]:
        stale: list[str] = []
        for number, limit, columns in self._fresh:
            moment = vector.known_at[number]
            if moment is not None and vector.asked - moment > limit:
                stale += columns
        return tuple(name for name in stale if name not in vector.overridden) if vector.overridden else tuple(stale)


def _catalogue_order(catalogue: Catalogue) -> list[int]:
    """The position of each feature among the values of the request, those of the store and the ages, in this order."""
    gathered = [feature.name for feature in catalogue.features if feature.request]
    gathered += [column for group in catalogue.stored for column in group.columns]
    gathered += [feature.name for feature in catalogue.features if feature.age]
    return [gathered.index(name) for name in catalogue.names]
