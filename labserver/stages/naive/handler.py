"""The service before lesson 5: one handler that does everything, as handlers do that grew out of a notebook."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np

from labserver.errors import Refused
from labserver.features.catalogue import Catalogue, Group
from labserver.features.flight import LEAD_TIME, Flight
from labserver.features.ranges import adjustments
from labserver.features.store import OnlineStore, provide
from labserver.moments import HOUR, NEW_YORK, microseconds, minute_and_weekday
from labserver.parts import Context, Ingredients
from labserver.pipeline.sources.warehouse import open_warehouse
from labserver.service.answer import Answer, Vector, explain
from labserver.service.decision import Decision
from labserver.service.schedule import Now, Vocabulary

START = datetime(2013, 1, 1, tzinfo=NEW_YORK)
"""The data begin."""


def known_by(group: Group) -> str:
    """SQL for what a group says of a flight by ``$until``: its entity's last row, by the catalogue's definition."""
    entity = " AND ".join(f"{column} = ${column}" for column in group.entity)
    return f"""SELECT epoch_us(known_at), {", ".join(group.columns)} FROM ({group.sql})
        WHERE {entity} AND known_at <= $until ORDER BY known_at DESC LIMIT 1"""


class OneHandler:
    """Before lesson 5: from the request to the answer in one method.

    Each feature is computed for each request, by the definition that training used, over the flights of a year, though
    most of it changes once a night. Nothing can be had without all the rest: a batch is a loop, and a vector is a
    prediction of which the answer is thrown away.
    """

    def __init__(self, ingredients: Ingredients) -> None:
        context = ingredients.context
        assert ingredients.horizon, "the contents page gives stages 0 to 4 one"  # noqa: S101
        self._catalogue: Catalogue = context.catalogue
        self._vocabulary = Vocabulary(context.bundle.vocabulary)
        store = context.settings.online_store(context.bundle.features_version)
        provide(context.bundle.snapshot, store)
        self._store = OnlineStore(store, context.catalogue)  # only its clock: what time it is
        self._db = open_warehouse(context.settings.warehouse)
        self._queries = [(group, known_by(group)) for group in context.catalogue.stored]
        self._horizon = ingredients.horizon
        self._ranges = ingredients.ranges
        self._completion = ingredients.completion
        self._predictor = ingredients.predictor
        self._decision = ingredients.decision

    def predict(self, flight: Flight) -> Answer:
        """See ``labserver.service.ports.Service``."""
        # Is it a flight?
        self._vocabulary.check(flight)
        clock = self._store.clock()
        as_of = self._asked_at(flight, clock)
        until = min(self._horizon.until(as_of), clock)  # what comes after the clock has not happened

        # What is known of it.
        minute, weekday = minute_and_weekday(flight.scheduled_departure)
        values: dict[str, Any] = {
            feature.name: feature.request(np.array(minute), np.array(weekday))
            for feature in self._catalogue.features
            if feature.request
        }
        known_at: list[int | None] = []
        db = self._db.cursor()
        for group, query in self._queries:
            entity = {column: getattr(flight, column) for column in group.entity}
            found = db.execute(query, {**entity, "until": until}).fetchall()
            known, *cells = found[0] if found else [None] * (1 + len(group.columns))
            known_at.append(known)
            values |= dict(zip(group.columns, cells, strict=True))
            age = None if known is None else (microseconds(as_of) - known) / HOUR
            values |= {feature.name: age for feature in group.features if feature.age}

        # What the caller knows better.
        for name, value in flight.overrides.items():
            if name not in values:
                raise Refused(f"overrides.{name}", "there is no such feature", ", ".join(self._catalogue.names))
            self._ranges.check_override(name, value)
            values[name] = value

        # One row, in the catalogue's order; then the model, and what to do about it.
        received = np.array([[values[name] for name in self._catalogue.names]], np.float32)  # None becomes NaN
        row = received.copy()
        self._ranges.apply(row)
        self._completion.apply(row)
        probability = float(self._predictor.probabilities(row)[0])
        decision = self._decision.decide(probability)

        # The answer.
        stale: list[str] = []
        for group, known in zip(self._catalogue.stored, known_at, strict=True):
            age_seconds = 0.0 if known is None else (microseconds(as_of) - known) / 1e6
            if group.freshness and age_seconds > group.freshness.total_seconds():
                stale.extend(name for name in group.columns if name not in flight.overrides)
        return Answer(
            id=uuid.uuid4().hex,
            vector=Vector(
                as_of, microseconds(as_of), clock, row, received[0], tuple(known_at), frozenset(flight.overrides)
            ),
            probability=probability,
            decision=decision,
            adjusted=adjustments(self._catalogue, received[0], row[0]),
            stale=tuple(stale),
        )

    def _asked_at(self, flight: Flight, clock: datetime) -> datetime:
        """The moment to answer for. The past may be asked about: the warehouse has all of it."""
        departure, last = flight.scheduled_departure, self._vocabulary.last_departure
        if not START < departure <= last:
            raise Refused(
                "scheduled_departure",
                f"{departure.isoformat()} is outside the schedule",
                f"{START.isoformat()} to {last.isoformat()}",
            )
        as_of = flight.asked_at(clock) if departure > clock else flight.as_of or departure - LEAD_TIME
        if flight.as_of is not None and not START <= as_of <= departure:
            raise Refused(
                "as_of", f"{as_of.isoformat()} cannot be answered", f"{START.isoformat()} to the scheduled departure"
            )
        return as_of

    def predict_each(self, flights: Sequence[Flight]) -> list[Answer | Refused]:
        """See ``labserver.service.ports.Service``. A batch is a loop over the handler."""
        results: list[Answer | Refused] = []
        for flight in flights:
            try:
                results.append(self.predict(flight))
            except Refused as error:
                results.append(error)
        return results

    def vector(self, flight: Flight) -> Vector:
        """See ``labserver.service.ports.Service``."""
        return self.predict(flight).vector

    def explain(self, vector: Vector) -> list[dict[str, Any]]:
        """See ``labserver.service.ports.Service``."""
        return explain(self._catalogue, vector)

    def now(self) -> Now:
        """See ``labserver.service.ports.Service``."""
        return self._vocabulary.now(self._store.clock())

    def problem(self) -> str | None:
        """See ``labserver.service.ports.Service``. Before lesson 5 nothing checks."""
        return None


class OneHalf:
    """Before lesson 5: as if a false alarm cost as much as a missed delay."""

    def decide(self, probability: float) -> Decision:
        """See ``labserver.service.ports.DecisionPolicy``."""
        return "warn" if probability > 0.5 else "no_warning"


def decision(context: Context) -> OneHalf:
    return OneHalf()


def service(ingredients: Ingredients) -> OneHandler:
    return OneHandler(ingredients)
