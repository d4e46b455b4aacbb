"""From a flight to an answer. HTTP, batch scoring and replay all call this one object."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from labserver.errors import Refused
from labserver.features.catalogue import Catalogue
from labserver.features.flight import NEW_YORK, Flight, from_microseconds, microseconds
from labserver.features.ranges import Adjustment, Completion, Ranges, adjustments
from labserver.features.store import Lookup
from labserver.model.predictor import Predictor
from labserver.service.decision import Decision, DecisionPolicy
from labserver.service.schedule import Vocabulary, check_times

HOUR = 3.6e9  # microseconds


@dataclass(frozen=True, slots=True)
class Vector:
    """What the model sees for one flight, and where each value comes from.

    Attributes:
        as_of: the moment the question was put for.
        asked: the same in microseconds since 1970 UTC.
        clock: the moment up to which the online store was complete.
        values: shape (1, features), float32, in catalogue order, as the model gets them.
        received: the same before ranges and completion; NaN where nothing was known.
        known_at: by group, in microseconds since 1970 UTC; None where the entity has no row.
        overridden: features that the caller supplied.
    """

    as_of: datetime
    asked: int
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


Cells = tuple[float | None, ...]


class Received(NamedTuple):
    """What came in for one flight: one cell a feature, None where nothing is known."""

    flight: Flight
    as_of: datetime
    asked: int
    known: Lookup
    cells: Cells


class Values(Protocol):
    """Lesson 5. Where precomputed feature values come from."""

    def lookup(self, flight: Flight) -> Lookup:
        """The latest known values for a flight's entities."""

    def lookup_many(self, flights: Sequence[Flight]) -> list[Lookup]:
        """The same for many flights, as of one moment."""

    def clock(self) -> datetime:
        """The moment up to which values are complete."""

    def problem(self) -> str | None:
        """Why there are none now, and what to do about it; None if all is well."""


class Service(Protocol):
    """What the API, batch scoring and replay need."""

    def vector(self, flight: Flight) -> Vector:
        """The features that a prediction would use. Raises ``Refused``."""

    def predict(self, flight: Flight) -> Answer:
        """One prediction. Raises ``Refused``."""

    def predict_each(self, flights: Sequence[Flight]) -> list[Answer | Refused]:
        """For each flight, in order, its prediction, or why it is refused."""

    def explain(self, vector: Vector) -> list[dict[str, Any]]:
        """For each feature its value, origin, age and what was done to it."""

    def problem(self) -> str | None:
        """Why nothing can be predicted now, and what to do about it; None if all is well. Asked by /readyz."""


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
        """See :class:`Service`. One float32 row; the same numbers as the point-in-time join."""
        return self._vectors([self._received(flight, self._values.lookup(flight))])[1][0]

    def predict(self, flight: Flight) -> Answer:
        """See :class:`Service`."""
        vector = self.vector(flight)
        return self._answer(vector, float(self._predictor.probabilities(vector.values)[0]))

    def predict_each(self, flights: Sequence[Flight]) -> list[Answer | Refused]:
        """See :class:`Service`. One state of the store and one call of the model for all."""
        results: list[Received | Refused] = []
        for flight, known in zip(flights, self._values.lookup_many(flights) if flights else (), strict=True):
            try:
                results.append(self._received(flight, known))
            except Refused as error:
                results.append(error)
        answers = iter(self._answers([one for one in results if isinstance(one, Received)]))
        return [one if isinstance(one, Refused) else next(answers) for one in results]

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
        return explain(self.catalogue, vector)

    def problem(self) -> str | None:
        """See :class:`Service`."""
        return self._values.problem()

    def _received(self, flight: Flight, known: Lookup) -> Received:
        """Everything that is known of a flight, in catalogue order, as it came."""
        self._vocabulary.check(flight)
        as_of = check_times(flight, known.clock, self._vocabulary.last_departure)
        asked = microseconds(as_of)
        local = flight.scheduled_departure.astimezone(NEW_YORK)
        minute, weekday = local.hour * 60 + local.minute, local.isoweekday()
        requested = [definition(minute, weekday) for definition in self._requested]  # type: ignore[arg-type]
        ages = [None if (moment := known.known_at[n]) is None else (asked - moment) / HOUR for n in self._aged]
        cells = self._in_order((*requested, *known.values, *ages))
        if flight.overrides:
            cells = self._overridden(cells, flight.overrides)
        return Received(flight, as_of, asked, known, cells)

    def _vectors(self, received: Sequence[Received]) -> tuple[NDArray[np.float32], list[Vector]]:
        """Ranges and completion for all flights at once: a call of NumPy costs the same for one row and for many.

        Returns the matrix that the model gets, and for each flight the vector that is one row of it.
        """
        came = np.array([one.cells for one in received], np.float32)  # None becomes NaN
        used = came.copy()
        self.prepare(used)
        return used, [
            Vector(
                one.as_of,
                one.asked,
                one.known.clock,
                used[i : i + 1],
                came[i],
                one.known.known_at,
                frozenset(one.flight.overrides),
            )
            for i, one in enumerate(received)
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


def explain(catalogue: Catalogue, vector: Vector) -> list[dict[str, Any]]:
    """For each feature its value, origin, age and what was done to it."""
    adjusted = {a.feature: a for a in adjustments(catalogue, vector.received, vector.values[0])}
    group_number = {group.name: number for number, group in enumerate(catalogue.stored)}
    shown = []
    for name, value in zip(catalogue.names, vector.values[0].tolist(), strict=True):
        group = catalogue.group_of[name]
        known = vector.known_at[group_number[group.name]] if group.name in group_number else None
        origin = "override" if name in vector.overridden else group.name
        stored = known is not None and name not in vector.overridden
        shown.append(
            {
                "name": name,
                "value": value,
                "unit": catalogue[name].unit,
                "origin": origin,
                "known_at": from_microseconds(known) if known is not None and stored else None,
                "age_seconds": (vector.asked - known) / 1e6 if known is not None and stored else None,
                "adjusted": adjusted[name].action if name in adjusted else None,
            }
        )
    return shown


def together(results: Sequence[Answer | Refused]) -> list[Answer]:
    """All answers, or the first refusal, which then names the flight's place.

    Raises:
        Refused: if any flight was refused.
    """
    answers: list[Answer] = []
    for number, result in enumerate(results):
        if isinstance(result, Refused):
            raise result.among(number)
        answers.append(result)
    return answers


class Ids:
    """Random ids of 32 hex digits, drawn many at a time: asking the kernel for each takes longer."""

    BLOCK = 256

    def __init__(self) -> None:
        self._drawn: list[str] = []

    def draw(self) -> str:
        """An id that nobody can guess: whoever knows it may tell what became of the flight."""
        try:
            return self._drawn.pop()
        except IndexError:
            digits = secrets.token_hex(16 * self.BLOCK)
            self._drawn += [digits[i : i + 32] for i in range(0, len(digits), 32)]
            return self._drawn.pop()


def _catalogue_order(catalogue: Catalogue) -> list[int]:
    """Where each feature stands among the values of the request, those of the store and the ages, in this order."""
    gathered = [feature.name for feature in catalogue.features if feature.request]
    gathered += [column for group in catalogue.stored for column in group.columns]
    gathered += [feature.name for feature in catalogue.features if feature.age]
    return [gathered.index(name) for name in catalogue.names]
