"""The online store locked, deleted, replaced and moved while it is served."""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest
import requests
from asking import Asked, asking, ready, shown, wait_for
from awaiting import PATIENCE
from services import FLIGHT, Running, own_home, refusal, running, store_of
from table import Note

from labserver.features.catalogue import Catalogue
from labserver.features.store import connect, copy_snapshot
from labserver.pipeline.materialise import set_clock

# Many planes: pages that SQLite remembers would answer for one plane for ever.
FLIGHTS = {"flights": [{**FLIGHT, "tailnum": f"N{number}UA"} for number in range(100, 900, 40)]}


@pytest.fixture(scope="module")
def service(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(own_home(home, tmp_path_factory.mktemp("home"))) as started:
        yield started


@pytest.fixture
def store(service: Running) -> Iterator[Path]:
    """The path of the store; it is whole again afterwards."""
    path = store_of(service.home)
    yield path
    copy_snapshot(service.home / "bundle/online.db", path)
    wait_for(lambda: ready(service.url))


@dataclass
class Both:
    """The answers over two routes, up to now."""

    single: Asked
    batches: Asked

    @property
    def counts(self) -> Counter[int | str]:
        return self.single.counts + self.batches.counts

    @property
    def total(self) -> int:
        return self.counts.total()

    @property
    def slowest(self) -> float:
        return max(self.single.slowest, self.batches.slowest)


@contextmanager
def both_roads(service: Running) -> Iterator[Both]:
    """Single predictions, which run on the event loop, and batches, which run in threads."""
    with (
        asking(service.url, 2) as single,
        asking(service.url, 2, path="/v1/predictions/batch", body=FLIGHTS) as batches,
    ):
        yield Both(single, batches)


def locked_by_a_writer(path: Path, hold: Callable[[], None]) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        hold()
        other.execute("ROLLBACK")


def replaced_by_a_locked_one(path: Path, hold: Callable[[], None]) -> None:
    draft = path.with_suffix(".draft")
    shutil.copyfile(path.parent.parent / "bundle/online.db", draft)
    with closing(sqlite3.connect(draft, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        draft.replace(path)
        hold()
        other.execute("ROLLBACK")


def deleted(path: Path, hold: Callable[[], None]) -> None:
    path.unlink()
    hold()
    shutil.copyfile(path.parent.parent / "bundle/online.db", path)


def replaced_by_garbage(path: Path, hold: Callable[[], None]) -> None:
    draft = path.with_suffix(".draft")
    draft.write_bytes(b"garbage" * 30_000)
    draft.replace(path)
    hold()
    copy_snapshot(path.parent.parent / "bundle/online.db", path)


def written_over_with_garbage(path: Path, hold: Callable[[], None]) -> None:
    path.write_bytes(b"garbage" * 30_000)
    hold()
    copy_snapshot(path.parent.parent / "bundle/online.db", path)


def without_a_table(path: Path, hold: Callable[[], None]) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("DROP TABLE plane")
    hold()
    copy_snapshot(path.parent.parent / "bundle/online.db", path)


def replaced_by_a_fresh_one(path: Path, hold: Callable[[], None]) -> None:
    copy_snapshot(path.parent.parent / "bundle/online.db", path)
    hold()


Fault = Callable[[Path, Callable[[], None]], None]
NOTHING = None
FAULTS: dict[Fault, str | None] = {
    locked_by_a_writer: NOTHING,
    replaced_by_a_fresh_one: NOTHING,
    replaced_by_a_locked_one: "locked by another process",
    deleted: "no online store at online-",
    replaced_by_garbage: "is damaged",
    written_over_with_garbage: "is damaged",
    without_a_table: "no such table",
}
"""The answer of /readyz in the meantime."""


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_the_store_is_lost_and_comes_back(service: Running, store: Path, full: bool, note: Note, fault: Fault) -> None:
    """200 or 503 and nothing else, /readyz says what is wrong, and the service goes on without a restart."""
    reasons: list[str | None] = []
    said, enough = FAULTS[fault], 300 if full else 50

    def hold() -> None:
        before = asked.counts
        wait_for(lambda: noticed(before))

    def noticed(before: Counter[int | str]) -> bool:
        """True if /readyz says what is wrong, and enough requests were sent meanwhile."""
        reasons.append(service.get("/readyz").json()["reason"])
        answered = asked.counts - before
        return answered.total() > enough and (said is NOTHING or (said in str(reasons[-1]) and answered[503] > 0))

    with both_roads(service) as asked:
        fault(store, hold)
        back = wait_for(lambda: ready(service.url))
    others = asked.total - asked.counts[200] - asked.counts[503]
    note(
        f"online store {fault.__name__.replace('_', ' ')}",
        asked.total,
        others,
        f"{shown(asked.counts)}; ready {back:.1f} s after the store was whole; slowest answer {asked.slowest:.1f} s",
    )
    assert others == 0, asked.counts
    assert asked.counts[200] > 0
    if said is NOTHING:
        assert set(reasons) == {None}
        assert asked.counts[503] == 0
    else:
        assert said in str(reasons[-1])
        assert asked.counts[503] > 0
        wait_for(lambda: '"event":"not_ready"' in service.log.read_text())
    assert requests.post(service.url + "/v1/predictions", json=FLIGHT, timeout=PATIENCE).status_code == 200


def test_the_clock_moves_to_and_fro(
    service: Running, store: Path, catalogue: Catalogue, warehouse: duckdb.DuckDBPyConnection, full: bool, note: Note
) -> None:
    """Answers are of one moment or of another, and never of a store that is half empty."""
    first = datetime.fromisoformat("2013-09-01T00:00:00-04:00")
    moments = [first + timedelta(days=days) for days in (0, 40, 10, 70, 5)] * (3 if full else 1)
    later = {**FLIGHT, "scheduled_departure": "2013-12-20T17:30:00-05:00"}
    seen: Counter[datetime] = Counter()

    def look() -> datetime:
        clock = datetime.fromisoformat(service.post("/v1/features/vector", later).json()["clock"])
        seen[clock] += 1
        return clock

    with closing(connect(store, catalogue)) as writer, asking(service.url, 2, body=later) as asked:
        for moment in moments:
            set_clock(warehouse, writer, catalogue, moment)

            def arrived(moment: datetime = moment) -> bool:
                return look() == moment

            wait_for(arrived)
    others = asked.total - asked.counts[200]
    odd = sum(seen[clock] for clock in seen if clock not in moments)
    note("clock moved to and fro", len(moments), others + odd, f"{shown(asked.counts)}; {len(seen)} moments seen")
    assert (others, odd) == (0, 0), (asked.counts, seen)
    assert len(seen) == len(set(moments))


def test_a_store_that_is_locked_at_the_start_is_named(home: Path, tmp_path: Path, note: Note) -> None:
    folder = own_home(home, tmp_path)
    path = store_of(folder)
    path.parent.mkdir()
    shutil.copyfile(folder / "bundle/online.db", path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        code, printed = refusal(folder)
    note("start while the online store is locked", 1, int(code != 1), "refused: " + printed.strip().rsplit("/", 1)[-1])
    assert (code, "is locked by another process" in printed) == (1, True)
    assert "--fresh-store" not in printed  # nothing is wrong with it
