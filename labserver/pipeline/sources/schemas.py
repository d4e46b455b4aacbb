"""What each raw table must look like before anything is made of it, in pandera. Build time only.

A contract (``labserver.pipeline.sources.contracts``) is about a table as a whole: its rows, its key, its times. A
schema is about each value: its type, whether it may be missing, and what it may be. Bounds are in the source's own
units. A fault that the data are known to have is listed here by row and value, so that a second one like it is found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from labserver.errors import LabError

UTC = pd.DatetimeTZDtype("us", "UTC")
TZ = r"^(America|Asia|Pacific)/[A-Za-z_]+$"


def hhmm(first: int, last: int) -> pa.Check:
    """A time of day written as an integer: 517 is 5:17, and there is no 1275."""
    return pa.Check(lambda time: time.between(first, last) & (time % 100 < 60), name=f"hhmm from {first} to {last}")


def missing(share: float) -> pa.Check:
    """At most this share of the column may be missing; names the missing rows if it is more."""
    return pa.Check(
        lambda column: column.notna() | (column.isna().mean() <= share),
        ignore_na=False,
        name=f"at most {share:.0%} missing",
    )


def between(low: float, high: float) -> pa.Check:
    return pa.Check.in_range(low, high)


def code(pattern: str) -> pa.Check:
    return pa.Check.str_matches(f"^{pattern}$")


def whole(*checks: pa.Check) -> pa.Column:
    """An integer that is always there."""
    return pa.Column("int64", list(checks))


def text(*checks: pa.Check) -> pa.Column:
    """A string that is always there."""
    return pa.Column(str, list(checks))


def gaps(dtype: Any, share: float, *checks: pa.Check) -> pa.Column:
    """A column with gaps, of at most this share. Integers with gaps are pandas' Int64."""
    return pa.Column(dtype, [*checks, missing(share)], nullable=True)


ORIGIN = text(pa.Check.isin(["EWR", "JFK", "LGA"]))
CALENDAR = {"year": whole(pa.Check.eq(2013)), "month": whole(between(1, 12)), "day": whole(between(1, 31))}

SCHEMAS = {
    "flights": pa.DataFrameSchema(
        {
            **CALENDAR,
            # Cancelled flights have no departure, diverted ones no arrival. Midnight is written as 2400.
            "dep_time": gaps("Int64", 0.05, hhmm(1, 2400)),
            "sched_dep_time": whole(hhmm(0, 2359)),
            "dep_delay": gaps("Int64", 0.05, between(-60, 1440)),
            "arr_time": gaps("Int64", 0.05, hhmm(1, 2400)),
            "sched_arr_time": whole(hhmm(0, 2359)),
            "arr_delay": gaps("Int64", 0.05, between(-120, 1440)),
            "carrier": text(code("[0-9A-Z]{2}")),
            "flight": whole(between(1, 9999)),
            "tailnum": gaps(str, 0.02, code("[A-Z][0-9A-Z]{4,5}")),
            "origin": ORIGIN,
            "dest": text(code("[A-Z]{3}")),
            "air_time": gaps("Int64", 0.05, between(10, 1440)),
            "distance": whole(between(10, 10_000)),
            "hour": whole(between(0, 23)),
            "minute": whole(between(0, 59)),
            "time_hour": pa.Column(UTC),
        },
        strict=True,
    ),
    "weather": pa.DataFrameSchema(
        {
            "origin": ORIGIN,
            **CALENDAR,
            "hour": whole(between(0, 23)),
            "temp": gaps("float64", 0.01, between(-40, 130)),
            "dewp": gaps("float64", 0.01, between(-60, 100)),
            "humid": gaps("float64", 0.01, between(0, 100)),
            "wind_dir": gaps("Int64", 0.03, between(0, 360)),
            "wind_speed": gaps("float64", 0.01, between(0, 150)),
            "wind_gust": gaps("float64", 0.9, between(0, 200)),
            "precip": pa.Column("float64", between(0, 15)),
            "pressure": gaps("float64", 0.15, between(870, 1085)),
            "visib": pa.Column("float64", between(0, 10)),
            "time_hour": pa.Column(UTC),
        },
        strict=True,
    ),
    "planes": pa.DataFrameSchema(
        {
            "tailnum": text(code("[A-Z][0-9A-Z]{4,5}")),
            "year": gaps("Int64", 0.05, between(1930, 2013)),
            "type": text(pa.Check.isin(["Fixed wing multi engine", "Fixed wing single engine", "Rotorcraft"])),
            "manufacturer": text(),
            "model": text(),
            "engines": whole(between(1, 4)),
            "seats": whole(between(1, 900)),
            "speed": gaps("Int64", 1.0, between(50, 700)),
            "engine": text(),
        },
        strict=True,
    ),
    "airports": pa.DataFrameSchema(
        {
            "faa": text(code("[0-9A-Z]{3}")),
            "name": text(),
            "lat": pa.Column("float64", between(-90, 90)),
            "lon": pa.Column("float64", between(-180, 180)),
            "alt": whole(between(-500, 20_000)),
            "tz": whole(between(-12, 14)),
            "dst": text(pa.Check.isin(["A", "N", "U"])),
            "tzone": gaps(str, 0.01, pa.Check.str_matches(TZ)),
        },
        strict=True,
    ),
    "airlines": pa.DataFrameSchema({"carrier": text(code("[0-9A-Z]{2}")), "name": text()}, strict=True),
}


@dataclass(frozen=True, slots=True)
class KnownFault:
    """One value that is wrong at the source and kept as it is. ``row`` says which: column to value."""

    table: str
    row: dict[str, Any]
    column: str
    value: float


KNOWN_FAULTS = (
    KnownFault("weather", {"origin": "EWR", "time_hour": pd.Timestamp("2013-02-12T08:00Z")}, "wind_speed", 1048.36058),
)


def check_table(name: str, table: pd.DataFrame, schema: pa.DataFrameSchema) -> None:
    """Hold a raw table to a schema, known faults aside.

    Raises:
        LabError: names table, column, check, number of cases and the first of them.
    """
    try:
        schema.validate(_without_known_faults(name, _with_room_for_gaps(table, schema)), lazy=True)
    except SchemaErrors as error:
        raise LabError(f"Source {name} breaks its schema: {_first_fault(error.failure_cases)}.") from None


def _first_fault(cases: pd.DataFrame) -> str:
    first = cases.iloc[0]
    if pd.isna(first["column"]):  # a column is missing, or one too many
        return f"check {first['check']}, column {first['failure_case']}"
    same = cases[(cases["column"] == first["column"]) & (cases["check"] == first["check"])]
    number = "1 case" if len(same) == 1 else f"{len(same):,} cases, the first"
    where = "" if pd.isna(first["index"]) else f" in row {int(first['index']) + 1:,}"
    return f"column {first['column']}, check {first['check']}: {number}: {first['failure_case']}{where}"


def _with_room_for_gaps(table: pd.DataFrame, schema: pa.DataFrameSchema) -> pd.DataFrame:
    """DuckDB gives integers with gaps as Int64 and others as int64: a column may also be whole where it need not."""
    whole = table.select_dtypes("int64").columns
    return table.astype({name: "Int64" for name in whole if str(schema.dtypes.get(name)) == "Int64"})


def _without_known_faults(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """The table with each known fault made a gap; a value that has changed meanwhile stays, and is judged."""
    for fault in KNOWN_FAULTS:
        if fault.table == name and {*fault.row, fault.column} <= set(table):
            at = table[fault.column] == fault.value
            for column, value in fault.row.items():
                at &= table[column] == value
            table = table.assign(**{fault.column: table[fault.column].mask(at)})
    return table
