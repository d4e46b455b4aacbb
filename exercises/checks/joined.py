"""A table of features beside the tables that it was made from, as lesson 3's validations get them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from labserver.features.definitions import CATALOGUE
from labserver.pipeline.join import FLIGHTS, point_in_time
from labserver.pipeline.sources.warehouse import open_warehouse

FLIGHT_KEY = ["day", "carrier", "flight", "origin"]
"""The columns that identify a flight."""

QUESTIONS = "SELECT * FROM ({flights}) WHERE row IN (SELECT flight_id FROM flights WHERE day IN ({days}))"
RAW_FLIGHTS = """
    SELECT day, carrier, flight, flights.origin, dest, tailnum, distance, time_hour,
        extract(hour FROM scheduled_departure) * 100 + extract(minute FROM scheduled_departure) AS sched_dep_time,
        predicted_at AS as_of, make_timestamptz(weather.known_at) AS weather_known_at
    FROM flights ASOF LEFT JOIN history.airport_weather AS weather
        ON weather.origin = flights.origin AND weather.known_at <= epoch_us(flights.predicted_at)
    WHERE day IN ({days}) ORDER BY flight_id
"""
RAW_WEATHER = """
    SELECT * REPLACE (make_timestamptz(known_at) AS known_at) FROM history.airport_weather
    WHERE make_timestamptz(known_at)::DATE IN ({days}) OR make_timestamptz(known_at)::DATE + 1 IN ({days})
    ORDER BY known_at, origin
"""


class JoinedTables(NamedTuple):
    """Three tables of the same days.

    Attributes:
        features: one row a flight: day, carrier, flight, origin; ``as_of``, the prediction time;
            ``weather_known_at``, when the weather in this row was known; and each feature of the catalogue, float32,
            a gap where nothing was known.
        flights: the source, one row a flight: day, carrier, flight, origin, dest, tailnum, ``distance`` (mi),
            ``sched_dep_time`` (hhmm, New York) and ``time_hour`` (the same hour in UTC).
        weather: the source, one row an hour and origin: origin, ``known_at``, and the five weather features.
    """

    features: pd.DataFrame
    flights: pd.DataFrame
    weather: pd.DataFrame

    def on(self, *days: str) -> JoinedTables:
        """The same of fewer days; the weather stays."""
        features, flights = (table[table["day"].isin(pd.to_datetime(list(days)))] for table in self[:2])
        return JoinedTables(features.reset_index(drop=True), flights.reset_index(drop=True), self.weather)


def joined(warehouse: Path, *days: str) -> JoinedTables:
    """The tables of some days, such as ``"2013-10-15"``.

    Raises:
        Damaged: if there is no warehouse.
    """
    listed = _listed(days)
    with open_warehouse(warehouse) as db:
        matrix = point_in_time(db, QUESTIONS.format(flights=FLIGHTS, days=listed), CATALOGUE)
        raw = db.execute(RAW_FLIGHTS.format(days=listed)).df()
        weather = db.execute(RAW_WEATHER.format(days=listed)).df()
    values = pd.DataFrame(matrix, columns=list(CATALOGUE.names))
    features = pd.concat([raw[[*FLIGHT_KEY, "as_of", "weather_known_at"]], values], axis=1)
    flights = raw[[*FLIGHT_KEY, "dest", "tailnum", "distance", "sched_dep_time", "time_hour"]].copy()
    flights["time_hour"] = flights["time_hour"].dt.tz_convert("UTC")
    return JoinedTables(features, flights, weather)


def _listed(days: Sequence[str]) -> str:
    return ", ".join(f"DATE '{date.fromisoformat(day)}'" for day in days)
