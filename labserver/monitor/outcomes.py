"""Outcomes, on disk before they are acknowledged."""

from __future__ import annotations

import queue
import sqlite3
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from labserver.errors import Damaged, LabError


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

    def __init__(self, path: Path) -> None:
        """Open or make the file.

        Raises:
            Damaged: if the file is not a database.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = _opened(path)
        except sqlite3.Error as error:
            raise Damaged(
                f"The outcomes at {path} cannot be read ({error}). Move the file away to start a new one; "
                "it holds what was acknowledged, so keep it."
            ) from None
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
        conflicts: dict[int, OutcomeConflict] = {}
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for number, (outcome, _) in enumerate(batch):
                if problem := self._insert(outcome):
                    conflicts[number] = problem
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            self.errors += 1
            for _, future in batch:
                future.set_exception(error)
            return
        for number, (_, future) in enumerate(batch):
            if number in conflicts:
                future.set_exception(conflicts[number])
            else:
                future.set_result(None)

    def _insert(self, outcome: Outcome) -> OutcomeConflict | None:
        done = self._db.execute(
            "INSERT INTO outcomes (id, arrival_delay_minutes) VALUES (?, ?) ON CONFLICT DO NOTHING",
            (outcome.id, outcome.arrival_delay_minutes),
        )
        if done.rowcount:
            return None
        [known] = self._db.execute("SELECT arrival_delay_minutes FROM outcomes WHERE id = ?", (outcome.id,)).fetchone()
        if known == outcome.arrival_delay_minutes:
            return None
        return OutcomeConflict(f"Prediction {outcome.id} already has the outcome {known}.")


def _opened(path: Path) -> sqlite3.Connection:
    """The file, with its table; closed again if it is not usable."""
    db = sqlite3.connect(path, isolation_level=None, timeout=10.0, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")  # an acknowledged outcome survives a power cut
        db.execute(
            "CREATE TABLE IF NOT EXISTS outcomes (id TEXT PRIMARY KEY, arrival_delay_minutes REAL, "
            "received_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP) WITHOUT ROWID"
        )
    except sqlite3.Error:
        db.close()
        raise
    return db
