"""Outcomes, on disk before they are acknowledged, for as many days as they are kept."""

from __future__ import annotations

import queue
import sqlite3
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import structlog

from labserver.errors import Damaged, LabError
from labserver.monitor.age import Arrival, Now
from labserver.monitor.named_file import NamedFile
from labserver.writing import check_database


class OutcomeConflict(LabError):
    """A different outcome was already acknowledged for this prediction."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The delay of a predicted flight at arrival, in minutes; None if it never arrived."""

    id: str
    arrival_delay_minutes: float | None


_Work = tuple[Outcome, "Future[None]"]


class OutcomeStore:
    """Writes outcomes with one thread, many in one transaction, each flushed to disk before its future resolves."""

    BATCH = 500
    PRUNE_SECONDS = 600.0
    """Between two looks for outcomes that are too old; one follows the other at once while there are more."""
    PRUNE_ROWS = 5_000
    """Outcomes that are deleted at once: those that wait to be written wait for it."""

    def __init__(self, path: Path, *, max_days: float) -> None:
        """Open or make the file.

        Args:
            path: the database file.
            max_days: age at which outcomes are deleted, from their arrival here; see
                :class:`labserver.monitor.age.Now`.

        Raises:
            Damaged: if the file is not a database.
            LabError: if this user cannot write it.
        """
        self._path, self._max_days = path, max_days
        check_database(path)
        try:
            self._db = _opened(path)
        except (sqlite3.Error, OSError) as error:
            raise Damaged(
                f"The outcomes at {path} cannot be opened ({error}). Check the disk and the folder's permissions. If "
                "the file is damaged, move it away to start a new one; it holds what was acknowledged, so keep it."
            ) from None
        self._file: NamedFile | None = NamedFile(path)
        [newest] = self._db.execute("SELECT CAST(strftime('%s', max(received_at)) AS REAL) FROM outcomes").fetchone()
        self._now, self._arrival = Now(newest), Arrival()
        self._prune_at = 0.0
        self.errors = 0
        """Number of writes that failed."""
        self._queue: queue.Queue[_Work | None] = queue.Queue(maxsize=10_000)
        self._thread = threading.Thread(target=self._write, name="outcomes", daemon=True)
        self._thread.start()

    def record(self, outcome: Outcome) -> Future[None]:
        """Queue an outcome. The future resolves once it is on disk.

        The future raises :class:`OutcomeConflict` if a different outcome was acknowledged for this id, and
        ``sqlite3.Error`` if the write fails. Raises ``queue.Full`` when the disk does not keep up.
        """
        future: Future[None] = Future()
        self._queue.put_nowait((outcome, future))
        return future

    def count(self) -> int:
        """Number of outcomes on disk."""
        [number] = self._db.execute("SELECT count(*) FROM outcomes").fetchone()
        return int(number)

    def close(self) -> None:
        """Write the queued outcomes and stop."""
        self._queue.put(None)
        self._thread.join(timeout=10)
        self._db.close()

    def _write(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = [first]
            stop = False
            while len(batch) < self.BATCH and not self._queue.empty():
                more = self._queue.get()
                if more is None:
                    stop = True
                    break
                batch.append(more)
            self._commit(batch)
            if stop:
                return

    def _commit(self, batch: list[_Work]) -> None:
        """Write a batch and acknowledge it, if what was written is in the file that the path names."""
        try:
            if self._replaced():
                self._begin_anew()
            conflicts = self._written(batch)
            if self._replaced():
                self._begin_anew()
                conflicts = self._written(batch)
                if self._replaced():
                    raise sqlite3.OperationalError("the file is being replaced")
        except (sqlite3.Error, OSError) as error:
            self.errors += 1
            failed = error if isinstance(error, sqlite3.Error) else sqlite3.OperationalError(str(error))
            for _, future in batch:
                future.set_exception(failed)
            return
        for (_, future), conflict in zip(batch, conflicts, strict=True):
            if conflict:
                future.set_exception(conflict)
            else:
                future.set_result(None)
        self._prune()

    def _written(self, batch: Sequence[_Work]) -> list[OutcomeConflict | None]:
        """Write a batch in one transaction; for each outcome the conflict, if there is one."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            conflicts = [self._insert(outcome) for outcome, _ in batch]
            self._db.execute("COMMIT")
        except sqlite3.Error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        return conflicts

    def _replaced(self) -> bool:
        """True if what is written would not be in the file that the path names."""
        return self._file is None or self._file.replaced()

    def _begin_anew(self) -> None:
        """Open the file that the path names now, or make one. What was in the other one is not ours to bring back."""
        self.errors += 1
        structlog.get_logger().error("outcomes_replaced", detail=f"{self._path.name} was deleted or replaced")
        self._db.close()  # first: SQLite takes two connections to one file for one, and this one's log may be gone
        self._file = None
        self._db = _opened(self._path)
        self._file = NamedFile(self._path)

    def _prune(self) -> None:
        """Delete what is too old, if it is time to. A fault is counted; the outcomes that wait are not its concern."""
        if time.monotonic() < self._prune_at:
            return
        try:
            gone = self._db.execute(
                "DELETE FROM outcomes WHERE id IN "
                "(SELECT id FROM outcomes WHERE received_at < datetime(?, 'unixepoch') LIMIT ?)",
                (self._now() - self._max_days * 86_400, self.PRUNE_ROWS),
            ).rowcount
        except sqlite3.Error:
            self.errors += 1
            gone = 0
        if gone < self.PRUNE_ROWS:
            self._prune_at = time.monotonic() + self.PRUNE_SECONDS

    def _insert(self, outcome: Outcome) -> OutcomeConflict | None:
        done = self._db.execute(
            "INSERT INTO outcomes (id, arrival_delay_minutes, received_at) VALUES (?, ?, datetime(?, 'unixepoch')) "
            "ON CONFLICT DO NOTHING",
            (outcome.id, outcome.arrival_delay_minutes, self._arrival()),
        )
        if done.rowcount:
            return None
        [known] = self._db.execute("SELECT arrival_delay_minutes FROM outcomes WHERE id = ?", (outcome.id,)).fetchone()
        if known == outcome.arrival_delay_minutes:
            return None
        return OutcomeConflict(f"Prediction {outcome.id} already has the outcome {known}.")


def _opened(path: Path) -> sqlite3.Connection:
    """The file, with its table; closed again if it is not usable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, isolation_level=None, timeout=10.0, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")  # an acknowledged outcome survives a power cut
        db.execute(
            "CREATE TABLE IF NOT EXISTS outcomes (id TEXT PRIMARY KEY, arrival_delay_minutes REAL, "
            "received_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP) WITHOUT ROWID"
        )
        db.execute("CREATE INDEX IF NOT EXISTS by_time ON outcomes (received_at)")
    except sqlite3.Error:
        db.close()
        raise
    return db
