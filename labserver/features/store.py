"""The online store: for every entity the latest known values, in one SQLite file.

One writer moves the clock; any number of services read. SQLite's write-ahead log lets them do so at once, and one
SELECT reads everything a flight needs, so an answer never mixes two moments.
"""

from __future__ import annotations

import fcntl
import shutil
import sqlite3
import threading
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from labserver.errors import Damaged, LabError, StoreUnavailable
from labserver.features.catalogue import Catalogue, Group
from labserver.features.flight import Flight
from labserver.features.lookup import Lookup
from labserver.moments import from_microseconds
from labserver.writing import check_writable

LEAST_SQLITE = (3, 35)
"""The oldest version of SQLite that takes every statement of the course; some systems' Python has an older one."""
NO_ENTITY = (None, None, None, None)
"""A question that touches every table and finds nothing."""


class OnlineStore:
    """Reads the store, and goes on when the file is replaced or comes back.

    An open connection reads the file that it opened, even if that was deleted, and pages that it remembers, even if the
    file was written over. So twice a second the store looks whether the file was touched, and opens and checks it again
    if so, or if it did not answer. Until a file passes there is no answer: old values would look like new ones.
    """

    LOOK_SECONDS = 0.5
    WAIT_SECONDS = 0.05
    """For a lock. Readers and the writer do not wait for each other; whoever does is in front of all other requests."""

    def __init__(self, path: Path, catalogue: Catalogue) -> None:
        """Open and check the file.

        Raises:
            Damaged: if it is missing, not a database, or lacks a group of the catalogue.
            StoreUnavailable: if another process keeps it locked.
        """
        self._path, self._catalogue = path, catalogue
        self._file = _identity(path)
        self._db: sqlite3.Connection | None = connect(path, catalogue)
        self._db.execute(f"PRAGMA busy_timeout = {self.WAIT_SECONDS * 1000:.0f}")
        # One query at a time: since Python 3.12, threads that run one text at once may bind values over each other's.
        self._one_query_at_a_time = threading.Lock()
        self._problem = ""
        self._look_at = 0.0
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
        rows = self._rows(query, entities)
        groups = len(self._stored)
        return [Lookup(self._clock_of(row[0]), row[1 + groups :], row[1 : 1 + groups]) for row in rows]

    def clock(self) -> datetime:
        """The moment up to which the store is complete.

        Raises:
            StoreUnavailable: if SQLite cannot answer now.
        """
        [[moment]] = self._rows("SELECT moment FROM clock", ())
        return from_microseconds(moment)

    def problem(self) -> str | None:
        """Why the store cannot answer now, and what to run, without the path; None if it can."""
        try:
            self._rows(_lookup(self._stored, 1), NO_ENTITY)
        except StoreUnavailable as error:
            return str(error).replace(str(self._path), self._path.name)
        return None

    def close(self) -> None:
        if self._db is not None:
            self._db.close()

    def _rows(self, query: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + self.LOOK_SECONDS
            self._reopen_if_changed()
        db = self._db
        if db is None:
            raise StoreUnavailable(self._problem)
        try:
            with self._one_query_at_a_time:
                rows = db.execute(query, values).fetchall()
            if rows:
                return rows
            raise sqlite3.DatabaseError("its clock is gone")
        except sqlite3.Error as error:
            self._drop(f"The online store does not answer: {error}.")
            raise StoreUnavailable(self._problem) from None

    def _reopen_if_changed(self) -> None:
        found = _identity(self._path)
        if self._db is not None and found == self._file:
            return
        try:
            self._db = connect(self._path, self._catalogue, self.WAIT_SECONDS)
            self._file = found
        except (Damaged, StoreUnavailable) as error:
            self._drop(str(error))

    def _drop(self, why: str) -> None:
        self._db, self._problem = None, why  # not closed: another thread may be reading; the last reference closes it

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


def _identity(path: Path) -> tuple[int, ...]:
    """Which file the path names, and when it was written last; empty if there is none.

    Its content is not looked at: to open the file past SQLite and close it again would drop SQLite's locks on it.
    """
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


class Shared(sqlite3.Connection):
    """Closed when nothing holds it any more: while one thread drops it, another may be reading."""

    def __del__(self) -> None:
        with suppress(sqlite3.ProgrammingError):  # it could not be opened
            self.close()


def connect(path: Path, catalogue: Catalogue, wait: float = 5.0) -> sqlite3.Connection:
    """Open an existing store for reading and writing; ``wait`` seconds for a lock, now and later.

    Raises:
        Damaged: if it is missing, not a database, or lacks a group of the catalogue.
        StoreUnavailable: if another process keeps it locked.
    """
    if not path.exists():
        raise Damaged(f"There is no online store at {path}. `labserver serve` starts with the bundle's snapshot.")
    remedy = "Run `labserver serve --fresh-store` to start from the bundle's snapshot."
    try:
        db = sqlite3.connect(path, isolation_level=None, timeout=wait, check_same_thread=False, factory=Shared)
    except sqlite3.Error as error:  # such as a folder without permission
        raise Damaged(f"The online store at {path} cannot be opened ({error}). {remedy}") from None
    try:
        [problem] = db.execute("PRAGMA quick_check(1)").fetchone()
        if problem != "ok":
            raise sqlite3.DatabaseError(problem)
        versions = dict(db.execute("SELECT name, version FROM groups").fetchall())
        other = [group.name for group in catalogue.stored if versions.get(group.name) != group.version]
        if not other:
            db.execute(_lookup(catalogue.stored, 1), NO_ENTITY)
    except (sqlite3.Error, TypeError) as error:
        db.close()
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
            locked = f"The online store at {path} is locked by another process. Wait for it, or stop it."
            raise StoreUnavailable(locked) from None
        raise Damaged(f"The online store at {path} is damaged ({error}). {remedy}") from None
    if other:
        db.close()
        raise Damaged(
            f"The online store at {path} has no values of {', '.join(other)} as the catalogue defines it. {remedy} "
            "If the bundle's does not have them either: `labserver build`, or `labserver build --keep-model`."
        )
    with suppress(sqlite3.OperationalError):  # a copy of a snapshot is not in this mode yet
        db.execute("PRAGMA journal_mode = WAL")
    return db


def check_sqlite() -> None:
    """Check the version of SQLite that this Python has.

    Raises:
        LabError: if it is too old.
    """
    if sqlite3.sqlite_version_info < LEAST_SQLITE:
        least = ".".join(map(str, LEAST_SQLITE))
        raise LabError(
            f"This Python has SQLite {sqlite3.sqlite_version}, and {least} is needed. Use another Python: "
            "`uv python install 3.12`, then `make setup PYTHON=...` with its path."
        )


def create(path: Path, catalogue: Catalogue) -> sqlite3.Connection:
    """Make an empty store whose clock stands at 1970.

    Raises:
        LabError: if SQLite is too old.
    """
    check_sqlite()
    db = sqlite3.connect(path, isolation_level=None)
    for group in catalogue.stored:
        entity = ", ".join(f"{column} TEXT NOT NULL" for column in group.entity)
        values = ", ".join(f"{column} REAL" for column in group.columns)
        db.execute(
            f"CREATE TABLE {group.name} ({entity}, known_at INTEGER NOT NULL, {values}, "
            f"PRIMARY KEY ({', '.join(group.entity)})) WITHOUT ROWID"
        )
    db.execute("CREATE TABLE groups (name TEXT PRIMARY KEY, version TEXT NOT NULL) WITHOUT ROWID")
    db.executemany("INSERT INTO groups VALUES (?, ?)", [(group.name, group.version) for group in catalogue.stored])
    db.execute("CREATE TABLE clock (moment INTEGER NOT NULL)")
    db.execute("INSERT INTO clock VALUES (0)")
    return db


def copy_snapshot(snapshot: Path, path: Path) -> None:
    """Put a fresh copy of a bundle's snapshot in place of the store, ready for one writer and many readers.

    Raises:
        Damaged: if the snapshot is not a database.
        LabError: if the folder takes no files.
    """
    check_writable(path.parent)
    temporary = path.with_suffix(".new")
    shutil.copyfile(snapshot, temporary)
    try:
        with closing(sqlite3.connect(temporary, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode = WAL")
    except sqlite3.DatabaseError as error:
        temporary.unlink()
        raise Damaged(f"The snapshot {snapshot} is damaged ({error}). Run `labserver build`.") from None
    for leftover in (path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        leftover.unlink(missing_ok=True)
    temporary.replace(path)


def provide(snapshot: Path, path: Path) -> None:
    """Start with a copy of a bundle's snapshot where there is no store yet. Of several workers one makes it.

    Raises what :func:`copy_snapshot` does.
    """
    if path.exists():  # whole; a worker that replaces another one needs no room for it
        return
    check_writable(path.parent)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            copy_snapshot(snapshot, path)


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
