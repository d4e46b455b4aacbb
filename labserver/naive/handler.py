"""The service before lesson 5: one handler that does everything, as handlers do that grew out of a notebook."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np

from labserver.errors import LabError, Refused
from labserver.features.definitions import CATALOGUE
from labserver.features.flight import NEW_YORK, Flight, microseconds
from labserver.features.ranges import adjustments
from labserver.parts import Context, Ingredients
from labserver.service.decision import Decision
from labserver.service.prediction import HOUR, Answer, Vector, explain
from labserver.service.schedule import Vocabulary, check_times
from labserver.sources.warehouse import open_warehouse

ALWAYS = microseconds(datetime(2013, 1, 1, tzinfo=NEW_YORK))

LAST_NIGHT = """
    SELECT max(night) FROM (
        SELECT (date_trunc('day', ($until AT TIME ZONE 'America/New_York')) + INTERVAL 4 HOUR - to_days(back::INTEGER))
            AT TIME ZONE 'America/New_York' AS night FROM range(2) AS r(back))
    WHERE night <= $until
"""

MONTH = """
    SELECT *, arrived_at > $night - INTERVAL 7 DAY AS this_week
    FROM flights LEFT JOIN planes USING (tailnum)
        LEFT JOIN weather ON weather.origin = flights.origin AND weather.observed_at = flights.time_hour
    WHERE arrived_at > $night - INTERVAL 30 DAY AND arrived_at <= $night
"""

RECENT = """
    SELECT sum(departure_delay)::DOUBLE / count(*), (count(*) FILTER (departure_delay > 15))::DOUBLE / count(*),
        epoch_us(time_bucket(INTERVAL 15 MINUTE, $until))
    FROM (
        SELECT departure_delay FROM flights
        WHERE origin = $origin AND departed_at <= time_bucket(INTERVAL 15 MINUTE, $until)
        ORDER BY departed_at DESC, flight_id DESC LIMIT 20)
"""

REPORT = """
    SELECT minutes::DOUBLE, epoch_us(known_at) FROM (
        SELECT departed_at AS known_at, departure_delay AS minutes, flight_id * 2 AS report FROM flights
        WHERE tailnum = $tailnum AND departed_at <= $until
        UNION ALL
        SELECT arrived_at, arrival_delay, flight_id * 2 + 1 FROM flights
        WHERE tailnum = $tailnum AND arrived_at <= $until)
    ORDER BY known_at DESC, report DESC LIMIT 1
"""

WEATHER = """
    SELECT humid, wind_speed, precip, pressure, visib, epoch_us(known_at) FROM weather
    WHERE origin = $origin AND known_at <= $until ORDER BY known_at DESC LIMIT 1
"""

PLANE = "SELECT 2013 - year, seats FROM planes WHERE tailnum = $tailnum"

DISTANCE = "SELECT max(distance) FROM flights WHERE origin = $origin AND dest = $dest"


class OneHandler:
    """Before lesson 5: from the request to the answer in one method.

    The features are computed here a second time, in other words than ``features.definitions`` has for training. A
    month of flights is fetched and counted for each request, though it changes once a night. Nothing can be had
    without all the rest: a batch is a loop, and a vector is a prediction of which the answer is thrown away.
    """

    def __init__(self, ingredients: Ingredients) -> None:
        context = ingredients.context
        self._catalogue = context.catalogue
        self._vocabulary = Vocabulary(context.bundle.vocabulary)
        self._clock = datetime.fromisoformat(context.bundle.manifest["clock"])
        self._db = open_warehouse(context.settings.warehouse)
        self._horizon = ingredients.horizon
        self._ranges = ingredients.ranges
        self._completion = ingredients.completion
        self._predictor = ingredients.predictor

    def predict(self, flight: Flight) -> Answer:
        """See ``labserver.service.prediction.Service``."""
        # May this be asked?
        self._vocabulary.check(flight)
        as_of = check_times(flight, self._clock, self._vocabulary.last_departure)
        until = self._horizon.until(as_of)

        # The table of the notebook, for the same rates as in the notebook.
        db = self._db.cursor()
        [night] = db.execute(LAST_NIGHT, {"until": until}).fetchall()[0]
        month = db.execute(MONTH, {"night": night}).df()
        route = month[(month["origin"] == flight.origin) & (month["dest"] == flight.dest)]
        carrier = month[(month["origin"] == flight.origin) & (month["carrier"] == flight.carrier)]
        week = month[(month["origin"] == flight.origin) & month["this_week"]]

        # Route, plane, weather, and what was last heard of the airport and of the plane.
        [[distance]] = db.execute(DISTANCE, {"origin": flight.origin, "dest": flight.dest}).fetchall()
        plane = db.execute(PLANE, {"tailnum": flight.tailnum}).fetchall() or [(None, None)]
        weather = db.execute(WEATHER, {"origin": flight.origin, "until": until}).fetchall()
        recent = db.execute(RECENT, {"origin": flight.origin, "until": until}).fetchall()
        report = db.execute(REPORT, {"tailnum": flight.tailnum, "until": until}).fetchall() or [(None, None)]
        humidity, wind_speed, precipitation, pressure, visibility, observed = weather[0]
        origin_delay, origin_late_share, tick = recent[0]
        plane_delay, heard = report[0]

        # One row, in the model's order.
        local = flight.scheduled_departure.astimezone(NEW_YORK)
        minute, weekday = local.hour * 60 + local.minute, local.isoweekday()
        requested = {f.name: f.request for f in self._catalogue.features if f.request}
        values: dict[str, Any] = {name: make(minute, weekday) for name, make in requested.items()}  # type: ignore[arg-type]
        values |= {
            "distance": distance,
            "plane_age": plane[0][0],
            "plane_seats": plane[0][1],
            "route_late_rate": route["late"].mean() if len(route) >= 10 else None,
            "carrier_late_rate": carrier["late"].mean() if len(carrier) >= 10 else None,
            "airport_late_rate": week["late"].mean() if len(week) >= 10 else None,
            "humidity": humidity,
            "wind_speed": wind_speed,
            "precipitation": precipitation,
            "pressure": pressure,
            "visibility": visibility,
            "origin_delay": origin_delay,
            "origin_late_share": origin_late_share,
            "plane_delay": plane_delay,
            "plane_delay_age": None if heard is None else (microseconds(as_of) - heard) / HOUR,
        }
        for name, value in flight.overrides.items():
            if name not in values:
                raise Refused(f"overrides.{name}", "there is no such feature", ", ".join(self._catalogue.names))
            self._ranges.check_override(name, value)
            values[name] = value
        received = np.array([[values[name] for name in self._catalogue.names]], np.float32)  # None becomes NaN
        row = received.copy()
        self._ranges.apply(row)
        self._completion.apply(row)

        # Predict, and decide.
        probability = float(self._predictor.probabilities(row)[0])
        decision: Decision = "warn" if probability > 0.5 else "no_warning"

        # The answer.
        last_night = microseconds(night)
        known_at = (ALWAYS, ALWAYS, last_night, last_night, last_night, observed, tick, heard)
        stale: list[str] = []
        for group, known in zip(self._catalogue.stored, known_at, strict=True):
            age = 0.0 if known is None else (microseconds(as_of) - known) / 1e6
            if group.freshness and age > group.freshness.total_seconds():
                stale.extend(name for name in group.columns if name not in flight.overrides)
        return Answer(
            id=uuid.uuid4().hex,
            vector=Vector(
                as_of, microseconds(as_of), self._clock, row, received[0], known_at, frozenset(flight.overrides)
            ),
            probability=probability,
            decision=decision,
            adjusted=adjustments(self._catalogue, received[0], row[0]),
            stale=tuple(stale),
        )

    def predict_each(self, flights: Sequence[Flight]) -> list[Answer | Refused]:
        """See ``labserver.service.prediction.Service``. A batch is a loop over the handler."""
        results: list[Answer | Refused] = []
        for flight in flights:
            try:
                results.append(self.predict(flight))
            except Refused as error:
                results.append(error)
        return results

    def vector(self, flight: Flight) -> Vector:
        """See ``labserver.service.prediction.Service``."""
        return self.predict(flight).vector

    def explain(self, vector: Vector) -> list[dict[str, Any]]:
        """See ``labserver.service.prediction.Service``."""
        return explain(self._catalogue, vector)

    def problem(self) -> str | None:
        """See ``labserver.service.prediction.Service``. Nobody thought of it."""
        return None


class OneHalf:
    """Before lesson 5: as if a false alarm cost as much as a missed delay. The handler has a copy of this line."""

    def decide(self, probability: float) -> Decision:
        """See ``labserver.service.decision.DecisionPolicy``."""
        return "warn" if probability > 0.5 else "no_warning"


def decision(context: Context) -> OneHalf:
    return OneHalf()


def service(ingredients: Ingredients) -> OneHandler:
    """The handler, unless it would not do what its caller expects.

    Raises:
        LabError: for a policy, or a feature of the catalogue, that the handler's own copies do not know of.
    """
    if not isinstance(ingredients.decision, OneHalf):
        raise LabError(
            "Before lesson 5 the rule stands in the handler: a decision of your own needs --lesson 5 or later."
        )
    known = {group.sql for group in CATALOGUE.stored}
    if unknown := [group.name for group in ingredients.context.catalogue.stored if group.sql not in known]:
        raise LabError(
            f"Before lesson 5 the handler has a copy of each feature's SQL, and none of {', '.join(unknown)} as the "
            "catalogue has it now. Use --lesson 5 or later."
        )
    return OneHandler(ingredients)
