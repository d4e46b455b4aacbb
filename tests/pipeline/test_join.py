"""The point-in-time join on histories small enough to work out by hand."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import numpy as np
import pytest
from numpy.typing import NDArray

from labserver.errors import LabError
from labserver.features.catalogue import Catalogue, Feature, Group, Range
from labserver.moments import HOUR
from labserver.pipeline import join
from labserver.pipeline.join import FLIGHTS, _parts, point_in_time
from labserver.pipeline.sources.warehouse import prepare


def feature(name: str, *, age: bool = False) -> Feature:
    return Feature(name=name, unit="m", meaning=name, owner="tests", possible=Range(0, 1e6), age=age)


LEVEL = Group(
    name="level",
    kind="live",
    entity=("origin",),
    source="tests",
    sql="SELECT 1",
    features=(feature("level"), feature("level_age", age=True)),
)
PLANE = Group(
    name="plane", kind="static", entity=("tailnum",), source="tests", sql="SELECT 1", features=(feature("seats"),)
)
HALF = Feature(
    name="half", unit="h", meaning="half", owner="tests", possible=Range(0, 24), request=lambda minute, _: minute / 2
)
REQUEST = Group(name="request", kind="request", source="request", features=(HALF,))
SMALL = Catalogue((LEVEL, REQUEST, PLANE))
ENUMS = f"SELECT * REPLACE (origin::ENUM('LGA', 'EWR', 'JFK') AS origin) FROM ({FLIGHTS})"
"""The flights with their origins as a data frame's categories come in."""
GAP = np.nan


@pytest.fixture(params=[1, 8], ids=["1 thread", "8 threads"])
def db(request: pytest.FixtureRequest) -> Iterator[duckdb.DuckDBPyConnection]:
    """Two histories: a level at EWR that was 10, then unknown, then 30; and two planes. Hours since 1970 UTC."""
    with duckdb.connect() as db:
        prepare(db)
        db.execute(f"SET threads = {request.param:d}")
        db.execute("CREATE SCHEMA history")
        db.execute(
            f"""CREATE TABLE history.level AS SELECT hour * {HOUR} AS known_at, origin, level::DOUBLE AS level FROM (
                VALUES (1, 'EWR', 10), (2, 'EWR', NULL), (3, 'EWR', 30), (2, 'JFK', 7), (2, NULL, 99)
            ) AS rows(hour, origin, level)"""
        )
        db.execute(
            """CREATE TABLE history.plane AS SELECT 0::BIGINT AS known_at, tailnum, seats::DOUBLE AS seats FROM (
                VALUES ('N1', 50), ('N2', NULL), (NULL, 400)) AS rows(tailnum, seats)"""
        )
        yield db


def asked(*rows: tuple[float, str | None, str | None]) -> str:
    """Questions numbered from 1: the hour of asking, origin and tailnum; the minute of departure is the number."""
    values = ", ".join(
        f"({number}, {int(at * 3600e6)}, {origin!r}, {tailnum!r})".replace("None", "NULL")
        for number, (at, origin, tailnum) in enumerate(rows, start=1)
    )
    return f"""SELECT row, make_timestamptz(moment) AS as_of, origin, tailnum, row AS minute, 1 AS weekday
        FROM (VALUES {values}) AS asked(row, moment, origin, tailnum)"""


def joined(db: duckdb.DuckDBPyConnection, *rows: tuple[float, str | None, str | None]) -> NDArray[np.float32]:
    return point_in_time(db, asked(*rows), SMALL)


def test_each_row_gets_the_last_value_that_was_known_by_its_moment(db: duckdb.DuckDBPyConnection) -> None:
    found = joined(db, (1.5, "EWR", "N1"), (4, "EWR", "N1"), (4, "JFK", "N1"))
    np.testing.assert_array_equal(found, [[10, 0.5, 0.5, 50], [30, 1, 1, 50], [7, 2, 1.5, 50]])
    assert found.dtype == np.float32


def test_a_value_known_at_the_very_moment_counts_and_one_a_microsecond_later_does_not(
    db: duckdb.DuckDBPyConnection,
) -> None:
    found = joined(db, (3, "EWR", "N1"), (3 - 1 / 3600e6, "EWR", "N1"))
    np.testing.assert_array_equal(found[0, :2], [30, 0])
    assert np.isnan(found[1, 0])


def test_a_missing_value_that_is_newer_wins_over_an_older_one(db: duckdb.DuckDBPyConnection) -> None:
    np.testing.assert_array_equal(joined(db, (2.5, "EWR", "N2")), [[GAP, 0.5, 0.5, GAP]])


def test_before_the_first_value_and_of_an_entity_that_nobody_knows_there_is_a_gap(
    db: duckdb.DuckDBPyConnection,
) -> None:
    found = joined(db, (0.5, "EWR", "N1"), (4, "LGA", "N9"))
    np.testing.assert_array_equal(found, [[GAP, GAP, 0.5, 50], [GAP, GAP, 1, GAP]])


def test_an_entity_that_is_missing_meets_no_row_whose_entity_is_missing_too(db: duckdb.DuckDBPyConnection) -> None:
    np.testing.assert_array_equal(joined(db, (4, None, None)), [[GAP, GAP, 0.5, GAP]])


def test_rows_come_in_the_order_of_their_numbers_whatever_the_order_of_the_question(
    db: duckdb.DuckDBPyConnection,
) -> None:
    questions = f"{asked((4, 'JFK', 'N1'), (4, 'EWR', 'N2'), (1, 'EWR', 'N1'))} ORDER BY row DESC"
    np.testing.assert_array_equal(point_in_time(db, questions, SMALL)[:, 0], [7, 30, 10])


def test_both_plans_of_the_join_give_the_same(db: duckdb.DuckDBPyConnection) -> None:
    rows = [
        (at / 4, origin, tailnum) for at in range(17) for origin in ("EWR", "JFK", None) for tailnum in ("N1", None)
    ]
    found = []
    for threshold in (0, 1_000_000):  # never, and always, the loop over all of history
        db.execute(f"SET asof_loop_join_threshold = {threshold}")
        found.append(joined(db, *rows))
    np.testing.assert_array_equal(found[0], found[1])


@pytest.mark.parametrize("threads", [1, 8])
def test_of_real_flights_too_both_plans_and_any_number_of_threads_give_the_same_bits(
    warehouse: duckdb.DuckDBPyConnection, joined: NDArray[np.float32], catalogue: Catalogue, threads: int
) -> None:
    some = f"SELECT * FROM ({FLIGHTS}) WHERE row % 5000 = 0"
    cursor = warehouse.cursor()
    cursor.execute(f"SET threads = {threads}")
    for threshold in (0, 1_000_000):
        cursor.execute(f"SET asof_loop_join_threshold = {threshold}")
        assert point_in_time(cursor, some, catalogue).tobytes() == joined[4999::5000].tobytes()
    prepare(cursor)
    cursor.execute("RESET threads")


@pytest.mark.parametrize("questions", [FLIGHTS, ENUMS], ids=["text", "enums"])
def test_joined_in_parts_by_entity_and_by_row_the_bits_are_the_same(
    warehouse: duckdb.DuckDBPyConnection,
    joined: NDArray[np.float32],
    catalogue: Catalogue,
    monkeypatch: pytest.MonkeyPatch,
    questions: str,
) -> None:
    monkeypatch.setattr(join, "ROWS_AT_ONCE", 10_000)
    kinds = {condition.split("(")[0] for group in catalogue.stored for condition, _ in _parts(warehouse, 33_677, group)}
    assert {kind.split(" ")[0] for kind in kinds} == {"hash", "row"}
    some = f"SELECT * FROM ({questions}) WHERE row % 10 = 0"
    assert point_in_time(warehouse, some, catalogue).tobytes() == joined[9::10].tobytes()


def test_rows_that_share_a_number_are_refused(db: duckdb.DuckDBPyConnection) -> None:
    questions = f"SELECT * REPLACE (1 AS row) FROM ({asked((4, 'EWR', 'N1'), (4, 'JFK', 'N1'))})"
    with pytest.raises(LabError, match="needs a number of its own in the column row"):
        point_in_time(db, questions, SMALL)


def test_no_questions_give_no_rows(db: duckdb.DuckDBPyConnection) -> None:
    assert point_in_time(db, f"{asked((4, 'EWR', 'N1'))} WHERE false", SMALL).shape == (0, 4)
