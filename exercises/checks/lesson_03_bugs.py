"""The bugs that lesson 3's validations must find. Do not read on if you want to solve the exercise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from exercises.checks.joined import FLIGHT_KEY, JoinedTables

WEATHER_FEATURES = ("humidity", "wind_speed", "precipitation", "pressure", "visibility")


@dataclass(frozen=True)
class Bug:
    """One version of the pipeline.

    Attributes:
        kind: the description that a learner gets.
        columns: a problem that names one of them has found it; none where the rows themselves are at fault.
        seed: gives the table of features as this version makes it.
        mistake: short name of the mistake of validations that miss it.
    """

    kind: str
    columns: tuple[str, ...]
    seed: Callable[[JoinedTables], pd.DataFrame]
    mistake: str


WHY_IT_MATTERS = {
    "rows": "A flight counts twice, or not at all. Every mean moves a little, and nothing says so.",
    "times of day": "The model learns another day than the one it is asked about.",
    "gaps": "What nobody knew looks like something that somebody measured.",
    "values from the future": "The model is superb until the day it is deployed.",
    "units": "The values still look like values, so nobody looks twice.",
    "values in the wrong rows": "Each value is real. It only belongs to another flight.",
}
"""Consequence for the person on call, by kind. It reveals no more than the kind does."""


def fan_out(tables: JoinedTables) -> pd.DataFrame:
    """Joined to a reference table of planes that has some of them twice."""
    twice = tables.flights["tailnum"].dropna().drop_duplicates().iloc[::40]
    register = pd.concat([tables.flights[["tailnum"]].drop_duplicates(), twice.to_frame()])
    keys = tables.flights[[*FLIGHT_KEY, "tailnum"]].merge(register, on="tailnum")[FLIGHT_KEY]
    return tables.features.merge(keys, on=FLIGHT_KEY)


def lost_day(tables: JoinedTables) -> pd.DataFrame:
    """One of the files did not arrive."""
    days = tables.features["day"].drop_duplicates()
    return tables.features[tables.features["day"].ne(days.iloc[len(days) // 2])]


def lost_and_doubled(tables: JoinedTables) -> pd.DataFrame:
    """A page of a paged export came twice, in place of the next one: the number of rows is right."""
    size = len(tables.features) // 20
    order = np.arange(len(tables.features))
    order[2 * size : 3 * size] -= size
    return tables.features.iloc[order]


def hhmm_as_minutes(tables: JoinedTables) -> pd.DataFrame:
    """517 is taken for 517 minutes."""
    return tables.features.assign(departure_hour=_float32(tables.flights["sched_dep_time"] / 60))


def hhmm_as_decimal(tables: JoinedTables) -> pd.DataFrame:
    """5:17 is written as 5.17."""
    return tables.features.assign(departure_hour=_float32(tables.flights["sched_dep_time"] / 100))


def hour_in_utc(tables: JoinedTables) -> pd.DataFrame:
    """The hour of ``time_hour``, with the minute of the schedule."""
    minute = tables.flights["sched_dep_time"] % 100
    return tables.features.assign(departure_hour=_float32(tables.flights["time_hour"].dt.hour + minute / 60))


def gap_as_zero(tables: JoinedTables) -> pd.DataFrame:
    """0 hPa."""
    return tables.features.assign(pressure=tables.features["pressure"].fillna(0))


def quiet_gap_as_zero(tables: JoinedTables) -> pd.DataFrame:
    """A plane that was not heard of is on time."""
    return tables.features.assign(plane_delay=tables.features["plane_delay"].fillna(0))


def nothing_found(tables: JoinedTables) -> pd.DataFrame:
    """One airport is written in another way in the weather's table, so the join finds nothing for it."""
    columns = [*WEATHER_FEATURES, "weather_known_at"]
    return tables.features.assign(
        **{name: tables.features[name].mask(tables.features["origin"] == "LGA") for name in columns}
    )


def from_the_future(tables: JoinedTables) -> pd.DataFrame:
    """The weather of the hour of departure, which is known two hours after the question."""
    features = tables.features
    later = features["weather_known_at"] + pd.Timedelta(hours=2)
    wanted = features[["origin"]].assign(known_at=later)
    found = wanted.merge(tables.weather, how="left", on=["origin", "known_at"])
    return features.assign(weather_known_at=later, **{name: _float32(found[name]) for name in WEATHER_FEATURES})


def metres_a_second(tables: JoinedTables) -> pd.DataFrame:
    """Wind in m/s, not mph."""
    return tables.features.assign(wind_speed=tables.features["wind_speed"] * np.float32(0.44704))


def shuffled(tables: JoinedTables) -> pd.DataFrame:
    """A column that was sorted apart from the others: the same values, in other rows."""
    return tables.features.assign(distance=np.sort(tables.features["distance"].to_numpy()))


def another_airport(tables: JoinedTables) -> pd.DataFrame:
    """Weather joined by the hour alone, so that every flight has that of Kennedy airport."""
    there = tables.weather[tables.weather["origin"] == "JFK"].rename(columns={"known_at": "weather_known_at"})
    found = tables.features[["weather_known_at"]].merge(there, how="left", on="weather_known_at")
    return tables.features.assign(**{name: _float32(found[name]) for name in WEATHER_FEATURES})


def _float32(values: pd.Series[float]) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.asarray(values, np.float32)


DEPARTURE_HOUR = ("departure_hour",)
BUGS = (
    Bug("rows", (), fan_out, "rows-not-compared"),
    Bug("rows", (), lost_day, "rows-not-compared"),
    Bug("rows", (), lost_and_doubled, "only-counts-compared"),
    Bug("times of day", DEPARTURE_HOUR, hhmm_as_minutes, "ranges-not-checked"),
    Bug("times of day", DEPARTURE_HOUR, hhmm_as_decimal, "hours-not-compared"),
    Bug("times of day", DEPARTURE_HOUR, hour_in_utc, "hours-not-compared"),
    Bug("gaps", ("pressure",), gap_as_zero, "ranges-not-checked"),
    Bug("gaps", ("plane_delay", "plane_delay_age"), quiet_gap_as_zero, "quiet-gap-missed"),
    Bug("gaps", (*WEATHER_FEATURES, "weather_known_at"), nothing_found, "empty-join-missed"),
    Bug("values from the future", (*WEATHER_FEATURES, "weather_known_at"), from_the_future, "future-not-checked"),
    Bug("units", ("wind_speed",), metres_a_second, "source-not-compared"),
    Bug("values in the wrong rows", ("distance",), shuffled, "distance-not-compared"),
    Bug("values in the wrong rows", WEATHER_FEATURES, another_airport, "source-not-compared"),
)
