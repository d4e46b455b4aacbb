"""Good and corrupted requests for lesson 4, made of real flights and their real values."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from exercises.checks.attempt import Attempt
from exercises.checks.joined import FLIGHT_KEY, joined
from labserver.features.catalogue import Catalogue
from labserver.model.bundle import load_bundle
from labserver.settings import Settings

Body = dict[str, Any]
TRAFFIC_DAYS = ("2013-09-12", "2013-10-07", "2013-11-30", "2013-12-09")
"""Thunderstorms, rain, a pressure that training never saw, and snow."""
FLIGHTS_A_DAY = 50
REQUESTS_A_MISTAKE = 20

RARE_VALUES = {
    "humidity": 10.0,
    "wind_speed": 80.0,
    "precipitation": 3.15,
    "pressure": 960.0,
    "plane_seats": 525.0,
    "plane_age": 65.0,
    "origin_delay": 320.0,
}
"""Possible, and beyond what training saw: dry air in spring, the winds and the pressure of Sandy (2012), the rain of
Ida (2021), an A380, an old freighter, and an airport after a closure."""

BROKEN_SOURCES = {
    "EWR": ("wind_speed", 1048.36),
    "JFK": ("pressure", 29.92),
    "LGA": ("visibility", 9999.0),
}
"""Faults in the online store for each airport: the wind of 12 February 2013, inches of mercury, and a filler."""


@dataclass(frozen=True)
class Corruption:
    """A mistake that clients make, on flights for which it leaves what is possible."""

    what: str
    feature: str
    spoil: Callable[[float], float]
    where: Callable[[float], bool] = lambda value: True


CORRUPTIONS = (
    Corruption("humidity as a share", "humidity", lambda percent: percent / 100),
    Corruption("wind without its decimal point", "wind_speed", lambda mph: round(mph * 100), lambda mph: mph > 0),
    Corruption("rain in hundredths of an inch", "precipitation", lambda inch: inch * 100, lambda inch: inch >= 0.1),
    Corruption("pressure in inches of mercury", "pressure", lambda hpa: hpa * 0.02953),
    Corruption("pressure in tenths", "pressure", lambda hpa: hpa * 10),
    Corruption("visibility in kilometres", "visibility", lambda mi: mi * 1.609344, lambda mi: mi == 10),
    Corruption("visibility in metres", "visibility", lambda mi: mi * 1609.344, lambda mi: mi > 0.1),
    Corruption("-1 for seats that are not known", "plane_seats", lambda seats: -1),
    Corruption("the year instead of the age", "plane_age", lambda age: 2013 - age),
    Corruption("delay in seconds", "origin_delay", lambda minutes: minutes * 60, lambda minutes: minutes >= 15),
)


@dataclass(frozen=True)
class TrafficRequest:
    """A request, which kind it is of, and the one feature that it is about."""

    body: Body
    kind: str = "an ordinary flight"
    feature: str = ""


@dataclass(frozen=True)
class Traffic:
    """All requests. The values of a good one are all given, so that the store plays no part in it."""

    good: list[TrafficRequest]
    rare: list[TrafficRequest]
    corrupted: list[TrafficRequest]
    broken: list[TrafficRequest]


def traffic(attempt: Attempt, catalogue: Catalogue) -> Traffic:
    """The requests, the same each time."""
    flights = list(_real(attempt, catalogue))
    good = [TrafficRequest(_with(flight, values)) for flight, values in flights]
    rare = [
        TrafficRequest(_with(flight, values | {name: value}), "a rare one", name)
        for name, value in RARE_VALUES.items()
        for flight, values in flights[:: len(flights) // 2]
    ]
    broken = [
        TrafficRequest(next(flight for flight, _ in flights if flight["origin"] == origin), "no overrides", name)
        for origin, (name, _) in BROKEN_SOURCES.items()
    ]
    corrupted = [asked for corruption in CORRUPTIONS for asked in _corrupted(corruption, flights)]
    return Traffic(good, rare, corrupted, broken)


def _corrupted(corruption: Corruption, flights: list[tuple[Body, dict[str, float]]]) -> Iterator[TrafficRequest]:
    name = corruption.feature
    found = [(flight, values) for flight, values in flights if name in values and corruption.where(values[name])]
    for flight, values in found[:: -(-len(found) // REQUESTS_A_MISTAKE)]:
        yield TrafficRequest(_with(flight, {name: corruption.spoil(values[name])}), corruption.what, name)


def _real(attempt: Attempt, catalogue: Catalogue) -> Iterator[tuple[Body, dict[str, float]]]:
    """Flights of each day, and the values that were known of each at prediction time."""
    table = joined(attempt.settings.warehouse, *TRAFFIC_DAYS).features.set_index(FLIGHT_KEY)[list(catalogue.names)]
    for day in TRAFFIC_DAYS:
        for flight in attempt.flights(day, FLIGHTS_A_DAY):
            row = table.loc[(pd.Timestamp(day), *(flight[name] for name in FLIGHT_KEY[1:]))].to_numpy(np.float32)
            yield flight, {n: float(v) for n, v in zip(catalogue.names, row, strict=True) if not np.isnan(v)}


def _with(flight: Body, values: dict[str, float]) -> Body:
    return flight | {"overrides": values}


def break_sources(home: Settings) -> None:
    """Publish a fault in every airport's weather to the online store of a running service."""
    with closing(
        sqlite3.connect(home.online_store(load_bundle(home.bundle).features_version), isolation_level=None)
    ) as db:
        for origin, (name, value) in BROKEN_SOURCES.items():
            db.execute(f"UPDATE airport_weather SET {name} = ? WHERE origin = ?", (value, origin))
