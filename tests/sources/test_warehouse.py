from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from labserver.errors import Damaged, LabError
from labserver.sources import warehouse as module
from labserver.sources.contracts import SOURCES
from labserver.sources.warehouse import check_contracts, open_warehouse


def count(db: duckdb.DuckDBPyConnection, condition: str, table: str = "flights") -> int:
    [[number]] = db.execute(f"SELECT count(*) FROM {table} WHERE {condition}").fetchall()
    return int(number)


def test_scheduled_departures_agree_with_the_sources_own_utc_hour(warehouse: duckdb.DuckDBPyConnection) -> None:
    assert count(warehouse, "date_trunc('hour', scheduled_departure) = time_hour") == 336_776


@pytest.mark.parametrize(
    ("day", "offset"), [("2013-03-09", -5), ("2013-03-10", -4), ("2013-11-02", -4), ("2013-11-03", -5)]
)
def test_the_offset_changes_with_the_clocks(warehouse: duckdb.DuckDBPyConnection, day: str, offset: int) -> None:
    rows = warehouse.execute(
        "SELECT DISTINCT schedule_hour - extract(hour FROM scheduled_departure AT TIME ZONE 'UTC') FROM flights "
        "WHERE day = $day AND schedule_hour BETWEEN 6 AND 18",
        {"day": day},
    ).fetchall()
    assert rows == [(offset,)]


def test_actual_departures_read_as_the_sources_local_clock(warehouse: duckdb.DuckDBPyConnection) -> None:
    local = "departed_at AT TIME ZONE 'America/New_York'"
    agree = f"extract(hour FROM {local}) * 100 + extract(minute FROM {local}) = departure_hhmm % 2400"
    assert count(warehouse, agree) == count(warehouse, "departure_hhmm IS NOT NULL") == 328_521


def test_actual_arrivals_read_as_the_destinations_local_clock_but_for_one(warehouse: duckdb.DuckDBPyConnection) -> None:
    local = "arrived_at AT TIME ZONE arrival_zone"
    agree = f"extract(hour FROM {local}) * 100 + extract(minute FROM {local}) = arrival_hhmm % 2400"
    assert count(warehouse, "arrived_at IS NOT NULL") - count(warehouse, f"arrived_at IS NOT NULL AND {agree}") == 1


def test_what_the_data_do_wrong_is_kept(warehouse: duckdb.DuckDBPyConnection) -> None:
    assert count(warehouse, "late IS NULL") == 9_430
    assert count(warehouse, "tailnum IS NULL") == 2_512
    storm = "origin = 'EWR' AND observed_at = TIMESTAMPTZ '2013-02-12 08:00:00+00' AND wind_speed > 1048"
    assert count(warehouse, storm, "weather") == 1
    assert count(warehouse, "pressure IS NULL", "weather") == 2_729


def test_a_broken_promise_names_the_source(
    warehouse: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    fewer = [replace(source, rows=source.rows - 1) if source.name == "planes" else source for source in SOURCES]
    monkeypatch.setattr(module, "SOURCES", fewer)
    with pytest.raises(LabError, match="planes has 3,322 rows; its contract says 3,321"):
        check_contracts(warehouse)
    keyed = [replace(source, key=("origin",)) if source.name == "weather" else source for source in SOURCES]
    monkeypatch.setattr(module, "SOURCES", keyed)
    with pytest.raises(LabError, match="weather repeats its key"):
        check_contracts(warehouse)


@pytest.mark.parametrize("content", [b"", b"not a database" * 1000])
def test_a_damaged_warehouse_says_what_to_run(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "warehouse.duckdb"
    with pytest.raises(Damaged, match="labserver build"):
        open_warehouse(path)
    path.write_bytes(content)
    with pytest.raises(Damaged, match="labserver build"):
        open_warehouse(path)
