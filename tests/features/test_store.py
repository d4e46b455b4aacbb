from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labserver.errors import Damaged
from labserver.features.catalogue import Catalogue, Feature, Group, Range
from labserver.features.definitions import CATALOGUE
from labserver.features.flight import Flight, from_microseconds, microseconds
from labserver.features.materialise import set_clock, write_snapshot
from labserver.features.store import OnlineStore, advance, connect, copy_snapshot, create, read_clock

FEATURE = Feature("delay", "min", "test", "test", Range(-100, 100))
TINY = Catalogue((Group("plane_now", "live", ("tailnum",), "flights", None, "SELECT 1", (FEATURE,)),))
MOMENT = datetime(2013, 9, 1, tzinfo=UTC)

rows = st.lists(
    st.tuples(st.sampled_from("ABC"), st.integers(0, 50), st.floats(-100, 100)),
    max_size=20,
    unique_by=lambda row: row[:2],
)


def contents(db: sqlite3.Connection) -> list[tuple[object, ...]]:
    return db.execute("SELECT * FROM plane_now ORDER BY tailnum").fetchall()


@given(rows, st.integers(0, 20), st.randoms())
@settings(max_examples=60, deadline=None)
def test_late_early_and_repeated_batches_leave_the_latest_values(
    tmp_path_factory: pytest.TempPathFactory, facts: list[tuple[str, int, float]], split: int, order: object
) -> None:
    folder = tmp_path_factory.mktemp("store")
    expected = {}
    for entity, known_at, value in sorted(facts, key=lambda fact: fact[1]):
        expected[entity] = (entity, known_at, value)
    shuffled = facts[:]
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    db = create(folder / "a.db", TINY)
    for batch in (shuffled[:split], shuffled[split:], shuffled[:split]):
        advance(db, TINY.stored, {"plane_now": batch}, MOMENT)
    assert contents(db) == [expected[entity] for entity in sorted(expected)]
    db.close()


def test_the_clock_never_goes_back(tmp_path: Path) -> None:
    db = create(tmp_path / "a.db", TINY)
    advance(db, TINY.stored, {}, MOMENT)
    advance(db, TINY.stored, {}, MOMENT - timedelta(days=1))
    assert read_clock(db) == MOMENT


@given(st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.timezones()))
def test_microseconds_lose_nothing(moment: datetime) -> None:
    assert from_microseconds(microseconds(moment)) == moment


def test_going_back_and_forth_ends_in_the_same_store(
    home: Path, warehouse: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    start, later = (datetime.fromisoformat(f"2013-11-0{day}T12:00:00-04:00") for day in (2, 5))
    write_snapshot(warehouse, tmp_path / "direct.db", CATALOGUE, later)
    write_snapshot(warehouse, tmp_path / "moved.db", CATALOGUE, start)
    store = connect(tmp_path / "moved.db", CATALOGUE)
    for moment in (start + timedelta(hours=7), later + timedelta(days=9), start, later, later):
        set_clock(warehouse, store, CATALOGUE, moment)
    direct = connect(tmp_path / "direct.db", CATALOGUE)
    assert list(store.iterdump()) == list(direct.iterdump())


@pytest.mark.parametrize("content", [b"", b"garbage" * 5000])
def test_a_damaged_store_says_what_to_run(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "online.db"
    with pytest.raises(Damaged, match="labserver build"):
        OnlineStore(path, CATALOGUE)
    path.write_bytes(content)
    with pytest.raises(Damaged, match="serve --fresh-store"):
        OnlineStore(path, CATALOGUE)


def test_a_store_of_another_catalogue_is_refused(tmp_path: Path) -> None:
    create(tmp_path / "online.db", TINY).close()
    with pytest.raises(Damaged, match="is of catalogue"):
        OnlineStore(tmp_path / "online.db", CATALOGUE)


def test_an_unknown_plane_is_missing_and_not_an_error(home: Path, tmp_path: Path) -> None:
    copy_snapshot(home / "bundle/online.db", tmp_path / "online.db")
    store = OnlineStore(tmp_path / "online.db", CATALOGUE)
    found = store.lookup(Flight("UA", 1, "EWR", "ORD", None, MOMENT))
    assert found.clock == datetime(2013, 9, 1, 4, tzinfo=UTC)
    assert [moment is None for moment in found.known_at] == [group.entity == ("tailnum",) for group in CATALOGUE.stored]
