"""The warehouse keeps its sources' promises, and says which one is broken."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from labserver.errors import Damaged, LabError
from labserver.pipeline.sources import SOURCES, Source, build_warehouse, open_warehouse
from labserver.pipeline.sources.warehouse import check_contracts, raw_files
from labserver.settings import Settings

WEATHER = SOURCES[1]


def count(db: duckdb.DuckDBPyConnection, condition: str, table: str = "flights") -> int:
    [[rows]] = db.execute(f"SELECT count(*) FROM {table} WHERE {condition}").fetchall()
    return int(rows)


@pytest.fixture
def copy(settings: Settings, tmp_path: Path) -> Path:
    """A warehouse that may be changed."""
    return Path(shutil.copyfile(settings.warehouse, tmp_path / "warehouse.duckdb"))


@pytest.mark.parametrize(
    ("name", "rows"),
    [("flights", 336_776), ("weather", 26_115), ("planes", 3_322), ("airports", 1_462), ("airlines", 16)],
)
def test_every_source_has_all_its_rows_and_each_key_once(
    warehouse: duckdb.DuckDBPyConnection, name: str, rows: int
) -> None:
    [source] = [source for source in SOURCES if source.name == name]
    keys = warehouse.execute(f"SELECT DISTINCT {', '.join(source.key)} FROM {name}").fetchall()
    assert count(warehouse, "true", name) == len(keys) == source.rows == rows


def test_the_contracts_hold(warehouse: duckdb.DuckDBPyConnection) -> None:
    check_contracts(warehouse)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_a_wrong_number_of_rows_is_an_error_that_names_the_source(
    warehouse: duckdb.DuckDBPyConnection, source: Source
) -> None:
    broken = [replace(s, rows=s.rows + 1) if s is source else s for s in SOURCES]
    with pytest.raises(LabError, match=f"Source {source.name} has {source.rows:,} rows.*{source.rows + 1:,}"):
        check_contracts(warehouse, broken)


def test_a_repeated_key_is_an_error_that_names_the_source_and_the_key(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    with pytest.raises(LabError, match=r"Source weather repeats its key \(origin\): 26,112 rows too many"):
        check_contracts(warehouse, [replace(WEATHER, key=("origin",))])


def test_a_departure_in_another_hour_than_the_sources_own_is_an_error(copy: Path) -> None:
    with duckdb.connect(str(copy)) as db:
        db.execute("UPDATE flights SET scheduled_departure = scheduled_departure + INTERVAL 1 HOUR WHERE flight_id = 7")
        with pytest.raises(LabError, match=r"^1 scheduled departures disagree with the source's own UTC hour"):
            check_contracts(db)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "change", "message"),
    [
        (1, ("EWR", "XXX"), "Source weather breaks its schema: column origin, check .*1 case: XXX in row 1"),
        (-1, ("LGA,2013", "LGA,twenty"), "Source weather cannot be read: .*twenty"),
        (-1, None, "Source weather has 26,114 rows; its contract says 26,115"),
    ],
    ids=["schema", "type", "contract"],
)
def test_a_build_from_a_faulty_file_leaves_the_old_warehouse(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, line: int, change: tuple[str, str] | None, message: str
) -> None:
    raw, path = raw_files(tmp_path), tmp_path / "home/warehouse.duckdb"
    lines = Path(raw["weather"]).read_text().splitlines()
    lines[line] = lines[line].replace(*change) if change else ""
    raw["weather"] = str(tmp_path / "weather.csv")
    Path(raw["weather"]).write_text("\n".join(lines))
    path.parent.mkdir()
    path.write_bytes(b"the old one")
    monkeypatch.setattr("labserver.pipeline.sources.warehouse.raw_files", lambda folder: raw)
    with pytest.raises(LabError, match=message):
        build_warehouse(path)
    assert [file.name for file in path.parent.iterdir()] == ["warehouse.duckdb"]
    assert path.read_bytes() == b"the old one"


@pytest.mark.parametrize("days", ["true", "day = DATE '2013-03-10'", "day = DATE '2013-11-03'"])
def test_the_scheduled_departure_lies_in_the_sources_utc_hour(warehouse: duckdb.DuckDBPyConnection, days: str) -> None:
    same = "date_trunc('hour', scheduled_departure) IS NOT DISTINCT FROM time_hour"
    assert count(warehouse, days) > 0
    assert count(warehouse, f"{days} AND {same}") == count(warehouse, days)


def test_the_departure_lies_at_the_sources_time_of_day_in_new_york(warehouse: duckdb.DuckDBPyConnection) -> None:
    local = "departed_at AT TIME ZONE 'America/New_York'"
    same = f"hour({local}) * 100 + minute({local}) = departure_hhmm % 2400"
    assert count(warehouse, "departed_at IS NOT NULL") == 328_521
    assert count(warehouse, f"departed_at IS NOT NULL AND {same}") == 328_521
    assert count(warehouse, "departure_hhmm = 2400") > 0, "midnight is written as 2400 somewhere"


def test_the_arrival_lies_at_the_sources_time_of_day_at_the_destination_but_for_one_flight(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    local = "(arrived_at AT TIME ZONE arrival_zone)"
    same = f"hour({local}) * 100 + minute({local}) = arrival_hhmm % 2400"
    assert count(warehouse, "arrived_at IS NOT NULL") == 327_346
    assert count(warehouse, f"arrived_at IS NOT NULL AND {same}") == 327_345


def test_flights_without_an_arrival_are_kept_and_are_no_label(warehouse: duckdb.DuckDBPyConnection) -> None:
    assert count(warehouse, "arrived_at IS NULL") == 9_430
    assert count(warehouse, "arrived_at IS NULL AND late IS NULL AND arrival_delay IS NULL") == 9_430
    assert count(warehouse, "late IS NULL") == 9_430


def test_late_is_more_than_fifteen_minutes(warehouse: duckdb.DuckDBPyConnection) -> None:
    assert count(warehouse, "late") == count(warehouse, "arrival_delay >= 16")
    assert count(warehouse, "arrival_delay = 15 AND late") == 0 < count(warehouse, "arrival_delay = 15")


def test_the_wind_of_1048_mph_is_kept_where_the_source_has_it(warehouse: duckdb.DuckDBPyConnection) -> None:
    found = warehouse.execute(
        "SELECT origin, epoch(observed_at), round(wind_speed, 2) FROM weather WHERE wind_speed > 200"
    ).fetchall()
    assert found == [("EWR", 1_360_656_000, 1048.36)]  # 2013-02-12T08:00Z


def test_the_weather_of_an_hour_is_known_when_the_hour_is_over(warehouse: duckdb.DuckDBPyConnection) -> None:
    assert count(warehouse, "known_at = observed_at + INTERVAL 60 MINUTE", "weather") == 26_115


def test_a_missing_warehouse_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(Damaged, match=r"There is no warehouse at .*Run `labserver build`"):
        open_warehouse(tmp_path / "warehouse.duckdb")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.9])
def test_a_truncated_warehouse_says_what_to_run(copy: Path, share: float) -> None:
    content = copy.read_bytes()
    copy.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(Damaged, match="Run `labserver build`") as caught:
        open_warehouse(copy)
    assert str(copy) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_garbage_in_place_of_a_warehouse_says_what_to_run(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    path.write_bytes(b"not a database " * 10_000)
    with pytest.raises(Damaged, match=r"is damaged .*Run `labserver build`"):
        open_warehouse(path)


def test_a_database_without_the_tables_says_what_to_run(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(path)) as db:
        db.execute("CREATE TABLE flights AS SELECT 1 AS flight_id")
    with pytest.raises(Damaged, match=r"weather.*Run `labserver build`"):
        open_warehouse(path)


def test_an_open_warehouse_cannot_be_written(settings: Settings) -> None:
    with (
        open_warehouse(settings.warehouse) as db,
        pytest.raises(duckdb.Error, match="read-only"),
    ):
        db.execute("CREATE TABLE other AS SELECT 1").fetchall()
