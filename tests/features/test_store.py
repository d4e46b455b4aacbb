"""The online store: newest value wins, whatever the order; a store that cannot be trusted is refused."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labserver.errors import Damaged, StoreUnavailable
from labserver.features.catalogue import Catalogue, Feature, Group, Range
from labserver.features.flight import Flight
from labserver.features.store import OnlineStore, copy_snapshot, create, read_clock
from labserver.model.bundle import Bundle
from labserver.moments import from_microseconds, microseconds
from labserver.pipeline.publish import Row, advance, refill

LEVEL = Feature(name="level", unit="m", meaning="Height of the water", owner="tests", possible=Range(0, 10))
GROUP = Group(
    name="airport_level", kind="live", entity=("origin",), source="flights", sql="SELECT 1", features=(LEVEL,)
)
TINY = Catalogue((GROUP,))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

origins = st.sampled_from(["EWR", "JFK", "LGA"])
known = st.integers(0, 20)
rows = st.tuples(origins, known, st.one_of(st.none(), st.floats(0, 10)))
batches = st.lists(st.lists(rows, max_size=6), max_size=6)


def empty() -> sqlite3.Connection:
    return create(Path(":memory:"), TINY)


def publish(store: sqlite3.Connection, batch: list[Row], clock: int = 0) -> None:
    advance(store, TINY.stored, {GROUP.name: batch}, from_microseconds(clock))


def content(store: sqlite3.Connection) -> dict[str, tuple[int, float | None]]:
    return {row[0]: row[1:] for row in store.execute("SELECT origin, known_at, level FROM airport_level").fetchall()}


@given(batches, st.integers(0, 10**15))
def test_publishing_the_same_batches_twice_changes_nothing(made: list[list[Row]], clock: int) -> None:
    with closing(empty()) as store:
        for batch in made:
            publish(store, batch, clock)
        once = content(store), read_clock(store)
        for batch in made[-1:]:
            publish(store, batch, clock)
        assert (content(store), read_clock(store)) == once


@given(st.dictionaries(st.tuples(origins, known), st.floats(0, 10)), st.randoms(use_true_random=False))
def test_the_latest_value_of_each_entity_stays_whatever_the_order_of_the_batches(
    values: dict[tuple[str, int], float], shuffler: Random
) -> None:
    arriving = [(origin, at, value) for (origin, at), value in values.items()]
    shuffler.shuffle(arriving)
    with closing(empty()) as store:
        for row in arriving:
            publish(store, [row])
        latest = {origin: max(at for o, at in values if o == origin) for origin, _ in values}
        assert content(store) == {origin: (at, values[origin, at]) for origin, at in latest.items()}


@given(known, known, st.floats(0, 10), st.floats(0, 10))
def test_a_row_replaces_another_only_if_it_was_known_no_earlier(
    first: int, second: int, old: float, new: float
) -> None:
    with closing(empty()) as store:
        publish(store, [("EWR", first, old)])
        publish(store, [("EWR", second, new)])
        assert content(store) == {"EWR": (second, new) if second >= first else (first, old)}


def test_of_two_values_of_one_moment_the_one_published_last_stays() -> None:
    with closing(empty()) as store:
        publish(store, [("EWR", 5, 1.0), ("EWR", 5, 2.0)])
        assert content(store) == {"EWR": (5, 2.0)}
        publish(store, [("EWR", 5, None)])
        assert content(store) == {"EWR": (5, None)}


@given(st.lists(st.integers(0, 10**16), min_size=1))
def test_the_clock_never_goes_back(moments: list[int]) -> None:
    with closing(empty()) as store:
        for number, moment in enumerate(moments, 1):
            publish(store, [], moment)
            assert read_clock(store) == from_microseconds(max(moments[:number]))


def test_a_batch_that_fails_half_way_leaves_values_and_clock_as_they_were() -> None:
    with closing(empty()) as store:
        publish(store, [("EWR", 1, 1.0)], 1)
        with pytest.raises(sqlite3.Error):
            publish(store, [("EWR", 2, 2.0), ("JFK", None, 3.0)], 2)
        assert content(store) == {"EWR": (1, 1.0)}
        assert read_clock(store) == from_microseconds(1)
        publish(store, [("EWR", 2, 2.0)], 2)
        assert content(store) == {"EWR": (2, 2.0)}


def test_a_refilled_store_holds_the_new_values_alone_and_its_clock_may_go_back() -> None:
    with closing(empty()) as store:
        publish(store, [("EWR", 9, 1.0), ("JFK", 9, 1.0)], 9)
        refill(store, TINY.stored, {TINY.stored[0].name: [("EWR", 2, 3.0)]}, from_microseconds(5))
        assert (content(store), read_clock(store)) == ({"EWR": (2, 3.0)}, from_microseconds(5))


@given(
    st.datetimes(
        datetime(1970, 1, 2),
        datetime(2100, 1, 1),
        timezones=st.one_of(
            st.timezones(), st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))
        ),
    )
)
def test_every_moment_survives_the_way_to_microseconds_and_back(moment: datetime) -> None:
    back = from_microseconds(microseconds(moment))
    assert back == moment.astimezone(UTC)
    assert back.tzinfo is UTC
    assert microseconds(back) == microseconds(moment)


def test_microseconds_count_from_1970_in_utc() -> None:
    assert microseconds(EPOCH) == 0
    assert microseconds(datetime(2013, 9, 1, tzinfo=timezone(timedelta(hours=-4)))) == 1_378_008_000_000_000


@pytest.fixture
def path(bundle: Bundle, tmp_path: Path) -> Path:
    """A store fresh from the bundle's snapshot."""
    copy_snapshot(bundle.snapshot, tmp_path / "online.db")
    return tmp_path / "online.db"


def test_the_snapshot_stands_at_the_end_of_the_training_window(
    path: Path, bundle: Bundle, catalogue: Catalogue
) -> None:
    store = OnlineStore(path, catalogue)
    assert store.clock() == datetime.fromisoformat(bundle.manifest["clock"])
    store.close()


def test_a_lookup_of_entities_that_no_one_knows_has_no_values_and_the_clock(path: Path, catalogue: Catalogue) -> None:
    store = OnlineStore(path, catalogue)
    found = store.lookup(Flight("XX", 1, "XXX", "YYY", None, datetime(2013, 9, 2, tzinfo=UTC)))
    store.close()
    assert found.clock == datetime(2013, 9, 1, 4, tzinfo=UTC)
    assert set(found.values) == set(found.known_at) == {None}
    assert len(found.known_at) == len(catalogue.stored)
    assert len(found.values) == sum(len(group.columns) for group in catalogue.stored)


def test_a_missing_store_says_what_to_run(tmp_path: Path, catalogue: Catalogue) -> None:
    with pytest.raises(Damaged, match=r"There is no online store at .*`labserver serve` starts with"):
        OnlineStore(tmp_path / "online.db", catalogue)
    assert not (tmp_path / "online.db").exists()


def test_garbage_in_place_of_a_store_says_what_to_run(tmp_path: Path, catalogue: Catalogue) -> None:
    (tmp_path / "online.db").write_bytes(b"not a database " * 1000)
    with pytest.raises(Damaged, match=r"is damaged .*Run `labserver serve --fresh-store`"):
        OnlineStore(tmp_path / "online.db", catalogue)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.9])
def test_a_truncated_store_says_what_to_run(path: Path, catalogue: Catalogue, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(Damaged, match=r"is damaged .*Run `labserver serve --fresh-store`"):
        OnlineStore(path, catalogue)


def test_a_store_that_lacks_a_group_of_the_catalogue_is_refused_and_the_group_named(
    tmp_path: Path, catalogue: Catalogue
) -> None:
    create(tmp_path / "online.db", TINY).close()
    with pytest.raises(Damaged, match=r"no values of route, plane, .*--fresh-store.*labserver build --keep-model"):
        OnlineStore(tmp_path / "online.db", catalogue)


def test_a_store_of_another_definition_of_one_group_is_refused_and_one_with_more_groups_is_not(
    path: Path, catalogue: Catalogue
) -> None:
    *others, last = catalogue.groups
    OnlineStore(path, Catalogue(tuple(others))).close()
    other = Catalogue((*others, replace(last, sql=last.sql + " -- another")))
    with pytest.raises(Damaged, match=r"no values of plane_now as the catalogue defines it"):
        OnlineStore(path, other)


def test_a_store_that_loses_its_tables_while_open_is_unavailable_not_a_crash(path: Path, catalogue: Catalogue) -> None:
    store = OnlineStore(path, catalogue)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("DROP TABLE clock")
    with pytest.raises(StoreUnavailable, match="The online store does not answer"):
        store.lookup(Flight("UA", 1, "EWR", "IAH", None, datetime(2013, 9, 2, tzinfo=UTC)))
    with pytest.raises(StoreUnavailable):
        store.clock()
    store.close()


def test_a_fresh_copy_replaces_a_damaged_store_and_its_leftovers(
    path: Path, bundle: Bundle, catalogue: Catalogue
) -> None:
    path.write_bytes(b"damaged")
    path.with_name("online.db-wal").write_bytes(b"left over")
    copy_snapshot(bundle.snapshot, path)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    OnlineStore(path, catalogue).close()


def test_a_copy_leaves_the_snapshot_as_it_is(bundle: Bundle, tmp_path: Path) -> None:
    snapshot = Path(shutil.copyfile(bundle.snapshot, tmp_path / "snapshot.db"))
    copy_snapshot(snapshot, tmp_path / "state" / "online.db")
    assert snapshot.read_bytes() == bundle.snapshot.read_bytes()
