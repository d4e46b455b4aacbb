"""The service before lesson 5."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from labserver.features.flight import NEW_YORK, Flight, microseconds
from labserver.features.store import Lookup
from labserver.naive.features import END_OF_DATA
from labserver.parts import Context, Horizon, Ingredients
from labserver.service.decision import Decision
from labserver.service.prediction import Answer, PredictionService, naming
from labserver.sources.warehouse import open_warehouse


class OneHalf:
    """Before lesson 5: as if a false alarm cost as much as a missed delay."""

    def decide(self, probability: float) -> Decision:
        return "warn" if probability > 0.5 else "no_warning"


def decision(context: Context) -> OneHalf:
    return OneHalf()


AGGREGATES = """
WITH nights AS (
    SELECT max(night) AS night FROM (
        SELECT (date_trunc('day', ($until AT TIME ZONE 'America/New_York')) + INTERVAL 4 HOUR - to_days(back::INTEGER))
            AT TIME ZONE 'America/New_York' AS night FROM range(2) AS r(back))
    WHERE night <= $until
),
recent AS (
    SELECT departure_delay FROM flights
    WHERE origin = $origin AND departed_at <= time_bucket(INTERVAL 15 MINUTE, $until)
    ORDER BY departed_at DESC, flight_id DESC LIMIT 20
),
reports AS (
    SELECT departed_at AS known_at, departure_delay AS minutes, flight_id * 2 AS report FROM flights
    WHERE tailnum = $tailnum AND departed_at <= $until
    UNION ALL
    SELECT arrived_at, arrival_delay, flight_id * 2 + 1 FROM flights WHERE tailnum = $tailnum AND arrived_at <= $until
),
observed AS (SELECT * FROM weather WHERE origin = $origin AND known_at <= $until ORDER BY known_at DESC LIMIT 1)
SELECT
    (SELECT max(distance) FROM flights WHERE origin = $origin AND dest = $dest),
    (SELECT 2013 - year FROM planes WHERE tailnum = $tailnum),
    (SELECT seats FROM planes WHERE tailnum = $tailnum),
    (SELECT CASE WHEN count(*) >= 10 THEN (count(*) FILTER (late))::DOUBLE / count(*)::DOUBLE END FROM flights, nights
        WHERE origin = $origin AND dest = $dest AND arrived_at <= night AND arrived_at > night - INTERVAL 30 DAY),
    (SELECT CASE WHEN count(*) >= 10 THEN (count(*) FILTER (late))::DOUBLE / count(*)::DOUBLE END FROM flights, nights
        WHERE origin = $origin AND carrier = $carrier AND arrived_at <= night AND arrived_at > night - INTERVAL 30 DAY),
    (SELECT CASE WHEN count(*) >= 10 THEN (count(*) FILTER (late))::DOUBLE / count(*)::DOUBLE END FROM flights, nights
        WHERE origin = $origin AND arrived_at <= night AND arrived_at > night - INTERVAL 7 DAY),
    (SELECT humid FROM observed), (SELECT wind_speed FROM observed), (SELECT precip FROM observed),
    (SELECT pressure FROM observed), (SELECT visib FROM observed),
    (SELECT sum(departure_delay)::DOUBLE / count(*) FROM recent),
    (SELECT (count(*) FILTER (departure_delay > 15))::DOUBLE / count(*) FROM recent),
    (SELECT minutes::DOUBLE FROM reports ORDER BY known_at DESC, report DESC LIMIT 1),
    (SELECT epoch_us(night) FROM nights), (SELECT epoch_us(known_at) FROM observed),
    epoch_us(time_bucket(INTERVAL 15 MINUTE, $until)), (SELECT epoch_us(max(known_at)) FROM reports)
"""


class ComputedPerRequest:
    """Before lesson 5: nothing is looked up. Each request computes a month of aggregates that change once a night, in
    a second copy of what ``features.definitions`` says.
    """

    def __init__(self, context: Context, horizon: Horizon) -> None:
        self._db = open_warehouse(context.settings.warehouse)
        self._horizon = horizon
        self._clock = datetime.fromisoformat(context.bundle.manifest["clock"])

    def clock(self) -> datetime:
        return self._clock

    def lookup(self, flight: Flight) -> Lookup:
        # Times are checked after the look-up; the warehouse only understands those of its own year.
        asked = min(max(flight.asked_at(self._clock), self._clock), END_OF_DATA)
        until = self._horizon.until(asked)
        question = {
            "origin": flight.origin,
            "dest": flight.dest,
            "carrier": flight.carrier,
            "tailnum": flight.tailnum,
        }
        [row] = self._db.cursor().execute(AGGREGATES, {"until": until, **question}).fetchall()
        always = microseconds(datetime(2013, 1, 1, tzinfo=NEW_YORK))
        night, observed, tick, report = row[14:]
        known_at = (always, always, night, night, night, observed, tick, report)
        return Lookup(self._clock, row[:14], known_at)


class OneByOne(PredictionService):
    """Before lesson 5: a batch is a loop over requests."""

    def predict_many(self, flights: Sequence[Flight]) -> list[Answer]:
        answers = []
        for number, flight in enumerate(flights):
            with naming(number):
                answers.append(self.predict(flight))
        return answers


def service(ingredients: Ingredients) -> OneByOne:
    context = ingredients.context
    return OneByOne(
        context.catalogue,
        context.bundle.vocabulary,
        ComputedPerRequest(context, ingredients.horizon),
        ingredients.ranges,
        ingredients.completion,
        ingredients.predictor,
        ingredients.decision,
    )
