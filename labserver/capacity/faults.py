"""Faults of the inputs, for the detection matrix: each is something that a team upstream has done.

A fault alters the features of flights that are asked about from its beginning on. All values that it makes up are
drawn from one seed, so a run can be repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]

WEATHER = ("humidity", "wind_speed", "precipitation", "pressure", "visibility")
RATES = ("route_late_rate", "carrier_late_rate", "airport_late_rate")
JFK, LGA = "JFK", "LGA"
SEED = 1


@dataclass(frozen=True)
class Flights:
    """The flights that a fault alters, in the order of their prediction times.

    Attributes:
        names: the features, in the order of the columns.
        raw: features as joined, shape (flights, features), float32, NaN where nothing was known; altered in place.
        stale: values older than their source promises, likewise, bool; altered in place.
        origin: airport codes, shape (flights,).
        hours: since the fault began, shape (flights,).
    """

    names: Sequence[str]
    raw: Matrix
    stale: NDArray[np.bool_]
    origin: NDArray[np.str_]
    hours: NDArray[np.float64]

    def column(self, feature: str) -> int:
        """The feature's place."""
        return self.names.index(feature)

    def drawn(self) -> NDArray[np.float64]:
        """A number from 0 to 1 for each flight, the same at each call."""
        return np.random.default_rng(SEED).random(len(self.raw))

    def copied(self) -> Flights:
        """The same, to be altered for itself."""
        return Flights(self.names, self.raw.copy(), self.stale.copy(), self.origin, self.hours)


Alter = Callable[[Flights], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault.

    Attributes:
        name: for the table and the command.
        meaning: what somebody upstream did, in a few words.
        alter: changes the flights.
    """

    name: str
    meaning: str
    alter: Alter


def value(feature: str, change: Callable[[Matrix], NDArray[Any]]) -> Alter:
    """Publish a feature as ``change`` makes it; a missing value stays missing."""

    def alter(flights: Flights) -> None:
        column = flights.column(feature)
        flights.raw[:, column] = change(flights.raw[:, column])

    return alter


def constant(feature: str, number: float) -> Alter:
    """Publish one number, whatever happens."""
    return value(feature, lambda values: np.full_like(values, number))


def swapped(one: str, other: str) -> Alter:
    """Publish two features in each other's place."""

    def alter(flights: Flights) -> None:
        columns = [flights.column(one), flights.column(other)]
        flights.raw[:, columns] = flights.raw[:, columns[::-1]]

    return alter


def lost(*features: str, share: float = 1.0, at: str | None = None) -> Alter:
    """Publish nothing for a share of the flights, perhaps at one airport alone."""

    def alter(flights: Flights) -> None:
        rows = flights.drawn() < share
        if at:
            rows &= flights.origin == at
        for feature in features:
            flights.raw[rows, flights.column(feature)] = np.nan

    return alter


def frozen(*features: str, at: str | None = None) -> Alter:
    """Publish the last value again and again."""
    return silent(*features, at=at, fresh_hours=np.inf)


def silent(*features: str, at: str | None = None, fresh_hours: float) -> Alter:
    """Publish nothing any more: the last value is served on, and it is old after ``fresh_hours``."""

    def alter(flights: Flights) -> None:
        for airport in np.unique(flights.origin).tolist():
            rows = np.flatnonzero(flights.origin == airport)
            if at in (None, airport) and len(rows):
                for feature in features:
                    column = flights.column(feature)
                    flights.raw[rows, column] = flights.raw[rows[0], column]
                    flights.stale[rows, column] |= flights.hours[rows] > fresh_hours

    return alter


def mixed_up(*features: str, one: str, other: str) -> Alter:
    """Publish one airport's values for another: those of the latest flight there."""

    def alter(flights: Flights) -> None:
        sources = np.flatnonzero(flights.origin == other)
        rows = np.flatnonzero(flights.origin == one)
        latest = np.searchsorted(sources, rows) - 1
        known = latest >= 0
        for feature in features:
            column = flights.column(feature)
            flights.raw[rows[known], column] = flights.raw[sources[latest[known]], column]

    return alter


def each(*alters: Alter) -> Alter:
    """Several at once."""

    def alter(flights: Flights) -> None:
        for one in alters:
            one(flights)

    return alter


def staged(whole: Alter, days: float) -> Alter:
    """Roll a fault out over some days: the share of flights that meet it grows evenly."""

    def alter(flights: Flights) -> None:
        altered = flights.copied()
        whole(altered)
        rows = flights.drawn() < flights.hours / (24 * days)
        flights.raw[rows], flights.stale[rows] = altered.raw[rows], altered.stale[rows]

    return alter


UTC_HOUR = value("departure_hour", lambda hour: (hour + 4) % 24)
SHARE_OF_HUMIDITY = value("humidity", lambda percent: percent / 100)

FAULTS = (
    Fault("nothing", "no fault: the real year", each()),
    Fault("visibility-km", "visibility in kilometres, not miles", value("visibility", lambda v: v * 1.609344)),
    Fault("pressure-inhg", "pressure in inches of mercury, not hectopascals", value("pressure", lambda v: v * 0.02953)),
    Fault("humidity-share", "humidity as a share, not in per cent", SHARE_OF_HUMIDITY),
    Fault("wind-ms", "wind in metres a second, not miles an hour", value("wind_speed", lambda v: v * 0.44704)),
    Fault("wind-knots", "wind in knots", value("wind_speed", lambda v: v * 0.868976)),
    Fault("precipitation-mm", "precipitation in millimetres, not inches", value("precipitation", lambda v: v * 25.4)),
    Fault("plane-delay-s", "a plane's delay in seconds, not minutes", value("plane_delay", lambda v: v * 60)),
    Fault("origin-delay-h", "an airport's delay in hours, not minutes", value("origin_delay", lambda v: v / 60)),
    Fault("carrier-rate-%", "a carrier's late rate in per cent", value("carrier_late_rate", lambda v: v * 100)),
    Fault("hour-utc", "the hour of departure in UTC", UTC_HOUR),
    Fault("hour-dst", "the hour of departure without summer time", value("departure_hour", lambda v: (v - 1) % 24)),
    Fault("weekday+1", "the day of the week off by one", value("weekday", lambda v: v % 7 + 1)),
    Fault("weekday-from-0", "the day of the week counted from 0", value("weekday", lambda v: v - 1)),
    Fault("plane-delay-sign", "a plane's delay with the wrong sign", value("plane_delay", lambda v: -v)),
    Fault("delays-swapped", "a plane's and an airport's delay swapped", swapped("plane_delay", "origin_delay")),
    Fault(
        "rates-swapped", "a route's and a carrier's late rate swapped", swapped("route_late_rate", "carrier_late_rate")
    ),
    Fault("airports-mixed-up", "JFK gets LaGuardia's weather", mixed_up(*WEATHER, one=JFK, other=LGA)),
    Fault("humidity-frozen", "humidity stands still", frozen("humidity")),
    Fault("visibility-frozen", "visibility stands still", frozen("visibility")),
    Fault("weather-frozen", "all weather stands still", frozen(*WEATHER)),
    Fault("weather-frozen-jfk", "the weather of JFK stands still", frozen(*WEATHER, at=JFK)),
    Fault("delay-frozen-jfk", "the delays of JFK stand still", frozen("origin_delay", "origin_late_share", at=JFK)),
    Fault("airport-rate-0.9", "each airport's late rate is 0.9", constant("airport_late_rate", 0.9)),
    Fault("origin-share-0", "the share of late departures is always 0", constant("origin_late_share", 0)),
    Fault("origin-delay-0", "an airport's delay is always 0", constant("origin_delay", 0)),
    Fault("plane-delay-0", "a plane's delay is always 0", constant("plane_delay", 0)),
    Fault("weather-lost", "no weather at all", lost(*WEATHER)),
    Fault("weather-lost-jfk", "no weather of JFK", lost(*WEATHER, at=JFK)),
    Fault("humidity-third", "a third of the humidity is lost", lost("humidity", share=1 / 3)),
    Fault("planes-third", "a third of the planes is unknown", lost("plane_delay", "plane_delay_age", share=1 / 3)),
    Fault("rates-lost", "no late rates", lost(*RATES)),
    Fault("weather-silent-jfk", "the weather feed of JFK ends", silent(*WEATHER, at=JFK, fresh_hours=3)),
    Fault("nightly-stopped", "the nightly batch stops", silent("airport_late_rate", fresh_hours=26)),
    Fault("pressure-12", "pressure of a station 100 m up, 12 hPa lower", value("pressure", lambda v: v - 12)),
    Fault(
        "carrier-rate-half",
        "carriers' late rates over twice as many flights",
        value("carrier_late_rate", lambda v: v / 2),
    ),
    Fault("plane-age+10", "planes ten years too old", value("plane_age", lambda v: v + 10)),
    Fault("hour-utc-slow", "the hour in UTC, rolled out over a week", staged(UTC_HOUR, 7)),
    Fault("humidity-slow", "humidity as a share, rolled out over a week", staged(SHARE_OF_HUMIDITY, 7)),
    Fault(
        "rate-0.9-slow", "late rates of airports 0.9, over two weeks", staged(constant("airport_late_rate", 0.9), 14)
    ),
)
