"""The prediction log: every answer with its feature vector, in SQLite. Outcomes are joined to it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from labserver.moments import HOUR, MICROSECOND
from labserver.monitor.age import Now
from labserver.monitor.named_file import NamedFile
from labserver.monitor.served import Served
from labserver.writing import unusable

Row = tuple[Any, ...]

COLUMNS = {
    "id": "TEXT NOT NULL",  # of the prediction; an outcome names it
    "made_at": "INTEGER NOT NULL",  # wall clock, microseconds since 1970 UTC, like every time here
    "as_of": "INTEGER NOT NULL",
    "scheduled_departure": "INTEGER NOT NULL",
    "carrier": "TEXT NOT NULL",
    "flight": "INTEGER NOT NULL",
    "origin": "TEXT NOT NULL",
    "dest": "TEXT NOT NULL",
    "tailnum": "TEXT",
    "vector": "BLOB NOT NULL",  # as the model saw it: float32, little-endian, in catalogue order
    "ages": "BLOB NOT NULL",  # of each stored group's values, in hours: float32, NaN where nothing was known
    "model_version": "TEXT NOT NULL",
    "score": "REAL NOT NULL",
    "decision": "TEXT NOT NULL",
    "adjusted": "TEXT",  # feature:action, separated by spaces
    "stale": "TEXT",  # features, separated by spaces
}
SHADOW_COLUMNS = "id TEXT NOT NULL, made_at INTEGER NOT NULL, model_version TEXT NOT NULL, score REAL NOT NULL"
"""Of a second model's answers; ``id`` is that of the prediction that was sent."""
SHADOW_WITHOUT_PREDICTION = """DELETE FROM shadow WHERE n < coalesce((SELECT n FROM shadow
    WHERE made_at >= (SELECT made_at FROM predictions ORDER BY n LIMIT 1) ORDER BY n LIMIT 1), 9223372036854775807)"""
OLD_ROWS = """DELETE FROM predictions WHERE n <= (SELECT n FROM predictions WHERE made_at < :before AND n < coalesce(
    (SELECT n FROM predictions WHERE made_at BETWEEN :before AND :now ORDER BY n LIMIT 1), 9223372036854775807)
    ORDER BY n DESC LIMIT 1)"""
"""All up to the last old row before the first young one. A row that a clock that was ahead has dated is neither."""
ROWS_A_STATEMENT = 64
"""Rows per statement. SQLite drops the interpreter's lock for each statement and must get it back after it, so with one
row per statement a busy event loop would make the log wait once per row.
"""


class PredictionLog:
    """Writes the log from one thread. Rows that cannot be written are kept for the next try, up to a bound.

    There is no index on ``id``: identifiers are random, so each row would dirty a page of it. Joins go the other way,
    from the newest predictions to the outcomes, which have one.
    """

    WAITING = 10_000
    """Rows that are kept while writes fail."""

    def __init__(self, path: Path, model_version: str, *, max_bytes: int, max_days: float) -> None:
        """Open nothing yet: a log that does not work must not keep a service from starting.

        Args:
            path: the database file.
            model_version: noted with every row.
            max_bytes: size at which the oldest rows go.
            max_days: age at which they go; see :class:`labserver.monitor.age.Now`.
        """
        self._path = path
        self._model_version = model_version
        self._max_bytes, self._max_days = max_bytes, max_days
        self._db: sqlite3.Connection | None = None
        self._file: NamedFile | None = None
        self._now: Now | None = None
        self._waiting: list[Row] = []
        self._beside: list[Row] = []
        self.written = self.dropped = self.errors = self.size = 0
        self.problem: str | None = None

    def add(self, served: Served) -> None:
        """Add a batch; it is on disk after the next :meth:`flush`."""
        self._waiting.extend(self._rows(served))
        if (surplus := len(self._waiting) - self.WAITING) > 0:
            del self._waiting[:surplus]
            self.dropped += surplus

    def add_shadow(self, version: str, scored: Sequence[tuple[str, float]]) -> None:
        """Take a second model's answers; see :mod:`labserver.monitor.shadow`."""
        now = time.time_ns() // 1000
        self._beside.extend((prediction, now, version, score) for prediction, score in scored)
        del self._beside[: -self.WAITING]

    def flush(self) -> None:
        """Write what waits, in one transaction. Never raises: ``problem`` says what the disk or SQLite objects to."""
        if not self._waiting and not self._beside:
            return
        try:
            db = self._opened()
            db.execute("BEGIN IMMEDIATE")
            for start in range(0, len(self._waiting), ROWS_A_STATEMENT):
                rows = self._waiting[start : start + ROWS_A_STATEMENT]
                db.execute(_insert(len(rows)), [value for row in rows for value in row])
            db.executemany("INSERT INTO shadow (id, made_at, model_version, score) VALUES (?, ?, ?, ?)", self._beside)
            db.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            self._failed(error)
            return
        self.problem = None
        self.written += len(self._waiting)
        self._waiting, self._beside = [], []

    def prune(self) -> None:
        """Delete rows that are too old, and the oldest tenth of a log that is too large, until it is not. Never
        raises.
        """
        try:
            db = self._opened()
            self._now = self._now or Now(_newest(db))
            now = self._now()
            db.execute(OLD_ROWS, {"now": now * 1e6, "before": (now - self._max_days * 86_400) * 1e6})
            tenth = "SELECT min(n) + (max(n) - min(n)) / 10 FROM predictions"
            while (size := _bytes(db)) > self._max_bytes:
                if not db.execute(f"DELETE FROM predictions WHERE n <= ({tenth})").rowcount:
                    break
                db.execute(SHADOW_WITHOUT_PREDICTION)
            db.execute(SHADOW_WITHOUT_PREDICTION)
            self.size = size
        except (sqlite3.Error, OSError) as error:
            self._failed(error)

    def close(self) -> None:
        """Write the waiting rows and close the file."""
        self.flush()
        if self._db is not None:
            self._db.close()
            self._db = self._file = None

    def _opened(self) -> sqlite3.Connection:
        """The file that the path names now."""
        if self._file is not None and self._file.replaced():
            self._failed(FileNotFoundError(f"{self._path.name} was deleted or replaced; a new one is begun"))
        if self._db is None:
            self._db = self._open()
            self._file = NamedFile(self._path)
        return self._db

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self._path, isolation_level=None, timeout=1.0, check_same_thread=False)
        columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
        try:
            db.execute("PRAGMA journal_mode = WAL")
            # Survives the end of the process, but no power cut: the log promises nothing, so no request waits for it.
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute(f"CREATE TABLE IF NOT EXISTS predictions (n INTEGER PRIMARY KEY, {columns})")
            db.execute(f"CREATE TABLE IF NOT EXISTS shadow (n INTEGER PRIMARY KEY, {SHADOW_COLUMNS})")
        except sqlite3.Error:
            db.close()
            raise
        return db

    def _failed(self, error: Exception) -> None:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
            return  # another worker writes; the rows wait for the next round
        self.errors += 1
        file = unusable(self._path)
        self.problem = f"this user cannot read and write {file.name}" if file else str(error)
        if self._db is not None:
            self._db.close()  # rolls back, and closes a file that was deleted or replaced
            self._db = self._file = None

    def _rows(self, served: Served) -> list[Row]:
        now = time.time_ns() // 1000
        width = served.used.shape[1] * 4
        vectors = np.ascontiguousarray(served.used, "<f4").tobytes()
        known = np.array([answer.vector.known_at for _, answer in served.pairs], np.float64)  # None becomes NaN
        hours = ((served.asked[:, None] - known) / HOUR).astype("<f4")
        ages, age_width = hours.tobytes(), hours.shape[1] * 4
        return [
            (
                answer.id,
                now,
                asked,
                asked + (flight.scheduled_departure - answer.vector.as_of) // MICROSECOND,
                flight.carrier,
                flight.flight,
                flight.origin,
                flight.dest,
                flight.tailnum,
                vectors[i * width : (i + 1) * width],
                ages[i * age_width : (i + 1) * age_width],
                self._model_version,
                answer.probability,
                answer.decision,
                " ".join([f"{a.feature}:{a.action}" for a in answer.adjusted]) if answer.adjusted else None,
                " ".join(answer.stale) if answer.stale else None,
            )
            for i, ((flight, answer), asked) in enumerate(zip(served.pairs, served.asked.tolist(), strict=True))
        ]


def _newest(db: sqlite3.Connection) -> float | None:
    """When the newest row was made, in seconds since 1970; None if there is none."""
    row = db.execute("SELECT made_at / 1e6 FROM predictions ORDER BY n DESC LIMIT 1").fetchone()
    return float(row[0]) if row else None


def _bytes(db: sqlite3.Connection) -> int:
    """Size of the log's content in bytes. Freed pages are used again, so the file grows little beyond its limit."""
    [size] = db.execute(
        "SELECT (page_count - freelist_count) * page_size "
        "FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
    ).fetchone()
    return int(size)


def _insert(rows: int) -> str:
    one = f"({', '.join('?' * len(COLUMNS))})"
    return f"INSERT INTO predictions ({', '.join(COLUMNS)}) VALUES {', '.join([one] * rows)}"


def read_vectors(rows: Sequence[bytes]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The column ``vector`` of some rows as an array of shape (rows, features), float32."""
    return np.frombuffer(b"".join(rows), "<f4").reshape(len(rows), -1)
