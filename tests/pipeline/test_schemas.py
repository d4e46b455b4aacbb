"""Each raw table's schema passes the data as they are, and names a fault by table, column, check and value."""

from __future__ import annotations

from typing import Any

import duckdb
import pandas as pd
import pytest

from labserver.errors import LabError
from labserver.pipeline.sources.schemas import SCHEMAS, check_table
from labserver.pipeline.sources.warehouse import load_sources, raw_files

Tables = dict[str, pd.DataFrame]


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return raw_files(tmp_path_factory.mktemp("raw"))


@pytest.fixture(scope="module")
def tables(raw: dict[str, str]) -> Tables:
    """Every raw table, as the build reads it."""
    with duckdb.connect() as db:
        load_sources(db, raw)
        db.execute("SET TimeZone = 'UTC'")
        return {name: db.execute(f"SELECT * FROM raw_{name}").df() for name in SCHEMAS}


def complaint(name: str, table: pd.DataFrame) -> str:
    with pytest.raises(LabError) as caught:
        check_table(name, table, SCHEMAS[name])
    message = str(caught.value)
    assert message.startswith(f"Source {name} breaks its schema: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_data_as_they_are_pass(tables: Tables, name: str) -> None:
    check_table(name, tables[name], SCHEMAS[name])


@pytest.mark.parametrize(
    ("name", "column", "value", "check"),
    [
        ("flights", "sched_dep_time", 1275, "hhmm from 0 to 2359"),
        ("flights", "sched_arr_time", 2400, "hhmm from 0 to 2359"),
        ("flights", "dep_time", 0, "hhmm from 1 to 2400"),
        ("flights", "arr_time", 2401, "hhmm from 1 to 2400"),
        ("flights", "month", 13, "in_range(1, 12)"),
        ("flights", "carrier", None, "not_nullable"),
        ("flights", "tailnum", "-", "str_matches"),
        ("flights", "origin", "BOS", "isin(['EWR', 'JFK', 'LGA'])"),
        ("flights", "dest", "Ord", "str_matches"),
        ("flights", "distance", -1, "in_range(10, 10000)"),
        ("flights", "time_hour", None, "not_nullable"),
        ("weather", "wind_speed", 1048.36058, "in_range(0, 150)"),
        ("weather", "pressure", 29.92, "in_range(870, 1085)"),
        ("weather", "visib", None, "not_nullable"),
        ("weather", "visib", 16.09, "in_range(0, 10)"),
        ("planes", "tailnum", None, "not_nullable"),
        ("planes", "seats", 0, "in_range(1, 900)"),
        ("planes", "type", "Balloon", "isin("),
        ("airports", "tzone", "Mars/Olympus", "str_matches"),
        ("airports", "lat", 91.0, "in_range(-90, 90)"),
        ("airlines", "carrier", "UAL", "str_matches"),
        ("airlines", "name", None, "not_nullable"),
    ],
)
def test_a_seeded_fault_is_named(tables: Tables, name: str, column: str, value: Any, check: str) -> None:
    table = tables[name].head(2000).copy()
    table.loc[table.index[3], column] = value
    message = complaint(name, table)
    assert f"column {column}, check {check}" in message
    shown = value if value is not None else "NaT" if column == "time_hour" else "nan"
    assert message.endswith(f": 1 case: {shown} in row 4.")


def test_of_many_faults_the_first_is_shown_and_its_like_are_counted(tables: Tables) -> None:
    table = tables["flights"].head(2000).copy()
    table.loc[[5, 9, 11], "sched_dep_time"] = [1275, 999, 2460]
    table.loc[2, "dest"] = "?"
    assert "column sched_dep_time, check hhmm from 0 to 2359: 3 cases, the first: 1275 in row 6." in complaint(
        "flights", table
    )


def test_only_the_known_wind_of_1048_mph_may_pass(tables: Tables) -> None:
    weather = tables["weather"]
    [row] = weather.index[weather["wind_speed"] > 150]
    assert weather.loc[row, "origin"] == "EWR"
    stronger = weather.copy()
    stronger.loc[row, "wind_speed"] = 1049.0
    assert "wind_speed, check in_range(0, 150): 1 case: 1049.0" in complaint("weather", stronger)
    elsewhere = weather.copy()
    elsewhere.loc[row, "origin"] = "JFK"
    assert "wind_speed, check in_range(0, 150): 1 case: 1048.36" in complaint("weather", elsewhere)


@pytest.mark.parametrize(
    ("name", "column", "share"),
    [("flights", "tailnum", "2%"), ("weather", "pressure", "15%"), ("planes", "year", "5%")],
)
def test_gaps_are_allowed_up_to_a_share(tables: Tables, name: str, column: str, share: str) -> None:
    table = tables[name].head(2000).copy()
    table[column] = table[column].mask(table.index % 5 == 0)
    assert f"column {column}, check at most {share} missing: " in complaint(name, table)


def test_a_column_without_the_gaps_it_may_have_passes(tables: Tables) -> None:
    flights = tables["flights"].dropna().head(2000)
    check_table("flights", flights.astype({"dep_time": "int64", "air_time": "int64"}), SCHEMAS["flights"])


def test_another_type_or_another_set_of_columns_is_named(tables: Tables) -> None:
    flights, weather = tables["flights"].head(100), tables["weather"].head(100)
    assert "column dep_time, check dtype('Int64')" in complaint("flights", flights.astype({"dep_time": str}))
    assert "column distance, check dtype('int64')" in complaint("flights", flights.astype({"distance": float}))
    assert "column pressure" in complaint("weather", weather.drop(columns="pressure"))
    assert "column snow" in complaint("weather", weather.assign(snow=0.0))
