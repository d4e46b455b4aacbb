"""The online store: for every entity the latest known values, in one SQLite file.

One writer moves the clock; any number of services read. SQLite's write-ahead log lets them do so at once, and one
SELECT reads everything a flight needs, so an answer never mixes two moments.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from labserver.errors import Damaged, StoreUnavailable
from labserver.features.catalogue import Catalogue, Group
from labserver.features.flight import Flight, from_microseconds, microseconds

Row = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Lookup:
    """What the store knew of one flight.

    Attributes:
        clock: the moment up to which the store is complete.
        values: one number a stored column, in catalogue order; None where nothing is known.
        known_at: one moment a group, in microseconds since 1970 UTC; None where the entity has no row.
    """

    clock: datetime
    values: Sequence[float | None]
    known_at: Sequence[int | None]


class OnlineStore:
    """Reads the store. One connection, used from one thread at a time."""

    def __init__(self, path: Path, catalogue: Catalogue) -> None:
        """Open and check the file.

        Raises:
            Damaged: if it is missing, not a database, or of another catalogue.
        """
        self._path = path
        self._db = connect(path, catalogue)
        self._stored = catalogue.stored
        self._queries: dict[int, str] = {}
        self._clock = (0, from_microseconds(0))

    def lookup(self, flight: Flight) -> Lookup:
        """The latest values for the flight's route, plane, carrier and airport.

        Raises:
            StoreUnavailable: if SQLite cannot answer now.
        """
        return self.lookup_many([flight])[0]

    def lookup_many(self, flights: Sequence[Flight]) -> list[Lookup]:
        """The same for many flights, in order, all as of one moment: one statement reads one state of the store.

        Raises:
            StoreUnavailable: if SQLite cannot answer now.
        """
        query = self._queries.get(len(flights))
        if query is None:
            query = self._queries[len(flights)] = _lookup(self._stored, len(flights))
        entities = [value for f in flights for value in (f.origin, f.dest, f.carrier, f.tailnum)]
        try:
            rows = self._db.execute(query, entities).fetchall()
        except sqlite3.Error as error:
            raise StoreUnavailable(f"The online store does not answer: {error}.") from None
        groups = len(self._stored)
        return [Lookup(self._clock_of(row[0]), row[1 + groups :], row[1 : 1 + groups]) for row in rows]

    def clock(self) -> datetime:
        """The moment up to which the store is complete.

        Raises:
            StoreUnavailable: if SQLite cannot answer now.
        """
        return read_clock(self._db)

    def close(self) -> None:
        self._db.close()

    def _clock_of(self, moment: int) -> datetime:
        if self._clock[0] != moment:  # the clock moves seldom, and a datetime is dear to make
            self._clock = (moment, from_microseconds(moment))
        return self._clock[1]


def _lookup(stored: tuple[Group, ...], flights: int) -> str:
    """One SELECT for so many flights, with a left join for each group.

    The joins keep the order of the flights: SQLite never reorders tables around a CROSS or a LEFT JOIN.
    """
    known = ", ".join(f"{group.name}.known_at" for group in stored)
    columns = ", ".join(f"{group.name}.{column}" for group in stored for column in group.columns)
    number = {name: f"q.column{i}" for i, name in enumerate(("origin", "dest", "carrier", "tailnum"), start=1)}
    joins = " ".join(
        f"LEFT JOIN {group.name} ON " + " AND ".join(f"{group.name}.{name} = {number[name]}" for name in group.entity)
        for group in stored
    )
    asked = ", ".join(["(?, ?, ?, ?)"] * flights)
    return f"SELECT clock.moment, {known}, {columns} FROM (VALUES {asked}) AS q CROSS JOIN clock {joins}"


def connect(path: Path, catalogue: Catalogue) -> sqlite3.Connection:
    """Open an existing store for reading and writing.

    Raises:
        Damaged: if it is missing, not a database, or of another catalogue.
    """
    if not path.exists():
        raise Damaged(f"There is no online store at {path}. Run `labserver build`.")
    remedy = "Run `labserver serve --fresh-store` to start from the bundle's snapshot."
    db = sqlite3.connect(path, isolation_level=None, timeout=5.0, check_same_thread=False)
    try:
        [problem] = db.execute("PRAGMA quick_check(1)").fetchone()
        if problem != "ok":
            raise sqlite3.DatabaseError(problem)
        [version] = db.execute("SELECT catalogue FROM clock").fetchone()
    except (sqlite3.Error, TypeError) as error:
        db.close()
        raise Damaged(f"The online store at {path} is damaged ({error}). {remedy}") from None
    if version != catalogue.version:
        db.close()
        raise Damaged(f"The online store at {path} is of catalogue {version}, not {catalogue.version}. {remedy}")
    return db


def create(path: Path, catalogue: Catalogue) -> sqlite3.Connection:
    """Make an empty store whose clock stands at 1970."""
    db = sqlite3.connect(path, isolation_level=None)
    for group in catalogue.stored:
        entity = ", ".join(f"{column} TEXT NOT NULL" for column in group.entity)
        values = ", ".join(f"{column} REAL" for column in group.columns)
        db.execute(
            f"CREATE TABLE {group.name} ({entity}, known_at INTEGER NOT NULL, {values}, "
            f"PRIMARY KEY ({', '.join(group.entity)})) WITHOUT ROWID"
        )
    db.execute("CREATE TABLE clock (moment INTEGER NOT NULL, catalogue TEXT NOT NULL)")
    db.execute("INSERT INTO clock VALUES (0, ?)", (catalogue.version,))
    return db


def copy_snapshot(snapshot: Path, path: Path) -> None:
    """Put a fresh copy of a bundle's snapshot in place of the store, ready for one writer and many readers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    shutil.copyfile(snapshot, temporary)
    with closing(sqlite3.connect(temporary, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
    for leftover in (path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        leftover.unlink(missing_ok=True)
    temporary.replace(path)


def read_clock(db: sqlite3.Connection) -> datetime:
    """The clock of an open store.

    Raises:
        StoreUnavailable: if SQLite cannot answer now.
    """
    try:
        [moment] = db.execute("SELECT moment FROM clock").fetchone()
    except sqlite3.Error as error:
        raise StoreUnavailable(f"The online store does not answer: {error}.") from None
    return from_microseconds(moment)


def advance(
    db: sqlite3.Connection, groups: Iterable[Group], rows: Mapping[str, Iterable[Row]], clock: datetime
) -> None:
    """Publish newer values and move the clock, in one transaction.

    A row replaces the stored one only if it was known no earlier, so running the same batch twice, or an old batch
    late, changes nothing.

    Args:
        db: an open store.
        groups: the groups that may have rows.
        rows: by group, tuples of the entity's columns, ``known_at`` in microseconds, and the values.
        clock: the moment up to which the rows are complete. The clock never goes back.
    """
    db.execute("BEGIN IMMEDIATE")
    try:
        for group in groups:
            if new := rows.get(group.name):
                db.executemany(_upsert(group), new)
        db.execute("UPDATE clock SET moment = max(moment, ?)", (microseconds(clock),))
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def clear(db: sqlite3.Connection, groups: Iterable[Group]) -> None:
    """Empty the store and set its clock back to 1970. Call inside no transaction."""
    db.execute("BEGIN IMMEDIATE")
    for group in groups:
        db.execute(f"DELETE FROM {group.name}")
    db.execute("UPDATE clock SET moment = 0")
    db.execute("COMMIT")


def _upsert(group: Group) -> str:
    columns = (*group.entity, "known_at", *group.columns)
    assignments = ", ".join(f"{column} = excluded.{column}" for column in ("known_at", *group.columns))
    return (
        f"INSERT INTO {group.name} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))}) "
        f"ON CONFLICT DO UPDATE SET {assignments} WHERE excluded.known_at >= {group.name}.known_at"
    )
